"""The list in an mp4's header stands for its packets where it can."""
import av
import numpy as np
import pytest
from tiny_films import FILM, check, in_sequence, write_at

from mbcd_mmaction.datasets import MediaError
from mbcd_mmaction.datasets.readers import VideoReader, whole_file

VARIABLE = [n * 20 + n % 3 * 7 + 400 * (n > 20) for n in range(60)]
EVEN = [n * 40 for n in range(60)]
NO_B = dict(g='8', bf='0')


def remuxed(source, target, first=0, sound=False, **options):
    """Copy packets, shifted so that packet ``first`` is shown at 0."""
    with av.open(str(source)) as old, av.open(
            str(target), 'w', options=options) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        if sound:
            track = new.add_stream('aac', rate=16000)
            track.layout = 'mono'
        packets = [p for p in old.demux(video=0) if p.size]
        shift = packets[first].pts
        for packet in packets:
            packet.stream = stream
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            new.mux(packet)
        if sound:
            for place in range(0, 32000, 1024):
                frame = av.AudioFrame.from_ndarray(
                    np.zeros((1, 1024), np.float32), 'fltp', 'mono')
                frame.sample_rate, frame.pts = 16000, place
                new.mux(track.encode(frame))
            new.mux(track.encode(None))
    return target


def both_ways(path, monkeypatch):
    """Readers by the header if that is enough, and by all packets."""
    quick = VideoReader(str(path))
    with monkeypatch.context() as patch:
        patch.setattr(whole_file, '_listed', lambda *_: None)
        slow = VideoReader(str(path))
    assert quick.media._table.entries == slow.media._table.entries
    np.testing.assert_array_equal(quick.times, slow.times)
    assert slow.media.packets_read >= slow.num_frames
    return quick


@pytest.mark.parametrize('stamps', [EVEN, VARIABLE])
@pytest.mark.parametrize('change', [
    None, {}, dict(movflags='+faststart'), dict(first=5), dict(sound=True)],
    ids=str)
def test_the_list_is_used_and_equal(tmp_path, monkeypatch, stamps, change):
    path = tmp_path / 'a.mp4'
    write_at(path, FILM, stamps, **NO_B)
    if change is not None:
        path = remuxed(path, tmp_path / 'b.mp4', **change)
    reader = both_ways(path, monkeypatch)
    assert reader.media.packets_read == 1
    assert reader.frames_decoded == 0
    _, wanted = in_sequence(path)
    assert reader.num_frames == len(wanted)
    for indices in ([0], [len(wanted) - 1], [23, 24, 31], [40, 3]):
        check(reader, wanted, indices)


def test_few_bytes_are_read_of_a_long_clip(tmp_path):
    path = tmp_path / 'a.mp4'
    write_at(path, FILM, EVEN, **NO_B)
    reader = VideoReader(str(path))
    reader.read([40, 43])
    assert reader.media.packets_read <= 1 + 5  # the first, and 40 to 43
    assert reader.media.bytes_read < path.stat().st_size / 3


@pytest.mark.parametrize('case', ['b_frames', 'fragments', 'matroska'])
def test_packets_are_read_where_the_list_is_not_enough(
        tmp_path, monkeypatch, case):
    path = tmp_path / ('a.mkv' if case == 'matroska' else 'a.mp4')
    write_at(path, FILM, EVEN,
             **(dict(g='8', bf='2') if case == 'b_frames' else NO_B))
    if case == 'fragments':
        path = remuxed(path, tmp_path / 'b.mp4',
                       movflags='+frag_keyframe+empty_moov')
    reader = both_ways(path, monkeypatch)
    assert reader.num_frames == 60 <= reader.media.packets_read
    check(reader, in_sequence(path)[1], [0, 33, 59])


def test_a_cut_file_is_refused_as_before(tmp_path):
    whole = tmp_path / 'a.mp4'
    write_at(whole, FILM, EVEN, **NO_B)
    quick = remuxed(whole, tmp_path / 'b.mp4', movflags='+faststart')
    data = quick.read_bytes()
    for share in (.6, .9):
        quick.write_bytes(data[:int(len(data) * share)])
        with pytest.raises(MediaError, match='cut off: its header lists 60'):
            VideoReader(str(quick))
