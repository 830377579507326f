"""Trajectories of the object and the camera, and optical flow of frames."""
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from .recipe import ACTIONS, FLOW_BOUND, HARDLY_MOVES, Camera

Draw = Callable[..., float]


def _line(progress: np.ndarray, extent: float) -> np.ndarray:
    return extent * (progress - .5)


def _pose_up(p: np.ndarray, t: np.ndarray, draw: Draw) -> dict:
    return dict(y=-_line(p, draw(14, 24)), x=_line(p, draw(-6, 6)),
                grow=_line(p, draw(-.15, .15)))


def _pose_down(p: np.ndarray, t: np.ndarray, draw: Draw) -> dict:
    return dict(y=_line(p, draw(14, 24)), x=_line(p, draw(-6, 6)),
                turn=_line(p, draw(-.5, .5)))


def _pose_grow(p: np.ndarray, t: np.ndarray, draw: Draw) -> dict:
    return dict(grow=_line(p, draw(.5, 1.1)), x=_line(p, draw(-8, 8)),
                y=_line(p, draw(-6, 6)))


def _pose_shrink(p: np.ndarray, t: np.ndarray, draw: Draw) -> dict:
    return dict(grow=-_line(p, draw(.5, 1.1)), x=_line(p, draw(-8, 8)),
                y=_line(p, draw(-6, 6)))


def _pose_rub(p: np.ndarray, t: np.ndarray, draw: Draw) -> dict:
    angle = 2 * np.pi * (draw(1.4, 2.2) * t + draw(0, 1))
    size, flat = draw(4, 7), draw(.1, .75)
    return dict(x=size * np.cos(angle), y=size * flat * np.sin(angle))


def _pose_chop(p: np.ndarray, t: np.ndarray, draw: Draw) -> dict:
    angle = 2 * np.pi * (draw(1.6, 2.6) * t + draw(0, 1))
    size, flat = draw(3, 6), draw(0, .5)
    return dict(y=size * np.cos(angle), x=size * flat * np.sin(angle))


def _pose_stir(p: np.ndarray, t: np.ndarray, draw: Draw) -> dict:
    angle = 2 * np.pi * (draw(.9, 1.7) * t + draw(0, 1))
    size, flat = draw(5, 9), draw(.6, 1)
    return dict(x=size * np.cos(angle), y=size * flat * np.sin(angle))


def _pose_tilt(p: np.ndarray, t: np.ndarray, draw: Draw) -> dict:
    side = -1 if draw(0, 1) < .5 else 1
    return dict(turn=side * _line(p, draw(1.2, 2.4)), y=_line(p, draw(0, 14)),
                x=side * _line(p, draw(-3, 6)))


def _pose_shake(p: np.ndarray, t: np.ndarray, draw: Draw) -> dict:
    angle = 2 * np.pi * (draw(4, 5.5) * t + draw(0, 1))
    return dict(x=draw(5, 8) * np.cos(angle), turn=.3 * np.sin(angle))


def _pose_spin(p: np.ndarray, t: np.ndarray, draw: Draw) -> dict:
    side = -1 if draw(0, 1) < .5 else 1
    return dict(turn=side * 2 * np.pi * draw(1.2, 2.2) * t)


def _pose_bounce(p: np.ndarray, t: np.ndarray, draw: Draw) -> dict:
    height = np.abs(np.sin(np.pi * (draw(1.5, 2.5) * t + draw(0, 1))))
    return dict(y=draw(14, 22) * (.5 - height),
                x=_line(p, draw(-8, 8)))


def _pose_slide(p: np.ndarray, t: np.ndarray, draw: Draw) -> dict:
    side = -1 if draw(0, 1) < .5 else 1
    return dict(x=side * _line(p, draw(28, 44)))


_POSES = dict(up=_pose_up, down=_pose_down, grow=_pose_grow,
              shrink=_pose_shrink, rub=_pose_rub, chop=_pose_chop,
              stir=_pose_stir, tilt=_pose_tilt,
              # of unknown actions
              shake=_pose_shake, spin=_pose_spin, bounce=_pose_bounce,
              slide=_pose_slide)


