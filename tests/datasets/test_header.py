"""What a header says of orientation, and that no frame is decoded for it."""
import struct

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from mbcd_mmaction.datasets.readers import VideoReader
from mbcd_mmaction.datasets.readers.header import (
    Header,
    h264_is_silent,
    read_header,
)

FILM = np.random.default_rng(0).integers(0, 255, (5, 48, 64, 3), np.uint8)


def write(path, degrees=0, codec='libx264', form=None):
    with av.open(str(path), 'w', format=form) as file:
        stream = file.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        if degrees:
            stream.set_display_rotation(degrees)
        for image in FILM:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        file.mux(stream.encode(None))
    return str(path)


def opened(path):
    """Frames decoded to open it, and (H, W)."""
    reader = VideoReader(path)
    return reader.frames_decoded, reader.shape


@pytest.mark.parametrize('name, degrees, codec, decoded', [
    ('a.mp4', 0, 'libx264', 0), ('a.mov', 0, 'libx264', 0),
    ('a.mp4', -90, 'libx264', 1), ('a.mp4', 180, 'libx264', 1),
    ('a.mp4', 0, 'mpeg4', 1), ('a.mkv', 0, 'libx264', 1)])
def test_a_frame_is_decoded_only_where_the_header_leaves_doubt(
        tmp_path, name, degrees, codec, decoded):
    path = write(tmp_path / name, degrees, codec)
    shape = (64, 48) if degrees == -90 else (48, 64)
    assert opened(path) == (decoded, shape)


def test_a_message_in_the_stream_is_found(tmp_path):
    plain, turned = write(tmp_path / 'a.mp4'), str(tmp_path / 'b.mp4')
    with av.open(plain) as source, av.open(turned, 'w') as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        change = BitStreamFilterContext(
            'h264_metadata=display_orientation=insert:rotate=90', stream)
        for packet in source.demux(video=0):
            for changed in change.filter(packet if packet.size else None):
                changed.stream = stream
                target.mux(changed)
    assert read_header(turned).as_stored  # nothing in the header
    assert opened(turned) == (1, (64, 48))


def test_the_size_is_the_streams_not_the_boxes(tmp_path):
    path = tmp_path / 'a.mp4'
    write(path)
    data = path.read_bytes()
    place = data.index(b'avc1', data.index(b'stsd')) + 28
    assert struct.unpack('>HH', data[place:place + 4]) == (64, 48)
    path.write_bytes(data[:place] + struct.pack('>HH', 32, 32)
                     + data[place + 4:])
    assert opened(str(path)) == (0, (48, 64))
    assert VideoReader(str(path)).read([2])[2].shape == (48, 64, 3)


def test_doubt_is_no_certainty(tmp_path):
    path = tmp_path / 'a.mp4'
    write(path)
    data = path.read_bytes()
    for name, content in dict(
            empty=b'', text=b'words, and more of them',
            half=data[:data.index(b'tkhd') + 20],
            tiny_box=b'\0\0\0\4moov' + data).items():
        (tmp_path / name).write_bytes(content)
        assert read_header(str(tmp_path / name)) == Header(False, False)
    assert read_header(str(tmp_path / 'missing')) == Header(False, False)
    with av.open(str(path)) as file:
        extradata = file.streams.video[0].codec_context.extradata
        packet = bytes(next(file.demux(video=0)))
    assert h264_is_silent(extradata, packet)
    assert not h264_is_silent(None, packet)
    assert not h264_is_silent(b'\0\0\0\1\x67', packet)  # not as mp4 has it
    assert not h264_is_silent(extradata, packet[:20])
    for message in (b'\x2f\1\0\x80', b'\x05\xff', b'\x05\2\0\x80'):
        unit = b'\6' + message
        assert not h264_is_silent(
            extradata, len(unit).to_bytes(4, 'big') + unit + packet)
