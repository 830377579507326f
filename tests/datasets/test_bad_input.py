"""What is wrong with people's files, through a whole dataset.

Each case is one clip in front of a good one. Either the first says clearly
what is wrong with it, or it is read like any other.
"""
import os
import pickle

import av
import cv2
import numpy as np
import pytest
import soundfile
import tiny_media
from tiny_films import FILM, cut_half, write_at

from mbcd_mmaction.datasets import ClipReadError, MultiModalDataset

GREYS = [frame[..., 0] for frame in FILM]
WAVE = np.sin(np.arange(2 * 44100) * .05) * .5
FRAMES = [
    dict(type='ClipInit'),
    dict(type='SampleFrames', clip_len=8, frame_interval=2, num_clips=1),
    dict(type='ClipDecode'),
    dict(type='Resize', scale=(24, 24), keep_ratio=False),
    dict(type='FormatShape', input_format='NCTHW'),
]
SOUND = [dict(type='LoadAudioClip', duration=.5),
         dict(type='AudioSpectrogram')]
PIPELINES = dict(video=FRAMES, flow=FRAMES, audio=SOUND)
SHAPES = dict(video=(1, 3, 8, 24, 24), flow=(1, 2, 8, 24, 24),
              audio=(1, 1, 257, 48))
KINDS = dict(video='RGB', flow='Flow', audio='Audio')


class Clips(MultiModalDataset):
    """Two clips of one modality."""

    def __init__(self, modality, sources, **kwargs):
        self.key, self.sources = modality, sources
        super().__init__(
            pipeline=[
                dict(type='MultiModalPipeline',
                     pipelines={modality: PIPELINES[modality]}),
                dict(type='PackMultiModalInputs', collect_keys=[modality])
            ], serialize_data=False, **kwargs)

    def load_data_list(self):
        return [
            dict(label=number, domain='D', split='train',
                 clip_id=f'D_{number}', video_id='V', start=0., stop=1.,
                 sources={self.key: source})
            for number, source in enumerate(self.sources)
        ]


def source_of(modality, filename, **fields):
    return dict(filename=filename, modality=KINDS[modality], start_index=0,
                **fields)


def good(folder, modality):
    """The clip that every case can be replaced by."""
    if modality == 'audio':
        tiny_media.write_wav(folder / 'good.wav', WAVE)
        return source_of(modality, str(folder / 'good.wav'))
    tiny_media.write_video(folder / 'good.mp4', FILM)
    path = str(folder / 'good.mp4')
    return source_of(modality, (path, path) if modality == 'flow' else path)


def make(folder, modality, case):
    """Write a case's files; its source and the file at fault."""
    found = case(folder / 'a.mp4')
    fields = {}
    if isinstance(found, tuple):
        found, fields = found
    path = found if isinstance(found, str) else str(folder / 'a.mp4')
    filename = path
    if modality == 'flow':
        tiny_media.write_video(folder / 'x.mp4', GREYS)
        filename = (str(folder / 'x.mp4'), path)
    culprit = fields.pop('culprit', path)
    return source_of(modality, filename, **fields), culprit


# Files that cannot be used. Each writes what it is about to the path, and
# may return another path or fields of the source.

def missing(path):
    pass


def empty(path):
    path.touch()


def text(path):
    path.write_text('this is no film\n' * 200)


def truncated(path):
    tiny_media.write_video(path, FILM)
    cut_half(path)


def truncated_behind_the_index(path):
    tiny_media.write_video(path, FILM, faststart=True, g='10')
    cut_half(path)


def sound_alone(path):
    tiny_media.write_sound_track(path, WAVE[:16000])


def folder(path):
    path.mkdir()


def blank(path):
    return ''


def spaces(path):
    return '   ', dict(culprit="'   '")


def not_utf8_and_missing(path):
    path = str(path.with_name('caf\udce9.mp4'))
    return path, dict(culprit=path.replace('\udce9', '\\xe9'))


def beyond_the_end(path):
    tiny_media.write_video(path, FILM)
    return str(path), dict(segment=(9., 10.))


def stop_before_start(path):
    tiny_media.write_video(path, FILM)
    return str(path), dict(segment=(1., .5))


