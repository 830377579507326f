"""What the mini set is made of: classes, domains and the plan of clips.

The recipe imitates multi-modal domain generalisation in a kitchen. Every
modality tells the class, none of them always, and each domain (a person with
a kitchen, a camera and a microphone) shifts each of them.

Cues of the class, and why they are as they are:

* Appearance. The *colour* of the object agrees with the class's colour in
  this domain in 85 % of the clips, and a *prop* lying in the background in
  70 %: strong and easy cues, as place and kitchenware are in real kitchens.
  Which colour and prop belong to a class is a habit of the person: the
  domains share only part of the table. The *shape* of the object is the
  same in every domain, but holds in 70 % and is small: a weak, lasting cue.
* Motion. Each class has a trajectory family (up, down, growing, shrinking,
  rubbing, chopping, stirring, tilting). Nothing depends on left or right, so
  that a horizontal flip keeps the label. Ranges of neighbours overlap (wash
  and mix, put and pour, cut and wash): flow alone confuses these.
* Sound. Each class has an event family (swish, thud, creak, knock, running
  water, chopping, ringing taps, filling). The confusable pairs are others
  (take and open, put and close, cut and mix, wash and pour), so that motion
  and sound complete each other.
* Missing cues. Independently of each other, the object is covered by the
  hand, hardly moves, or is out of reach of the microphone in some clips.

Shifts of the domain:

* D1: tiles, neutral light, tripod, 25 fps; quiet, dry room, good microphone.
* D2: wooden planks, warm dim light, hand-held sway, slow person, 24 fps; pink
  noise, long reverberation, dull microphone.
* D3: plain cold worktop, hard light and clutter, panning camera, quick
  person, 30 fps; mains hum and hiss, thin microphone, higher voices of things.
"""
from dataclasses import dataclass

import numpy as np

RECIPE_VERSION = 1
FRAME_SIZE = 64
SAMPLE_RATE = 16000
FLOW_BOUND = 8.0
CLIPS_PER_RECORDING = 8
CLIP_SECONDS = (0.95, 1.30)
GAP_SECONDS = (0.03, 0.10)

COLOUR_MATCH = 0.85
PROP_MATCH = 0.70
SHAPE_MATCH = 0.70
COVERED = 0.12
HARDLY_MOVES = 0.15
OFF_MIC = 0.15

SPLITS = ('train', 'test')
SHAPES = ('disc', 'triangle', 'square', 'ring', 'star', 'bar', 'cross',
          'corner')
PROPS = ('board', 'hob', 'sink', 'tap', 'bottle', 'plate', 'rack', 'box')


@dataclass(frozen=True)
class ActionClass:
    """Cues of a class that hold in every domain.

    Args:
        verb (str): Name, as in EPIC-Kitchens; the index is ``verb_class``.
        noun (str): Object of the narration.
        motion (str): Trajectory family, see :mod:`.motion`.
        sound (str): Event family, see :mod:`.sound`.
        shape (str): Usual shape of the object.
    """
    verb: str
    noun: str
    motion: str
    sound: str
    shape: str


CLASSES: tuple[ActionClass, ...] = (
    ActionClass('take', 'plate', 'up', 'swish', 'disc'),
    ActionClass('put', 'bowl', 'down', 'thud', 'triangle'),
    ActionClass('open', 'drawer', 'grow', 'creak', 'square'),
    ActionClass('close', 'tin', 'shrink', 'knock', 'ring'),
    ActionClass('wash', 'spoon', 'rub', 'water', 'star'),
    ActionClass('cut', 'carrot', 'chop', 'chops', 'bar'),
    ActionClass('mix', 'sauce', 'stir', 'taps', 'cross'),
    ActionClass('pour', 'milk', 'tilt', 'filling', 'corner'),
)


