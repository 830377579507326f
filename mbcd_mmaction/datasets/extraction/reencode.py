"""A set's videos written anew, quick to enter anywhere."""
import json
import os
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from ..errors import MediaError
from ..readers import VideoReader
from ..readers.container import open_media, picture_stream
from ..readers.convert import display_matrix
from .jobs import Job, Report, run_jobs
from .outputs import publish, temporary_names, withdraw

# Containers that keep h264 with its time stamps, and videos in others.
_FORMATS = {'.mp4': 'mp4', '.m4v': 'mp4', '.mov': 'mov', '.mkv': 'matroska'}
_OTHERS = frozenset(['.avi', '.flv', '.mpeg', '.mpg', '.ts', '.webm', '.wmv'])
_NOTE = 'reencode.json'
_OWN_FILES = (_NOTE, 'failures.jsonl')
TUNES = ('fastdecode', 'none')


def reencode_set(source: str,
                 target: str,
                 gop: int = 16,
                 crf: int = 20,
                 tune: str = 'fastdecode',
                 overwrite: bool = False,
                 **options: Any) -> Report:
    """Write a set anew: its videos re-encoded, all else copied.

    Names and folders stay the same. Hidden files are left out.

    Args:
        source (str): Folder of the set.
        target (str): Folder for the new one, outside of it.
        gop (int): See :func:`reencode_video`, like the next two.
        crf (int): Defaults to 20.
        tune (str): Defaults to 'fastdecode'.
        overwrite (bool): Also redo what is done. Defaults to False.
        **options: See :func:`run_jobs`: ``workers``, ``progress``.

    Returns:
        Report: What became of the files.

    Raises:
        ValueError: An argument out of range; one folder lies in the other;
            ``target`` was begun with other settings and ``overwrite`` is
            not set.
        FileNotFoundError: There is no such set, or nothing in it.
        BlockingIOError, OSError: See :func:`run_jobs`.
    """
    if gop < 1 or not 0 <= crf <= 51 or tune not in TUNES:
        raise ValueError(f'expected gop of 1 or more, crf from 0 to 51 and '
                         f'tune of {TUNES}, got {gop}, {crf} and {tune!r}')
    begin, end = Path(source).resolve(), Path(target).resolve()
    if begin == end or begin in end.parents or end in begin.parents:
        raise ValueError(f'expected two folders, neither in the other, got '
                         f'{begin} and {end}')
    settings = dict(gop=gop, crf=crf, tune=tune)
    jobs = [
        Job(str(path.relative_to(begin)), (str(path), ),
            (str(end / path.relative_to(begin)), ),
            dict(source=str(path), **settings)) for path in _files(begin)
    ]
    if not jobs:
        raise FileNotFoundError(f'no files below {begin}')

    def check() -> None:
        _use_settings(end, dict(settings, source=str(begin)), jobs, overwrite)

    return run_jobs(remake, jobs, end, overwrite=overwrite, begin=check,
                    **options)


def _files(folder: Path) -> list[Path]:
    """What a set consists of, sorted."""
    return sorted(
        path for path in folder.rglob('*')
        if path.is_file() and path.name not in _OWN_FILES and not any(
            part.startswith('.') for part in path.relative_to(folder).parts))


def _use_settings(folder: Path, settings: dict[str, Any], jobs: list[Job],
                  overwrite: bool) -> None:
    """Keep a set alike: compare the settings with the note, or write it."""
    note = folder / _NOTE
    there = json.loads(note.read_text(encoding='utf-8')) if (
        note.is_file()) else None
    if there == settings:
        return
    if there is not None and not overwrite:
        raise ValueError(f'{folder} was begun with {there}, this run is '
                         f'asked for {settings}: give the same options, '
                         'another folder, or --overwrite')
    if there is not None:
        for job in jobs:
            withdraw(job.outputs)
    new = temporary_names([str(note)])
    Path(new[0]).write_text(json.dumps(settings) + '\n', encoding='utf-8')
    publish(new, [str(note)])


def remake(path: str, source: str, **settings: Any) -> None:
    """Re-encode a video, or copy another file.

    Args:
        path (str): File to write.
        source (str): File to read; its suffix says what it is.
        **settings: See :func:`reencode_video`.

    Raises:
        MediaError: See :func:`reencode_video`; or the suffix is of a
            container that cannot hold the result.
    """
    suffix = os.path.splitext(source)[1].lower()
    if suffix in _OTHERS:
        raise MediaError(
            source, f'expected one of {sorted(_FORMATS)}, in which h264 keeps '
            f'its time stamps, got {suffix}: copy it, or convert it')
    if suffix not in _FORMATS:
        shutil.copyfile(source, path)
        return
    reencode_video(path, source, _FORMATS[suffix], **settings)


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
        self._begun = False

    def write(self, frame: av.VideoFrame) -> None:
        """Encode one frame at its own time."""
        if not self._begun:
            _orient(self._stream, frame)
            self._begun = True
        if frame.format.name != self._format:
            stamp = frame.pts, frame.time_base
            frame = frame.reformat(format=self._format)
            frame.pts, frame.time_base = stamp
        frame.pict_type = 0  # x264 chooses the key frames, not the source
        self._file.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Encode what is held back."""
        self._file.mux(self._stream.encode(None))


def _orient(stream: av.video.stream.VideoStream,
            frame: av.VideoFrame) -> None:
    """Note in a stream how its frames are to be turned, as they were."""
    if display_matrix(frame) is None:
        return
    data = np.frombuffer(frame.side_data['DISPLAYMATRIX'], np.int32)
    stream.set_display_matrix(data.tolist())


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