def stop_is_start(path):
    tiny_media.write_video(path, FILM)
    return str(path), dict(segment=(1., 1.))


def a_frame_of_another_size(path):
    tiny_media.write_video(path, [x[:32] for x in GREYS])


def write_images(folder, total=16):
    folder.mkdir()
    for number, frame in enumerate(FILM[:16], 1):
        cv2.imwrite(str(folder / f'{number}.jpg'), frame)
    return str(folder), dict(template='{}.jpg', first=1, total_frames=total,
                             fps=30.)


def image_missing(path):
    folder, fields = write_images(path.with_suffix(''))
    culprit = os.path.join(folder, '3.jpg')
    os.remove(culprit)
    return folder, dict(fields, culprit=culprit)


def image_cut(path):
    folder, fields = write_images(path.with_suffix(''))
    culprit = path.with_suffix('') / '3.jpg'
    cut_half(culprit)
    return folder, dict(fields, culprit=str(culprit))


def image_empty(path):
    folder, fields = write_images(path.with_suffix(''))
    culprit = path.with_suffix('') / '1.jpg'
    culprit.write_bytes(b'')
    return folder, dict(fields, culprit=str(culprit))


def no_images(path):
    return write_images(path.with_suffix(''), 0)


def fewer_than_no_images(path):
    return write_images(path.with_suffix(''), -5)


def video_without_sound(path):
    tiny_media.write_video(path, FILM)


def wav_empty(path):
    path.with_suffix('.wav').touch()
    return str(path.with_suffix('.wav'))


def wav_text(path):
    text(path.with_suffix('.wav'))
    return str(path.with_suffix('.wav'))


def wav_nan(path):
    wave = WAVE.copy()
    wave[100] = np.nan
    soundfile.write(str(path.with_suffix('.wav')), wave, 16000, 'FLOAT')
    return str(path.with_suffix('.wav'))


NO_FILE = [
    (missing, 'no such file'), (empty, r'the file is empty \(0 bytes\)'),
    (text, 'InvalidDataError'), (truncated, 'InvalidDataError'),
    (folder, 'directory'), (blank, 'the path is blank'),
    (spaces, 'the path is blank'), (not_utf8_and_missing, 'no such file')]
NO_FRAMES = [
    *NO_FILE, (truncated_behind_the_index, 'cut off: its header lists 60'),
    (sound_alone, 'it holds no video stream')]
NO_IMAGES = [
    (image_missing, 'no such file'), (image_cut, 'cut off or broken'),
    (image_empty, '0 bytes'), (no_images, 'gives it 0'),
    (fewer_than_no_images, 'gives it -5')]
BAD = [('video', *case) for case in [
    *NO_FRAMES, *NO_IMAGES, (beyond_the_end, 'no frame from 9.00 s'),
    (stop_before_start, 'stop is after its start'),
    (stop_is_start, 'stop is after its start')]]
BAD += [('flow', *case) for case in [
    *NO_FRAMES, (a_frame_of_another_size, r'\(32, 64\).*\(48, 64\)')]]
BAD += [('audio', *case) for case in [
    *NO_FILE, (video_without_sound, 'it holds no sound'),
    (wav_empty, '0 bytes'), (wav_text, 'LibsndfileError'),
    (wav_nan, 'not all finite')]]


@pytest.mark.parametrize('modality, case, reason', BAD, ids=[
    f'{modality}-{case.__name__}' for modality, case, _ in BAD])
def test_a_file_that_cannot_be_used(tmp_path, modality, case, reason):
    source, culprit = make(tmp_path, modality, case)
    sources = [source, good(tmp_path, modality)]
    culprit = culprit or "''"
    with pytest.raises(ClipReadError, match=reason) as caught:
        Clips(modality, sources, test_mode=True)[0]
    error = caught.value
    assert (error.modality, error.clip_id) == (modality, 'D_0')
    assert error.path == culprit and error.reason
    message = str(pickle.loads(pickle.dumps(error)))
    assert culprit in message and error.reason in message
    message.encode()  # a log can hold it
    for skipped, dataset in (
            (True, Clips(modality, sources, test_mode=True, on_error='skip')),
            (False, Clips(modality, sources, max_refetch=60))):
        np.random.seed(0)
        data = dataset[0]
        sample = data['data_samples']
        assert sample.clip_id == 'D_1'
        assert sample.skipped is skipped
        assert {failure[:] for failure in sample.read_errors} == {
            (culprit, error.reason, modality, 'D_0')}
        assert data['inputs'][modality].shape == SHAPES[modality]