@dataclass(frozen=True)
class Look:
    """Appearance of a domain.

    Args:
        colours (tuple[int]): Hue index (of eight around the colour circle)
            of each class.
        props (tuple[int]): Index into :data:`PROPS` of each class.
        ground (str): Texture of the worktop: 'tiles', 'planks' or 'plain'.
        ground_hsv (tuple[float]): Its colour; hue in degrees, rest 0 to 1.
        light (tuple[float]): Gain of red, green and blue.
        contrast (float): Contrast about middle grey.
        saturation (tuple[float]): Range of the object's saturation.
        grain (float): Sensor noise, standard deviation in grey levels.
        clutter (int): Number of idle things of random colour and shape.
    """
    colours: tuple[int, ...]
    props: tuple[int, ...]
    ground: str
    ground_hsv: tuple[float, float, float]
    light: tuple[float, float, float]
    contrast: float
    saturation: tuple[float, float]
    grain: float
    clutter: int


@dataclass(frozen=True)
class Camera:
    """Motion of the camera and pace of the person.

    Args:
        frame_rate (int): Frames per second of the domain's recordings.
        tremor (float): Standard deviation of the jitter, in pixels.
        sway (float): Amplitude of the slow sway, in pixels.
        pan (float): Speed of the pan, in pixels per second.
        pace (float): Factor on the speed of the action.
        reach (float): Factor on the extent of the action.
    """
    frame_rate: int
    tremor: float
    sway: float
    pan: float
    pace: float
    reach: float


@dataclass(frozen=True)
class Microphone:
    """Room and microphone of a domain.

    Args:
        noise_slope (float): Exponent of the noise's power over frequency
            (0 white, 1 pink, 2 brown).
        snr_db (float): Level of the events over the noise.
        hum_db (float): Level of mains hum against the noise.
        reverb_seconds (float): Time in which the echo falls by 60 dB.
        reverb_mix (float): Level of the echo against the direct sound.
        band (tuple[float]): Pass band of the microphone, in hertz.
        gain_db (float): Level of the recording.
        pitch (float): Factor on the frequencies of the things.
    """
    noise_slope: float
    snr_db: float
    hum_db: float
    reverb_seconds: float
    reverb_mix: float
    band: tuple[float, float]
    gain_db: float
    pitch: float


@dataclass(frozen=True)
class Domain:
    """A person with a kitchen, a camera and a microphone."""
    participant: str
    look: Look
    camera: Camera
    microphone: Microphone


DOMAINS: dict[str, Domain] = dict(
    D1=Domain(
        'P08',
        Look(colours=(0, 1, 2, 3, 4, 5, 6, 7),
             props=(0, 1, 2, 3, 4, 5, 6, 7), ground='tiles',
             ground_hsv=(200., .10, .62), light=(1., 1., 1.), contrast=1.,
             saturation=(.65, .95), grain=2., clutter=0),
        Camera(frame_rate=25, tremor=.2, sway=.5, pan=0., pace=1., reach=1.),
        Microphone(noise_slope=0., snr_db=14., hum_db=-40.,
                   reverb_seconds=.08, reverb_mix=.15, band=(60., 7600.),
                   gain_db=-6., pitch=1.)),
    D2=Domain(
        'P01',
        Look(colours=(0, 4, 2, 1, 3, 5, 7, 6),
             props=(0, 3, 2, 1, 4, 6, 5, 7), ground='planks',
             ground_hsv=(28., .45, .45), light=(1.12, .95, .75), contrast=.8,
             saturation=(.5, .8), grain=4., clutter=1),
        Camera(frame_rate=24, tremor=.5, sway=2.5, pan=0., pace=.85,
               reach=.9),
        Microphone(noise_slope=1., snr_db=8., hum_db=-30.,
                   reverb_seconds=.45, reverb_mix=.5, band=(60., 4200.),
                   gain_db=-14., pitch=.85)),
    D3=Domain(
        'P22',
        Look(colours=(5, 4, 2, 3, 0, 1, 7, 6),
             props=(2, 3, 0, 1, 4, 6, 7, 5), ground='plain',
             ground_hsv=(150., .15, .78), light=(.85, .97, 1.15),
             contrast=1.2, saturation=(.6, .95), grain=3., clutter=2),
        Camera(frame_rate=30, tremor=.3, sway=1., pan=7., pace=1.2,
               reach=1.1),
        Microphone(noise_slope=.4, snr_db=9., hum_db=-4.,
                   reverb_seconds=.2, reverb_mix=.3, band=(350., 7000.),
                   gain_db=-9., pitch=1.2)),
)


