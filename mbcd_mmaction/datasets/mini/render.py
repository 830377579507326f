"""Frames of the mini set: worktop, prop, clutter, object, hand, light."""
import colorsys
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from .motion import camera_path, object_poses
from .plan import RecordingPlan
from .recipe import (
    ACTIONS,
    COLOUR_MATCH,
    COVERED,
    DOMAINS,
    FRAME_SIZE,
    PROP_MATCH,
    PROPS,
    SHAPE_MATCH,
    SHAPES,
    Look,
)

_MARGIN = 16
_SPRITE = 40
_FINE = 4


def _rgb(hue: float, saturation: float, value: float) -> np.ndarray:
    colour = colorsys.hsv_to_rgb(hue / 360 % 1, saturation, value)
    return 255 * np.array(colour, np.float32)


def _ring_of(corners: int, inner: float = 1.) -> np.ndarray:
    """Corners around a circle; every second one at the inner radius."""
    angle = 2 * np.pi * np.arange(corners) / corners - np.pi / 2
    radius = np.where(np.arange(corners) % 2, inner, 1.)
    return np.stack([np.cos(angle) * radius, np.sin(angle) * radius], 1)


_CROSS = np.array([(-.33, -1), (.33, -1), (.33, -.33), (1, -.33), (1, .33),
                   (.33, .33), (.33, 1), (-.33, 1), (-.33, .33), (-1, .33),
                   (-1, -.33), (-.33, -.33)])
_CORNER = np.array([(-.9, -1), (-.2, -1), (-.2, .3), (.9, .3), (.9, 1),
                    (-.9, 1)])
_OUTLINES = dict(
    disc=_ring_of(32), ring=_ring_of(32), triangle=_ring_of(3),
    square=_ring_of(4), star=_ring_of(10, .42), cross=_CROSS, corner=_CORNER,
    bar=np.array([(-1, -.34), (1, -.34), (1, .34), (-1, .34)]),
    # of unknown actions
    hexagon=_ring_of(6),
    diamond=np.array([(0, -1), (.5, 0), (0, 1), (-.5, 0)]),
    arrow=np.array([(0, -1), (.9, .1), (.35, .1), (.35, 1), (-.35, 1),
                    (-.35, .1), (-.9, .1)]),
    hourglass=np.array([(-.8, -1), (.8, -1), (-.8, 1), (.8, 1)]))


def _fill(image: np.ndarray, points: np.ndarray, colour: float) -> None:
    cv2.fillPoly(image, [np.rint(points).astype(np.int32)], colour)


def _sprite(shape: str, colour: np.ndarray,
            rng: np.random.Generator) -> np.ndarray:
    """A textured thing, (40, 40, 4) float32, colour times coverage."""
    side = _SPRITE * _FINE
    cover = np.zeros((side, side), np.float32)
    points = _OUTLINES[shape] * rng.uniform(.85, 1.15, 2) * .42 * side
    _fill(cover, points + side / 2, 1.)
    if shape == 'ring':
        _fill(cover, .5 * points + side / 2, 0.)
    grid = np.arange(side) / side * 2 * np.pi
    wave = np.sin(rng.uniform(2, 4) * grid + rng.uniform(0, 6))
    relief = 1 + .16 * (wave[:, None] + np.roll(wave, 30)[None])
    pixels = np.clip(colour * relief[..., None], 0, 255) * cover[..., None]
    return cv2.resize(np.dstack([pixels, cover]).astype(np.float32),
                      (_SPRITE, _SPRITE), interpolation=cv2.INTER_AREA)


