"""The flip of optical flow."""
import numpy as np
from mmaction.datasets.transforms import Flip
from mmaction.registry import TRANSFORMS


@TRANSFORMS.register_module()
class FlowFlip(Flip):
    """Flip of flow frames: mirrored, with the x component inverted.

    The host's ``Flip`` expects frames x, y, x, y ... of two axes each and
    inverts every even one; since MMAction2 1.x decodes flow to (H, W, 2) it
    inverts x *and* y of every second frame and nothing of the others. Here
    channel 0 of every frame becomes 255 - x. Frames of two axes are treated
    as the host does.

    Args:
        flip_ratio (float): Probability. Defaults to 0.5.
        direction (str): 'horizontal'; the host allows no other for flow.
    """

    def _flip_imgs(self, imgs: list[np.ndarray],
                   modality: str) -> list[np.ndarray]:
        if modality != 'Flow' or imgs[0].ndim == 2:
            return super()._flip_imgs(imgs, modality)
        flipped = super()._flip_imgs(imgs, modality='RGB')
        for img in flipped:
            np.subtract(255, img[..., 0], out=img[..., 0])
        return flipped
