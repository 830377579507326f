"""What the mini set is made of: classes and domains.

The recipe imitates multi-modal domain generalisation in a kitchen. Every
modality tells the class, none of them always, and each domain (a person with
a kitchen, a camera and a microphone) shifts each of them.

Cues of the class, and why they are as they are:

* Appearance. The *colour* of the object agrees with the class's colour in
  this domain in 90 % of the clips, and a *prop* lying in the background in
  75 %: strong and easy cues, as kitchenware and place are in real kitchens.
  Which colour and prop go with a class is a habit of the person: any two
  domains share only part of the table. The *shape* of the object means the
  same in every domain, holds in 80 %, and is harder to see.
* Motion. Each class has a trajectory family (up, down, growing, shrinking,
  rubbing, chopping, stirring, tilting). Nothing depends on left or right, so
  that a horizontal flip keeps the label. Ranges of neighbours overlap (wash
  and mix, put and pour, cut and wash): flow alone confuses these.
* Sound. Each class has an event family (swish, thud, creak, knock, running
  water, chopping, ringing taps, filling). The pairs that overlap are others
  (take and open, put and close, cut and mix, wash and pour), so that motion
  and sound complete each other. Now and then somebody else is heard too.
* Missing cues. Independently of each other, the hand covers the object, the
  object hardly moves, or it is out of reach of the microphone.

A miss draws from all eight, so a colour agrees a little more often than said.

Shifts of the domain:

* D1: tiles, neutral light, tripod low over the table (vertical motion looks
  short), slow wide strokes, 25 fps; dull microphone, white noise, dry room,
  heavy kitchenware (low pitch).
* D2: wooden planks, warm light, hand-held sway, slanted strokes, 24 fps; pink
  noise, long reverberation, quiet recording.
* D3: plain cool worktop with clutter, hard light, panning camera, quick and
  strongly slanted strokes, 30 fps; hum and hiss, thin microphone, light
  kitchenware (high pitch).
"""
from dataclasses import dataclass

RECIPE_VERSION = 2
FRAME_SIZE = 64
SAMPLE_RATE = 16000
FLOW_BOUND = 8.0
CLIPS_PER_RECORDING = 8
CLIP_SECONDS = (0.95, 1.30)
GAP_SECONDS = (0.03, 0.10)

COLOUR_MATCH = 0.90
PROP_MATCH = 0.75
SHAPE_MATCH = 0.80
COVERED = 0.10
HARDLY_MOVES = 0.12
OFF_MIC = 0.18
VISITOR = 0.30

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

# Actions for out-of-distribution detection (``make_mini(unknown=True)``):
# the same kitchens, but motions, sounds and shapes that no class has. Colour
# and prop are any of the domain's eight.
UNKNOWN: tuple[ActionClass, ...] = (
    ActionClass('shake', 'jar', 'shake', 'rattle', 'hexagon'),
    ActionClass('spin', 'whisk', 'spin', 'whirr', 'diamond'),
    ActionClass('bounce', 'egg', 'bounce', 'boing', 'arrow'),
    ActionClass('slide', 'timer', 'slide', 'beeps', 'hourglass'),
)
ACTIONS = CLASSES + UNKNOWN


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
        slant (float): Angle of the person's strokes against the vertical of
            the picture, in degrees.
        squash (float): Foreshortening of the vertical (a low camera).
    """
    frame_rate: int
    tremor: float
    sway: float
    pan: float
    pace: float
    reach: float
    slant: float
    squash: float


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
        Camera(frame_rate=25, tremor=.2, sway=.5, pan=0., pace=.75,
               reach=1.2, slant=0., squash=.55),
        Microphone(noise_slope=0., snr_db=6., hum_db=-40.,
                   reverb_seconds=.06, reverb_mix=.1, band=(60., 3200.),
                   gain_db=-6., pitch=.72)),
    D2=Domain(
        'P01',
        Look(colours=(0, 1, 2, 3, 4, 6, 5, 7),
             props=(0, 3, 2, 1, 4, 6, 5, 7), ground='planks',
             ground_hsv=(28., .25, .55), light=(1.06, .98, .88), contrast=.9,
             saturation=(.6, .9), grain=3., clutter=1),
        Camera(frame_rate=24, tremor=.5, sway=2., pan=0., pace=1.05,
               reach=.9, slant=20., squash=1.),
        Microphone(noise_slope=1., snr_db=4., hum_db=-30.,
                   reverb_seconds=.45, reverb_mix=.5, band=(60., 7600.),
                   gain_db=-14., pitch=1.)),
    D3=Domain(
        'P22',
        Look(colours=(2, 1, 7, 3, 4, 6, 5, 0),
             props=(0, 1, 5, 3, 4, 6, 7, 2), ground='plain',
             ground_hsv=(150., .15, .78), light=(.92, .98, 1.08),
             contrast=1.15, saturation=(.6, .95), grain=3., clutter=2),
        Camera(frame_rate=30, tremor=.3, sway=1., pan=10., pace=1.45,
               reach=1., slant=-38., squash=.9),
        Microphone(noise_slope=.4, snr_db=4., hum_db=-4.,
                   reverb_seconds=.2, reverb_mix=.3, band=(350., 7000.),
                   gain_db=-9., pitch=1.4)),
)
