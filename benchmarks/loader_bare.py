"""Bare decoding of the frames that a window needs, the loader's lower bound.

Nothing is converted, cropped or kept. Which packets are needed is known
beforehand and costs nothing. Of a video: the file is opened, the key frame
before the window sought, and all decoded up to the window's last frame,
without the frames that neither the window nor another frame needs. Of jpg
frames: the window's files are read and decoded.
"""
import av

from mbcd_mmaction.datasets.readers.image import decode_image


class BareVideo:
    """Bare decoding of one window of a video.

    Args:
        path (str): An h264 video.
        numbers (Sequence[int]): Frames of the window.
    """

    def __init__(self, path: str, numbers) -> None:
        with av.open(path) as file:
            packets = [(p.pts, p.dts, p.is_keyframe)
                       for p in file.demux(video=0) if p.size]
        stamps = sorted(pts for pts, _, _ in packets)
        self._path = path
        self._wanted = {stamps[number] for number in numbers}
        places = [place for place, (pts, _, _) in enumerate(packets)
                  if pts in self._wanted]
        self._last = packets[places[-1]][0]
        first = min(self._wanted)
        keys = [(pts, dts) for pts, dts, key in packets[:places[0] + 1]
                if key and pts <= first]
        self._key, self._seek = keys[-1]

    def __call__(self) -> int:
        """Decode; returns how many of the wanted frames came out."""
        with av.open(self._path) as file:
            stream = file.streams.video[0]
            context = stream.codec_context
            context.thread_count = 1
            file.seek(self._seek, stream=stream)
            found = 0
            for packet in file.demux(stream):
                if packet.pts is not None and packet.dts < self._seek:
                    continue
                context.skip_frame = ('DEFAULT' if packet.pts in self._wanted
                                      else 'NONREF')
                found += self._count(context.decode(packet))
                if packet.pts == self._last:
                    return found + self._count(context.decode(None))
        return found

    def _count(self, frames) -> int:
        return sum(frame.pts in self._wanted for frame in frames)


class BareFolder:
    """Bare decoding of one window of jpg frames.

    Args:
        names (list[str]): Its files, each once.
    """

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def __call__(self) -> int:
        """Decode; returns the number of files."""
        for name in self._names:
            with open(name, 'rb') as file:
                decode_image(file.read(), 'rgb')
        return len(self._names)


def bare(source: dict, numbers) -> BareVideo | BareFolder:
    """What decodes a window of a record's source, and nothing else."""
    if source.get('template'):
        return BareFolder([
            f'{source["filename"]}/'
            f'{source["template"].format(source["first"] + number)}'
            for number in sorted(set(numbers))
        ])
    return BareVideo(source['filename'], numbers)
