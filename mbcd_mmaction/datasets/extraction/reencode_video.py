"""One video written anew, with a key frame every few frames."""
from fractions import Fraction

import av
import numpy as np

from ..errors import MediaError
from ..readers import VideoReader
from ..readers.container import open_media, picture_stream
from ..readers.convert import display_matrix

TUNES = ('fastdecode', 'none')


def reencode_video(path: str,
                   source: str,
                   container: str = 'mp4',
                   gop: int = 16,
                   crf: int = 20,
                   tune: str = 'fastdecode') -> None:
    """Write a video anew with many key frames, and check what came out.

    h264 of the source's pixel format (yuv420p where x264 has not got it).
    The sound's packets are copied. Subtitles, covers and further streams of
    pictures are lost, and so is a little of the picture: this is a second
    lossy encoding on top of the first. ``crf=0`` loses nothing of 8-bit YUV
    but takes many times the space.

    Args:
        path (str): File to write.
        source (str): File to read.
        container (str): FFmpeg's name of the format. Defaults to 'mp4'.
        gop (int): Frames from one key frame to the next at most; there are
            no B frames. Defaults to 16.
        crf (int): Constant rate factor of x264, 0 to 51; lower is better.
            Defaults to 20.
        tune (str): 'fastdecode' leaves out what costs a decoder most
            (CABAC, the loop filter) for a somewhat larger file; 'none'.
            Defaults to 'fastdecode'.

    Raises:
        MediaError: Number or time stamps of the frames, their size or the
            number of sound packets would be others than in the source, or
            the source holds no video.
        OSError, av.error.FFmpegError: The source is unusable.
    """
    params = f'threads=1:mbtree=0:keyint={gop}:bframes=0:open-gop=0'
    options = {'crf': str(crf), 'preset': 'medium', 'x264-params': params}
    if tune != 'none':
        options['tune'] = tune
    with open_media(source) as old, av.open(path, 'w',
                                            format=container) as new:
        picture = picture_stream(old)
        if picture is None:
            raise MediaError(source, 'it holds no video stream')
        sounds = {
            stream: new.add_stream_from_template(stream)
            for stream in old.streams.audio
        }
        encoder = _Encoder(new, picture, options)
        packets = 0
        for packet in old.demux(picture, *sounds):
            if packet.stream is picture:
                for frame in packet.decode():
                    encoder.write(frame)
            elif packet.dts is not None:
                packet.stream = sounds[packet.stream]
                packets += 1
                new.mux(packet)
        encoder.close()
    _check(path, source, packets)


class _Encoder:
    """The video stream of a new file.

    Args:
        file (av.container.OutputContainer): Gets a stream.
        source (av.video.stream.VideoStream): What is encoded again.
        options (dict): Of x264.
    """

    def __init__(self, file: av.container.OutputContainer,
                 source: av.video.stream.VideoStream,
                 options: dict[str, str]) -> None:
        source.codec_context.thread_count = 1
        self._file, self._source = file, source
        self._stream = file.add_stream(
            'libx264', rate=source.average_rate or Fraction(25),
            options=options)
        context, old = self._stream.codec_context, source.codec_context
        known = {item.name for item in context.codec.video_formats or ()}
        self._format = (old.pix_fmt if old.pix_fmt in known else 'yuv420p')
        self._stream.pix_fmt = self._format
        self._stream.height, self._stream.width = old.height, old.width
        self._stream.time_base = context.time_base = source.time_base
        context.thread_count = 1
        for name in ('color_range', 'colorspace', 'color_primaries',
                     'color_trc', 'sample_aspect_ratio'):
            value = getattr(old, name)
            if value is not None:
                setattr(context, name, value)
        matrix = _display_matrix(source.container.name)
        if matrix is not None:
            self._stream.set_display_matrix(matrix)

    def write(self, frame: av.VideoFrame) -> None:
        """Encode one frame at its own time."""
        if frame.format.name != self._format:
            stamp = frame.pts, frame.time_base
            frame = frame.reformat(format=self._format)
            frame.pts, frame.time_base = stamp
        frame.pict_type = 0  # x264 chooses the key frames, not the source
        self._file.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Encode what is held back."""
        self._file.mux(self._stream.encode(None))


def _display_matrix(source: str) -> list[int] | None:
    """The nine numbers by which frames are turned; None if they are not."""
    with open_media(source) as file:
        stream = picture_stream(file)
        stream.codec_context.thread_count = 1
        for frame in file.decode(stream):
            if display_matrix(frame) is None:
                return None
            return np.frombuffer(frame.side_data['DISPLAYMATRIX'],
                                 np.int32).tolist()
    return None


def _check(path: str, source: str, packets: int) -> None:
    """Compare a new file with its source; raise where they differ."""
    old, new = VideoReader(source), VideoReader(path)
    for what, left, right in (('frames', old.num_frames, new.num_frames),
                              ('(H, W)', old.shape, new.shape)):
        if left != right:
            raise MediaError(
                source, f'not re-encoded: it has {what} {left}, what came '
                f'out has {right}')
    if not np.allclose(old.times, new.times, rtol=0, atol=1e-6):
        number = int(np.argmax(np.abs(old.times - new.times)))
        raise MediaError(
            source, f'not re-encoded: frame {number} is shown at '
            f'{old.times[number]:.4f} s, in what came out at '
            f'{new.times[number]:.4f} s')
    with open_media(path) as file:
        kept = sum(packet.size > 0 for packet in file.demux(
            *file.streams.audio)) if file.streams.audio else 0
    if kept != packets:
        raise MediaError(source, f'not re-encoded: of {packets} packets of '
                         f'sound {kept} came out')