@dataclass(frozen=True)
class ClipPlan:
    """One labelled clip of a recording; frames count from the start of it.

    Args:
        label (int): Index into :data:`CLASSES`.
        start_frame (int): First frame.
        stop_frame (int): Frame after the last.
    """
    label: int
    start_frame: int
    stop_frame: int

    @property
    def num_frames(self) -> int:
        """int: Number of frames."""
        return self.stop_frame - self.start_frame

    @property
    def flow_start(self) -> int:
        """int: First flow field; flow runs at half the frame rate."""
        return -(-self.start_frame // 2)

    @property
    def num_flows(self) -> int:
        """int: Number of flow fields."""
        return self.num_frames // 2


@dataclass(frozen=True)
class RecordingPlan:
    """One recording: clips after one another, with gaps.

    Args:
        domain (str): 'D1', 'D2' or 'D3'.
        split (str): 'train' or 'test'.
        index (int): Number of the recording within domain and split.
        video_id (str): EPIC name, e.g. 'P08_01'; unique over the splits.
        clips (tuple[ClipPlan]): Clips in order of time.
        num_frames (int): Length of the recording.
        seed (int): Seed of the set.
    """
    domain: str
    split: str
    index: int
    video_id: str
    clips: tuple[ClipPlan, ...]
    num_frames: int
    seed: int

    @property
    def frame_rate(self) -> int:
        """int: Frames per second."""
        return DOMAINS[self.domain].camera.frame_rate

    def generator(self, *key: int) -> np.random.Generator:
        """Random numbers that depend on nothing but the place in the set.

        Args:
            *key (int): What they are for, e.g. modality and clip.
        """
        return _generator(self.seed, self.domain, self.split, self.index + 1,
                          *key)


def _generator(seed: int, domain: str, split: str,
               *key: int) -> np.random.Generator:
    place = (list(DOMAINS).index(domain), SPLITS.index(split))
    return np.random.default_rng([seed, RECIPE_VERSION, *place, *key])


def plan_split(seed: int, domain: str, split: str, num_clips: int,
               first_number: int) -> list[RecordingPlan]:
    """Lay out the recordings of one split of one domain.

    Args:
        seed (int): Seed of the set.
        domain (str): 'D1', 'D2' or 'D3'.
        split (str): 'train' or 'test'.
        num_clips (int): Number of clips, a multiple of eight; classes are
            balanced.
        first_number (int): Number in the first ``video_id``.

    Returns:
        list[RecordingPlan]: Recordings of eight clips each.
    """
    rng = _generator(seed, domain, split, 0)
    labels = rng.permutation(np.arange(num_clips) % len(CLASSES))
    rate = DOMAINS[domain].camera.frame_rate
    plans = []
    for index in range(num_clips // CLIPS_PER_RECORDING):
        clips, frame = [], 0
        first = index * CLIPS_PER_RECORDING
        for label in labels[first:first + CLIPS_PER_RECORDING]:
            frame += max(1, round(rng.uniform(*GAP_SECONDS) * rate))
            stop = frame + round(rng.uniform(*CLIP_SECONDS) * rate)
            clips.append(ClipPlan(int(label), frame, stop))
            frame = stop
        video_id = f'{DOMAINS[domain].participant}_{first_number + index:02d}'
        plans.append(
            RecordingPlan(domain, split, index, video_id, tuple(clips),
                          frame + 2, seed))
    return plans
