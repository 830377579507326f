import struct
import weakref
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
import tiny_media

from mbcd_mmaction.datasets import MediaError
from mbcd_mmaction.datasets.readers import VideoReader


def film(count, size=(48, 64), seed=1):
    """Moving noise: it has B frames, and no two frames are equal."""
    rng = np.random.default_rng(seed)
    h, w = size
    base = cv2.resize(
        rng.integers(0, 255, (h // 4, w // 2, 3), dtype=np.uint8),
        (2 * w, 2 * h))
    return [
        cv2.add(base[n % h:n % h + h, 2 * n % w:2 * n % w + w],
                rng.integers(0, 12, (h, w, 3), dtype=np.uint8))
        for n in range(count)
    ]


FILM = film(60)


def in_sequence(path):
    """Time stamps (s) and RGB frames of a plain decode of all."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        found = [(float(frame.pts * stream.time_base) if frame.pts else 0.,
                  frame.to_ndarray(format='rgb24').copy())
                 for frame in container.decode(stream)]
    return [time for time, _ in found], [frame for _, frame in found]


def check(reader, wanted, indices):
    found = reader.read(indices)
    assert set(found) == {int(n) for n in indices}
    for index, frame in found.items():
        np.testing.assert_array_equal(frame, wanted[index])


X264 = dict(
    closed=dict(g='12', bf='3'),
    pyramid={'g': '16', 'bf': '5',
             'x264-params': 'b-pyramid=normal:b-adapt=0:ref=4'},
    open={'g': '12', 'bf': '3',
          'x264-params': 'open-gop=1:b-adapt=0:b-pyramid=strict'},
    intra=dict(g='1'),
    no_b=dict(bf='0'),
    refresh={'g': '12', 'bf': '2', 'x264-params': 'intra-refresh=1'},
    interlaced={'g': '12', 'bf': '2', 'x264-params': 'tff=1'},
)
X265 = 'keyint=12:bframes=4:log-level=none'
CASES = [(f'{name}.mp4', 'libx264', X264[name]) for name in X264] + [
    ('a.mkv', 'libx264', X264['pyramid']),
    ('a.ts', 'libx264', X264['closed']),
    ('a.h264', 'libx264', X264['closed']),
    ('a.flv', 'libx264', X264['closed']),
    ('hevc.mp4', 'libx265', {'x265-params': X265}),
    ('hevc_open.mp4', 'libx265', {'x265-params': X265 + ':open-gop=1'}),
    ('hevc_layers.mp4', 'libx265',
     {'x265-params': X265 + ':temporal-layers=3'}),
    ('mpeg4.mp4', 'mpeg4', dict(g='10', bf='2')),
    ('no_b.avi', 'mpeg4', dict(g='10', bf='0')),
    ('b.avi', 'mpeg4', dict(g='10', bf='2')),
    ('a.mpg', 'mpeg2video', dict(g='10', bf='2')),
    ('mpeg2.mkv', 'mpeg2video', dict(g='10', bf='2')),
    ('vp8.webm', 'libvpx', {'g': '12', 'lag-in-frames': '8'}),
    ('vp9.webm', 'libvpx-vp9', {'g': '12', 'lag-in-frames': '8',
                                'cpu-used': '6'}),
    ('av1.mp4', 'libsvtav1', dict(g='12', preset='12')),
]


@pytest.mark.parametrize('name, codec, options', CASES,
                         ids=[case[0] for case in CASES])
def test_any_frames_equal_a_whole_decode(tmp_path, name, codec, options):
    path = tmp_path / name
    try:
        tiny_media.write_video(path, FILM, codec, **options)
    except (av.codec.codec.UnknownCodecError, av.error.FFmpegError) as error:
        pytest.skip(f'this build of FFmpeg cannot write {name}: {error}')
    times, wanted = in_sequence(path)
    assert len(wanted) == len(FILM)
    reader = VideoReader(str(path))
    assert reader.num_frames == len(wanted)
    assert reader.shape == (48, 64)
    if times[-1]:
        np.testing.assert_allclose(reader.times,
                                   np.array(times) - times[0], atol=1e-9)
    rng = np.random.default_rng(2)
    cases = [[0], [59], [23, 24, 25], [40, 3, 3, 40], range(60),
             range(1, 60, 2), range(11, 43, 4)]
    cases += [rng.integers(0, 60, 4) for _ in range(8)]
    for indices in cases:
        check(reader, wanted, indices)


def write_at(path, frames, stamps, unit=Fraction(1, 1000), **options):
    """A video whose frames are shown at given times."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=30, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.time_base = unit
        for stamp, frame in zip(stamps, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(frame, format='rgb24')
            frame.pts, frame.time_base = stamp, unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize('suffix', ['mp4', 'mkv'])
def test_variable_frame_rate(tmp_path, suffix):
    path = tmp_path / f'vfr.{suffix}'
    stamps = [500 + n * 20 + n % 3 * 7 + 400 * (n > 20) for n in range(60)]
    write_at(path, FILM, stamps, g='6', bf='2')
    _, wanted = in_sequence(path)
    reader = VideoReader(str(path))
    assert reader.num_frames == len(wanted) == 60
    times = (np.array(stamps) - 500) / 1000
    np.testing.assert_allclose(reader.times, times, atol=1e-9)
    for indices in ([59], [0], [13, 28], range(60)):
        check(reader, wanted, indices)
    part = VideoReader(str(path), (.3, .9))
    inside = np.flatnonzero((times >= .3) & (times < .9))
    np.testing.assert_allclose(part.times, times[inside] - .3, atol=1e-9)
    check(part, wanted[inside[0]:], range(part.num_frames))


SEGMENTS = [(0., .5), (.2, .21), (1 / 30, 4 / 30), (.1, .4), (.99, 1.51),
            (1.3, None), (1.9, 50.), (-1., .1), (.55, float('inf'))]


@pytest.mark.parametrize('name, codec, options', [
    case for case in CASES if case[0] not in ('a.h264', )],
    ids=[case[0] for case in CASES if case[0] not in ('a.h264', )])
def test_a_segment_equals_the_same_part_of_the_whole(tmp_path, name, codec,
                                                     options):
    path = tmp_path / name
    try:
        tiny_media.write_video(path, FILM, codec, **options)
    except (av.codec.codec.UnknownCodecError, av.error.FFmpegError) as error:
        pytest.skip(f'this build of FFmpeg cannot write {name}: {error}')
    _, wanted = in_sequence(path)
    whole = VideoReader(str(path))
    for start, stop in SEGMENTS:
        part = VideoReader(str(path), (start, stop))
        end = np.inf if stop is None else stop
        inside = np.flatnonzero((whole.times >= start - 1e-6)
                                & (whole.times < end - 1e-6))
        assert part.num_frames == len(inside) > 0, (start, stop)
        np.testing.assert_allclose(part.times, whole.times[inside] - start,
                                   atol=1e-9)
        check(part, wanted[inside[0]:], range(part.num_frames))


def test_segments_without_frames(tmp_path):
    path = str(tmp_path / 'a.mp4')
    tiny_media.write_video(path, FILM)
    for segment, text in (((2., 3.), r'no frame from 2.00 s to 3.00 s'),
                          ((2., None), 'no frame from 2.00 s to its end'),
                          ((500., None), 'no frame'),
                          ((.01, .02), 'no frame'),
                          ((1., 1.), 'stop is after its start'),
                          ((1., .5), 'stop is after its start'),
                          ((float('nan'), 1.), 'stop is after its start'),
                          ((0., float('nan')), 'stop is after its start')):
        with pytest.raises(MediaError, match=text):
            VideoReader(path, segment)
    raw = str(tmp_path / 'a.h264')
    tiny_media.write_video(raw, FILM)
    with pytest.raises(MediaError, match='no time stamps'):
        VideoReader(raw, (0., 1.))


@pytest.mark.parametrize('suffix', ['mp4', 'mkv', 'avi', 'ts'])
def test_of_a_long_video_only_the_segment_is_read(tmp_path, suffix):
    path = tmp_path / f'long.{suffix}'
    frames = film(16) * 150  # 80 s
    codec = 'mpeg4' if suffix == 'avi' else 'libx264'
    tiny_media.write_video(path, frames, codec, g='15', bf='2')
    size = path.stat().st_size
    reader = VideoReader(str(path), (60., 61.))
    assert reader.num_frames == 30
    _, wanted = in_sequence(path)
    check(reader, wanted[1800:], [0, 29, 12])
    # A second, the key frame before it, the start of the file; twice.
    assert reader.media.packets_read < 200
    assert reader.media.bytes_read < size / 10
    assert reader.media.packets_decoded < 60


def test_only_what_is_needed_is_decoded(tmp_path):
    path = str(tmp_path / 'a.mp4')
    tiny_media.write_video(path, FILM, g='10', bf='0', sc_threshold='0')
    reader = VideoReader(path)
    media = reader.media
    before = media.packets_decoded
    assert before <= 1  # a look at the size
    reader.read([33, 35, 33])
    assert media.packets_decoded - before == 6  # 30 to 35
    reader.read([2, 51])
    assert media.packets_decoded - before == 6 + 3 + 2
    reader.read([8, 12])
    assert media.packets_decoded - before == 6 + 3 + 2 + 9 + 3
    reader.read([9, 10])  # the second stretch follows on the first
    assert media.packets_decoded - before == 6 + 3 + 2 + 9 + 3 + 11


def test_frames_that_nobody_refers_to_are_skipped(tmp_path):
    path = str(tmp_path / 'a.mp4')
    tiny_media.write_video(path, FILM, g='60', bf='3', sc_threshold='0',
                           b_strategy='0')
    reader = VideoReader(path)
    before = reader.frames_decoded
    packets = reader.media.packets_decoded
    reader.read(range(0, 60, 4))
    given = reader.media.packets_decoded - packets
    assert given > 50
    assert reader.frames_decoded - before < given - 20


def test_each_file_is_opened_once(tmp_path, monkeypatch):
    path = str(tmp_path / 'a.mp4')
    tiny_media.write_video(path, FILM, g='12')
    opened = []
    av_open = av.open
    monkeypatch.setattr(
        av, 'open', lambda *args: opened.append(args) or av_open(*args))
    VideoReader(path).read([5, 50, 7])
    VideoReader(path, (.5, 1.)).read([5, 3])
    assert len(opened) == 2


CORNERS = dict(R=(255, 0, 0), G=(0, 255, 0), B=(0, 0, 255), W=(255,) * 3)


def corners(frame):
    """Names of the colours of the four quarters, row by row."""
    h, w = frame.shape[:2]
    points = [frame[y, x].astype(int) for y in (h // 4, 3 * h // 4)
              for x in (w // 4, 3 * w // 4)]
    return ''.join(min(CORNERS, key=lambda k: np.abs(CORNERS[k] - p).sum())
                   for p in points)


@pytest.mark.parametrize('degrees, mirrored, wanted', [
    (0, False, 'RGBW'), (90, False, 'GWRB'), (180, False, 'WBGR'),
    (-90, False, 'BRWG'), (0, True, 'GRWB'), (180, True, 'BWRG')])
def test_rotated_video_is_delivered_upright(tmp_path, degrees, mirrored,
                                            wanted):
    path = str(tmp_path / 'a.mp4')
    frame = np.zeros((64, 96, 3), np.uint8)
    for n, name in enumerate('RGBW'):
        frame[n // 2 * 32:, n % 2 * 48:] = CORNERS[name]
        frame[n // 2 * 32:, (n % 2 + 1) * 48:] = 0
    with av.open(path, 'w') as container:
        stream = container.add_stream('libx264', rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, 'yuv444p'
        stream.set_display_rotation(degrees, hflip=mirrored)
        for _ in range(5):
            container.mux(stream.encode(
                av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(stream.encode())
    reader = VideoReader(path)
    shape = (96, 64) if abs(degrees) == 90 else (64, 96)
    rgb = reader.read([3])[3]
    assert reader.shape == rgb.shape[:2] == shape
    assert corners(rgb) == wanted
    grey = reader.read([3], 'grey')[3]
    assert grey.shape == shape
    bright = max(range(4), key=lambda n: grey[
        [shape[0] // 4, 3 * shape[0] // 4][n // 2],
        [shape[1] // 4, 3 * shape[1] // 4][n % 2]])
    assert bright == wanted.index('W')
    if not mirrored:  # OpenCV turns by itself, but does not mirror
        capture = cv2.VideoCapture(path)
        np.testing.assert_allclose(capture.read()[1][..., ::-1],
                                   reader.read([0])[0], atol=3)
        other = VideoReader(path, decoder='decord')
        assert other.shape == shape
        assert corners(other.read([3])[3]) == wanted


@pytest.mark.parametrize('size', [(33, 51), (1, 1), (17, 640)])
def test_odd_sizes(tmp_path, size):
    path = tmp_path / 'a.mp4'
    frames = [np.full((*size, 3), 60 + 9 * n, np.uint8) for n in range(4)]
    tiny_media.write_video(path, frames, pix_fmt='yuv444p')
    reader = VideoReader(str(path))
    _, wanted = in_sequence(path)
    assert reader.shape == size
    check(reader, wanted, [0, 3])
    assert reader.read([3], 'grey')[3].shape == size


def test_full_frames_do_not_pile_up(tmp_path):
    path = str(tmp_path / 'a.mp4')
    frame = np.zeros((2160, 3840, 3), np.uint8)
    tiny_media.write_video(path, [frame] * 20, preset='ultrafast')
    alive, most = [], []

    def view(frame):
        assert frame.shape == (2160, 3840, 3)
        alive.append(weakref.ref(frame))
        most.append(sum(ref() is not None for ref in alive))
        return frame[::10, ::10][:224, :224]

    found = VideoReader(path).read(range(20), view=view)
    assert len(most) == 20 and max(most) <= 2
    assert all(x.shape == (216, 224, 3) and x.base is None
               for x in found.values())


def test_read_gives_memory_of_its_own(tmp_path):
    path = str(tmp_path / 'a.mp4')
    tiny_media.write_video(path, FILM[:8])
    reader = VideoReader(path)
    for view in (None, lambda x: x[3:9], lambda x: x[:, ::-1],
                 lambda x: cv2.resize(x, (5, 4))):
        found = reader.read([1, 2], view=view)
        assert all(frame.base is None for frame in found.values())


def test_bad_numbers_and_arguments(tmp_path):
    path = str(tmp_path / 'a.mp4')
    tiny_media.write_video(path, FILM[:5])
    reader = VideoReader(path)
    assert reader.read([]) == {}
    for indices in ([5], [-1], [0, 99]):
        with pytest.raises(IndexError, match='from 0 to 4'):
            reader.read(indices)
    with pytest.raises(ValueError, match="got 'gray'"):
        reader.read([0], 'gray')
    with pytest.raises(ValueError, match="'decord', 'pyav'"):
        VideoReader(path, decoder='opencv')


def cut_half(path):
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


def test_bad_files(tmp_path):
    path = tmp_path / 'a.mp4'
    with pytest.raises(FileNotFoundError):
        VideoReader(str(path))
    path.touch()
    with pytest.raises(av.error.FFmpegError):
        VideoReader(str(path))
    tiny_media.write_video(path, FILM)
    cut_half(path)
    with pytest.raises(av.error.FFmpegError):
        VideoReader(str(path))
    tiny_media.write_video(path, FILM, faststart=True, g='10')
    cut_half(path)
    with pytest.raises(MediaError, match='cut off: its header lists 60'):
        VideoReader(str(path))
    assert VideoReader(str(path), (0., .3)).num_frames == 9
    with pytest.raises(MediaError, match='cut off: its header lists frames'):
        VideoReader(str(path), (0., 1.9))
    with pytest.raises(MediaError, match='cut off'):
        VideoReader(str(path), (1.5, 1.9))
    tiny_media.write_sound_track(path, np.zeros(16000))
    with pytest.raises(MediaError, match='no video stream'):
        VideoReader(str(path))


def test_a_cover_is_no_video(tmp_path):
    path = tmp_path / 'a.mp4'
    tiny_media.write_video(path, FILM[:1], 'mjpeg', 'yuvj420p')
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        cover = tmp_path / 'b.mp4'
        with av.open(str(cover), 'w') as out:
            stream = out.add_stream_from_template(container.streams.video[0])
            stream.disposition = av.stream.Disposition.attached_pic
            for packet in packets:
                packet.stream = stream
                out.mux(packet)
    with av.open(str(cover)) as container:
        if not container.streams.video[0].disposition:
            pytest.skip('this build of FFmpeg does not write covers')
    with pytest.raises(MediaError, match='no video stream'):
        VideoReader(str(cover))


def test_an_edit_list_is_no_cut(tmp_path):
    """As phones trim: the end of the file is there but never shown."""
    path = tmp_path / 'a.mp4'
    tiny_media.write_video(path, FILM, g='12', bf='2')
    data = bytearray(path.read_bytes())
    at = data.index(b'elst') + 12
    duration, = struct.unpack('>I', data[at:at + 4])
    assert duration == 2000
    data[at:at + 4] = struct.pack('>I', 1000)
    path.write_bytes(data)
    _, wanted = in_sequence(path)
    assert len(wanted) == 30
    reader = VideoReader(str(path))
    assert reader.num_frames == 30
    check(reader, wanted, range(30))


def test_an_edit_list_that_begins_between_key_frames(tmp_path):
    path = tmp_path / 'a.mp4'
    tiny_media.write_video(path, FILM, g='20', bf='2')
    data = bytearray(path.read_bytes())
    at = data.index(b'elst') + 16
    first, = struct.unpack('>I', data[at:at + 4])
    data[at:at + 4] = struct.pack('>I', first + 33 * 512)
    path.write_bytes(data)
    _, wanted = in_sequence(path)
    assert 20 < len(wanted) < 60
    reader = VideoReader(str(path))
    assert reader.num_frames == len(wanted)
    assert reader.times[0] == 0
    for indices in ([0], [3, 7], [len(wanted) - 1], range(len(wanted))):
        check(reader, wanted, indices)
    part = VideoReader(str(path), (.1, .4))
    check(part, wanted[3:], range(part.num_frames))


@pytest.mark.parametrize('decoder', ['pyav', 'decord'])
@pytest.mark.parametrize('name', ['12:30.mp4', 'a b\n%03d.mp4', 'é.mp4',
                                  ' ', 'caf\udce9.mp4'])
def test_names_of_all_kinds(tmp_path, monkeypatch, decoder, name):
    tiny_media.write_video(tmp_path / 'a.mp4', FILM[:4])
    (tmp_path / 'a.mp4').rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert VideoReader(name, decoder=decoder).read([3])[3].shape == (48, 64,
                                                                     3)


@pytest.mark.parametrize('decoder', ['pyav', 'decord'])
def test_a_name_that_is_nothing(decoder):
    with pytest.raises(FileNotFoundError):
        VideoReader('', decoder=decoder)


@pytest.mark.parametrize('name', ['closed', 'pyramid', 'intra', 'no_b'])
def test_decord_gives_the_same(tmp_path, name):
    path = tmp_path / 'a.mp4'
    tiny_media.write_video(path, FILM, **X264[name])
    ours = VideoReader(str(path))
    other = VideoReader(str(path), decoder='decord')
    np.testing.assert_allclose(other.times, ours.times, atol=1e-5)
    assert (other.shape, other.fps) == (ours.shape, ours.fps)
    wanted = ours.read(range(60))
    check(other, [wanted[n] for n in range(60)], [40, 3, 3, 59, 0, 41])
    for segment in [(.2, .7), (1.3, None)]:
        ours = VideoReader(str(path), segment)
        other = VideoReader(str(path), segment, 'decord')
        np.testing.assert_allclose(other.times, ours.times, atol=1e-5)
        wanted = ours.read([0, 7])
        for index, frame in other.read([0, 7]).items():
            np.testing.assert_array_equal(frame, wanted[index])
    with pytest.raises(MediaError, match='no frame from 2'):
        VideoReader(str(path), (2., 3.), 'decord')
    with pytest.raises(ValueError, match="use decoder='pyav' for flow"):
        other.read([0], 'grey')


def test_what_decord_would_get_wrong_is_refused(tmp_path):
    path = tmp_path / 'a.mp4'
    tiny_media.write_video(path, FILM, **X264['open'])
    with pytest.raises(MediaError, match='open GOP.*decoder=.pyav'):
        VideoReader(str(path), decoder='decord')
    tiny_media.write_video(tmp_path / 'a.h264', FILM)
    with pytest.raises(MediaError, match='needs time stamps'):
        VideoReader(str(tmp_path / 'a.h264'), decoder='decord')
    tiny_media.write_video(path, FILM, faststart=True, g='10')
    cut_half(path)
    with pytest.raises(MediaError, match='cut off'):
        VideoReader(str(path), decoder='decord')
    tiny_media.write_sound_track(path, np.zeros(16000))
    with pytest.raises(MediaError, match='no video stream'):
        VideoReader(str(path), decoder='decord')
