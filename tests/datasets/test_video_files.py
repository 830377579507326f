"""Files that are broken, trimmed, oddly named, or not for decord."""
import struct

import av
import numpy as np
import pytest
import tiny_media
from tiny_films import FILM, X264, check, cut_half, in_sequence

from mbcd_mmaction.datasets import MediaError
from mbcd_mmaction.datasets.readers import VideoReader


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