# Files that are merely unusual.

def shorter_than_a_window(path):
    tiny_media.write_video(path, FILM[:3])


def one_frame(path):
    tiny_media.write_video(path, FILM[:1])


def variable_rate(path):
    write_at(path, FILM, [n * 20 + n % 3 * 7 for n in range(60)])


def rotated(path):
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        stream.set_display_rotation(-90)
        for image in FILM:
            container.mux(stream.encode(
                av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(stream.encode())


def odd_size(path):
    tiny_media.write_video(path, [x[:47, :63] for x in FILM],
                           pix_fmt='yuv444p')


def large(path):
    tiny_media.write_video(path, [np.zeros((2160, 3840, 3), np.uint8)] * 9,
                           preset='ultrafast')


def not_utf8(path):
    tiny_media.write_video(path, FILM)
    path.rename(path.with_name('caf\udce9.mp4'))
    return str(path.with_name('caf\udce9.mp4'))


def past_its_end(path):
    tiny_media.write_video(path, FILM)
    return str(path), dict(segment=(1.5, 60.))


def ten_bits(path):
    tiny_media.write_video(path, FILM, pix_fmt='yuv420p10le')


def images(path):
    return write_images(path.with_suffix(''))


def a_frame_less(path):
    tiny_media.write_video(path, GREYS[:-1])


def a_smaller_one(path):
    tiny_media.write_video(path, GREYS[:3])


def wav(subtype, channels=1, rate=16000, segment=None):
    def case(path):
        path = str(path.with_suffix('.wav'))
        soundfile.write(path, np.stack([WAVE] * channels, 1), rate, subtype)
        return path, dict(segment=segment)

    case.__name__ = f'{subtype}-{channels}-{rate}-{segment}'
    return case


def sound_of_a_video(path):
    tiny_media.write_sound_track(path, WAVE, 44100, video=FILM)


def stereo_track(path):
    tiny_media.write_sound_track(path, np.stack([WAVE] * 2, 1), 44100,
                                 video=FILM)


def sound_not_utf8(path):
    sound_of_a_video(path)
    path.rename(path.with_name('caf\udce9.mp4'))
    return str(path.with_name('caf\udce9.mp4'))


SILENT = [wav('PCM_16', segment=(900., 901.)), wav('PCM_16', segment=(1, 1)),
          wav('PCM_16', segment=(2., 1.))]
UNUSUAL = [('video', case) for case in (
    shorter_than_a_window, one_frame, variable_rate, rotated, odd_size,
    large, not_utf8, past_its_end, ten_bits, images)]
UNUSUAL += [('flow', case) for case in (
    a_frame_less, a_smaller_one, one_frame, not_utf8)]
UNUSUAL += [('audio', case) for case in (
    wav('PCM_16', 2, 44100), wav('PCM_U8'), wav('PCM_24', 2, 48000),
    wav('FLOAT', 6), wav('PCM_16', segment=(1., None)), sound_of_a_video,
    stereo_track, sound_alone, sound_not_utf8, *SILENT)]


@pytest.mark.parametrize('modality, case', UNUSUAL, ids=[
    f'{modality}-{case.__name__}' for modality, case in UNUSUAL])
def test_a_file_that_is_unusual(tmp_path, modality, case):
    source, _ = make(tmp_path, modality, case)
    data = Clips(modality, [source], test_mode=True)[0]
    assert data['inputs'][modality].shape == SHAPES[modality]
    sample = data['data_samples']
    assert sample.read_errors == [] and not sample.skipped
    if modality == 'audio':
        assert sample.audio_empty == (case in SILENT)
        assert data['inputs'][modality].any() != (case in SILENT)