def _ground(look: Look, rng: np.random.Generator) -> np.ndarray:
    """The worktop, (96, 96, 3) float32."""
    side = FRAME_SIZE + 2 * _MARGIN
    hue, saturation, value = look.ground_hsv
    base = _rgb(hue + rng.uniform(-12, 12), saturation,
                value + rng.uniform(-.05, .05))
    rough = rng.normal(0, 1, (12, 12)).astype(np.float32)
    shade = 1 + .07 * cv2.resize(rough, (side, side),
                                 interpolation=cv2.INTER_CUBIC)
    offset = int(rng.integers(0, 16))
    if look.ground == 'tiles':
        shade[offset % 16::16] *= .8
        shade[:, offset % 16::16] *= .8
    elif look.ground == 'planks':
        grain = np.repeat(rng.normal(0, .08, side // 3 + 1), 3)[:side]
        shade += grain[:, None].astype(np.float32)
        shade[offset % 12::12] *= .7
    slope = np.linspace(-.5, .5, side, dtype=np.float32)
    shade += rng.uniform(-.25, .25) * slope + rng.uniform(
        -.25, .25) * slope[:, None]
    return base * shade[..., None]


def _strokes(kind: str) -> list[tuple[float, float, float, float]]:
    """Rectangles (left, top, right, bottom) of a prop, in [-1, 1]."""
    return dict(
        board=[(-1, -.7, 1, .7)],
        hob=[(-1, -1, -.2, -.2), (.2, -1, 1, -.2), (-1, .2, -.2, 1),
             (.2, .2, 1, 1)],
        sink=[(-1, -1, 1, -.6), (-1, .6, 1, 1), (-1, -1, -.6, 1),
              (.6, -1, 1, 1)],
        tap=[(-1, -1, 1, -.5), (-.25, -1, .25, 1)],
        bottle=[(-.4, -.3, .4, 1), (-.15, -1, .15, -.3)],
        plate=[(-.5, -.9, .5, .9), (-.9, -.5, .9, .5)],
        rack=[(-1, -1, -.7, 1), (-.45, -1, -.15, 1), (.15, -1, .45, 1),
              (.7, -1, 1, 1)],
        box=[(-.5, -.5, .5, .5)])[kind]


def _add_prop(scene: np.ndarray, kind: str, rng: np.random.Generator) -> None:
    """Draw the prop near the edge of the picture, in place."""
    middle = FRAME_SIZE / 2 + _MARGIN
    across = rng.choice([-1, 1]) * rng.uniform(17, 21)
    along = rng.uniform(-18, 18)
    centre = middle + (np.array([across, along]) if rng.random() < .5 else
                       np.array([along, across]))
    size, tone = rng.uniform(8, 10), rng.uniform(.35, .5)
    for left, top, right, bottom in _strokes(kind):
        corners = centre + size * np.array([(left, top), (right, bottom)])
        (x0, y0), (x1, y1) = np.rint(corners).astype(int)
        scene[max(y0, 0):y1, max(x0, 0):x1] *= tone


def _paste(scene: np.ndarray, sprite: np.ndarray, x: float, y: float,
           size: float, angle: float) -> np.ndarray:
    """Lay a sprite on a picture; size is in pixels, the place its middle."""
    scale = size / _SPRITE
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    half = (_SPRITE - 1) / 2
    matrix = np.array([[cos, -sin, x - half * (cos - sin)],
                       [sin, cos, y - half * (sin + cos)]])
    height, width = scene.shape[:2]
    layer = cv2.warpAffine(sprite, matrix, (width, height))
    return scene * (1 - layer[..., 3:]) + layer[..., :3]


def _drawn(rng: np.random.Generator, usual: Any, match: float,
           choices: Sequence) -> Any:
    """The usual one with the given probability, else any of eight.

    An unknown action has no usual colour or prop: None.
    """
    other = choices[int(rng.integers(0, 8))]
    return usual if rng.random() < match and usual is not None else other


def _habit(table: tuple[int, ...], label: int) -> int | None:
    """What goes with a class in a domain."""
    return table[label] if label < len(table) else None


def _scene(look: Look, ground: np.ndarray, label: int,
           rng: np.random.Generator) -> np.ndarray:
    scene = ground.copy()
    prop = _drawn(rng, _habit(look.props, label), PROP_MATCH, range(8))
    _add_prop(scene, PROPS[prop], rng)
    for _ in range(look.clutter):
        thing = _sprite(SHAPES[rng.integers(0, 8)],
                        _rgb(rng.uniform(0, 360), rng.uniform(.1, .4), .8),
                        rng)
        x, y = rng.uniform(_MARGIN, FRAME_SIZE + _MARGIN, 2)
        scene = _paste(scene, thing, x, y, rng.uniform(9, 13),
                       rng.uniform(0, 6))
    return scene


def _things(look: Look, label: int,
            rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Sprites of the object and of the hand."""
    hue = 45. * _drawn(rng, _habit(look.colours, label), COLOUR_MATCH,
                       range(8))
    colour = _rgb(hue + rng.normal(0, 6), rng.uniform(*look.saturation),
                  rng.uniform(.7, 1.))
    shape = _drawn(rng, ACTIONS[label].shape, SHAPE_MATCH, SHAPES)
    hand = _rgb(rng.uniform(12, 26), rng.uniform(.35, .6),
                rng.uniform(.5, .85))
    return _sprite(shape, colour, rng), _sprite('disc', hand, rng)


def recording_ground(plan: RecordingPlan) -> np.ndarray:
    """The worktop that all clips of a recording share.

    Returns:
        np.ndarray: (96, 96, 3) float32, RGB in [0, 255].
    """
    return _ground(DOMAINS[plan.domain].look, plan.generator(0))


def render_clip(plan: RecordingPlan, position: int, num_frames: int,
                ground: np.ndarray) -> list[np.ndarray]:
    """Render the frames of a clip.

    Args:
        plan (RecordingPlan): Recording.
        position (int): Number of the clip in it.
        num_frames (int): Frames to render (flow needs some after the clip).
        ground (np.ndarray): From :func:`recording_ground`.

    Returns:
        list[np.ndarray]: (64, 64, 3) uint8 RGB each.
    """
    domain, label = DOMAINS[plan.domain], plan.clips[position].label
    look, rng = domain.look, plan.generator(1, position)
    scene = _scene(look, ground, label, rng)
    thing, hand = _things(look, label, rng)
    size = rng.uniform(23, 30)
    covered = rng.random() < COVERED
    grip = rng.uniform(-2, 2, 2) if covered else size * np.array(
        [rng.choice([-1, 1]) * rng.uniform(.2, .5), rng.uniform(.4, .6)])
    gain = rng.uniform(.85, 1.1) * np.array(look.light, np.float32)
    tilt = rng.uniform(-.5, .5)
    motion = plan.generator(2, position)
    poses = object_poses(label, domain.camera, num_frames, motion)
    path = camera_path(domain.camera, num_frames, motion)
    middle, frames = FRAME_SIZE / 2, []
    for (x, y, grow, turn), (dx, dy) in zip(poses, path, strict=True):
        view = np.array([[1, 0, dx - _MARGIN], [0, 1, dy - _MARGIN]])
        frame = cv2.warpAffine(scene, view, (FRAME_SIZE, FRAME_SIZE),
                               borderMode=cv2.BORDER_REFLECT)
        x, y = x + dx + middle, y + dy + middle
        layers = [(hand, x + grip[0], y + grip[1],
                   size * grow * (1.35 if covered else .6), 0.),
                  (thing, x, y, size * grow, turn + tilt)]
        for layer in layers[::-1] if covered else layers:
            frame = _paste(frame, *layer)
        frame = 128 + look.contrast * (frame * gain - 128)
        frame += rng.normal(0, look.grain, frame.shape)
        frames.append(np.clip(np.rint(frame), 0, 255).astype(np.uint8))
    return frames
