"""Tiny encoded media and a tiny EPIC-Kitchens set for the tests."""
import csv
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile

COLUMNS = ('uid', 'participant_id', 'video_id', 'narration',
           'start_timestamp', 'stop_timestamp', 'start_frame', 'stop_frame',
           'verb', 'verb_class')
RATE = 16000

# Transforms and sizes of the mini set's configs, but for the host's default
# crop and 2 s of sound: longer than a clip of one second, which is repeated.
VIDEO = [
    dict(type='DecordInit', num_threads=1),
    dict(type='SampleFrames', clip_len=8, frame_interval=4, num_clips=1),
    dict(type='DecordDecode'),
    dict(type='Resize', scale=(-1, 56)),
    dict(type='RandomResizedCrop'),
    dict(type='Resize', scale=(48, 48), keep_ratio=False),
    dict(type='Flip', flip_ratio=.5),
    dict(type='FormatShape', input_format='NCTHW'),
]
FLOW = [
    dict(type='ClipInit'),
    dict(type='SampleFrames', clip_len=8, frame_interval=2, num_clips=1),
    dict(type='ClipDecode'),
    dict(type='Resize', scale=(-1, 56)),
    dict(type='RandomResizedCrop'),
    dict(type='Resize', scale=(48, 48), keep_ratio=False),
    dict(type='FlowFlip', flip_ratio=.5),
    dict(type='FormatShape', input_format='NCTHW'),
]
AUDIO = [
    dict(type='LoadAudioClip', duration=2.0),
    dict(type='AudioSpectrogram'),
    dict(type='SpectrogramAugment'),
]
PIPELINES = dict(video=VIDEO, flow=FLOW, audio=AUDIO)


def full_pipeline(*modalities, **kwargs):
    """Config of a whole pipeline for some modalities."""
    names = modalities or tuple(PIPELINES)
    return [
        dict(
            type='MultiModalPipeline',
            pipelines={name: PIPELINES[name]
                       for name in names},
            **kwargs),
        dict(type='PackMultiModalInputs', collect_keys=names),
    ]


def write_video(path, frames, codec='libx264', pix_fmt='yuv420p', rate=30,
                faststart=False, **codec_options):
    """Encode (H, W) grey or (H, W, 3) RGB uint8 frames through PyAV."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    options = dict(movflags='faststart') if faststart else {}
    with av.open(str(path), 'w', options=options) as container:
        stream = container.add_stream(codec, rate=rate, options=codec_options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.thread_count = 1
        layout = 'gray' if frames[0].ndim == 2 else 'rgb24'
        for frame in frames:
            frame = av.VideoFrame.from_ndarray(frame, format=layout)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_wav(path, samples, rate=RATE):
    """Write float samples, (L,) or (L, channels), as 16 bit PCM."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(str(path), samples, rate, subtype='PCM_16')


def write_sound_track(path, samples, rate=RATE, codec='aac', video=(),
                      offset=0., **codec_options):
    """Encode float samples, (L,) or (L, channels), in a container.

    With ``video``, RGB frames of 30 a second, of which the first is shown
    at 0 s; the sound begins ``offset`` seconds later.
    """
    samples = np.atleast_2d(np.asarray(samples, np.float32).T)
    layout = {1: 'mono', 2: 'stereo', 6: '5.1'}[len(samples)]
    with av.open(str(path), 'w') as container:
        if len(video):
            picture = container.add_stream('libx264', rate=30)
            picture.height, picture.width = video[0].shape[:2]
            picture.pix_fmt = 'yuv420p'
        stream = container.add_stream(codec, rate=rate, layout=layout,
                                      options=codec_options)
        for frame in video:
            container.mux(picture.encode(
                av.VideoFrame.from_ndarray(frame, format='rgb24')))
        if len(video):
            container.mux(picture.encode())
        for first in range(0, samples.shape[1], 960):
            part = np.ascontiguousarray(samples[:, first:first + 960])
            frame = av.AudioFrame.from_ndarray(part, 'fltp', layout)
            frame.rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = first + round(offset * rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def row(video_id='P01_01', start=0, stop=60, label=0, fps=60, **changes):
    """One row of an annotation file; frames of 60 a second."""
    found = dict(
        uid=start,
        participant_id=video_id[:3],
        video_id=video_id,
        narration='take cup, put it',
        start_timestamp=f'00:00:{start / fps:05.2f}',
        stop_timestamp=f'00:00:{stop / fps:05.2f}',
        start_frame=start,
        stop_frame=stop,
        verb='take',
        verb_class=label)
    found.update(changes)
    return found


def write_annotations(path, rows):
    """Write rows as CSV."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def media_paths(root, domain, split, item):
    """Paths of one row's video, u, v and sound."""
    start, stop, label = (item[k]
                          for k in ('start_frame', 'stop_frame', 'verb_class'))
    first = (start + 1) // 2
    last = first + int((stop - start) / 2)
    name = f'{domain}_{item["video_id"]}'
    flow = Path(root, 'flow', split, domain, f'{name}_{first}_{last}_{label}')
    return (Path(root, 'video', split, domain,
                 f'{name}_{start}_{stop}_{label}.mp4'),
            flow.with_name(flow.name + '_u.mp4'),
            flow.with_name(flow.name + '_v.mp4'),
            Path(root, 'audio', split, domain, f'{item["video_id"]}.wav'))


def write_set(root, domains=('D1', ), splits=('train', ), clips=4, frames=40):
    """Write a whole set in the layout "clips"; returns rows by file stem."""
    rng = np.random.default_rng(0)
    rgb = [rng.integers(0, 255, (40, 64, 3), dtype=np.uint8)
           for _ in range(frames)]
    grey = [rng.integers(90, 170, (40, 64), dtype=np.uint8)
            for _ in range(frames // 2)]
    rows = {}
    for domain in domains:
        for split in splits:
            items = [row(start=60 * n, stop=60 * n + 60, label=n % 8)
                     for n in range(clips)]
            for item in items:
                video, u, v, sound = media_paths(root, domain, split, item)
                write_video(video, rgb)
                write_video(u, grey)
                write_video(v, grey)
            write_wav(sound, rng.uniform(-.5, .5, RATE * clips))
            write_annotations(Path(root, f'{domain}_{split}.csv'), items)
            rows[f'{domain}_{split}'] = items
    return rows