def object_poses(label: int, camera: Camera, num_frames: int,
                 rng: np.random.Generator) -> np.ndarray:
    """Trajectory of the object.

    Args:
        label (int): Index into :data:`ACTIONS`.
        camera (Camera): Frame rate and pace of the domain.
        num_frames (int): Length.
        rng (np.random.Generator): Random numbers.

    Returns:
        np.ndarray: (T, 4) float64: x and y in pixels from the middle, size
        factor, rotation in radians.
    """
    seconds = np.arange(num_frames) / camera.frame_rate * camera.pace
    length = num_frames / camera.frame_rate
    progress = (seconds - length * (camera.pace - 1) / 2) / length
    pose = _POSES[ACTIONS[label].motion](progress, seconds,
                                         lambda lo, hi: rng.uniform(lo, hi))
    still = rng.uniform(.05, .25) if rng.random() < HARDLY_MOVES else 1.
    extent = camera.reach * still
    poses = np.zeros((num_frames, 4))
    poses[:, 0] = pose.get('x', 0) * extent
    poses[:, 1] = pose.get('y', 0) * extent
    poses[:, 2] = np.exp(pose.get('grow', 0) * extent)
    poses[:, 3] = pose.get('turn', 0) * extent
    slant = np.deg2rad(camera.slant)
    turned = np.array([[np.cos(slant), -np.sin(slant)],
                       [np.sin(slant), np.cos(slant)]])
    poses[:, :2] = poses[:, :2] @ turned.T * (1, camera.squash)
    wobble = rng.normal(0, .25, (num_frames, 2))
    poses[:, :2] += wobble + rng.uniform(-7, 7, 2)
    return poses


def camera_path(camera: Camera, num_frames: int,
                rng: np.random.Generator) -> np.ndarray:
    """Offset of the camera over the scene.

    Args:
        camera (Camera): Tremor, sway and pan of the domain.
        num_frames (int): Length.
        rng (np.random.Generator): Random numbers.

    Returns:
        np.ndarray: (T, 2) float64, in pixels.
    """
    seconds = np.arange(num_frames)[:, None] / camera.frame_rate
    rate = rng.uniform(.4, 1.1, 2)
    sway = np.sin(2 * np.pi * (rate * seconds + rng.random(2)))
    heading = rng.uniform(0, 2 * np.pi)
    pan = np.array([np.cos(heading), .5 * np.sin(heading)])
    middle = seconds - seconds.mean()
    return (camera.sway * rng.uniform(.5, 1.2, 2) * sway +
            camera.pan * rng.uniform(.3, 1.2) * pan * middle +
            rng.normal(0, camera.tremor, (num_frames, 2)))


def optical_flow(frames: Sequence[np.ndarray], first: int,
                 num_flows: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Dense flow between every second frame, quantised to grey levels.

    The DIS method of OpenCV. As in MMAction2, [-bound, bound] pixels are
    mapped to [0, 255], so that 128 is no motion.

    Args:
        frames (Sequence[np.ndarray]): (H, W, 3) uint8, as rendered.
        first (int): Frame where the first flow field starts.
        num_flows (int): Number of flow fields.

    Returns:
        tuple[list[np.ndarray], list[np.ndarray]]: u (rightwards) and v
        (downwards), (H, W) uint8 each.
    """
    grey = [
        cv2.cvtColor(frames[first + 2 * i], cv2.COLOR_RGB2GRAY)
        for i in range(num_flows + 1)
    ]
    method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    method.setFinestScale(1)
    fields = [
        method.calc(one, two, None)
        for one, two in zip(grey[:-1], grey[1:], strict=True)
    ]
    levels = [
        np.clip(np.rint((field + FLOW_BOUND) * 255 / (2 * FLOW_BOUND)), 0,
                255).astype(np.uint8) for field in fields
    ]
    return [x[..., 0] for x in levels], [x[..., 1] for x in levels]
