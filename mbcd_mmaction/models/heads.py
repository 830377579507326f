"""Classifiers over embeddings: one per modality and one over all."""
import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

__all__ = ['MLPHead']


@MODELS.register_module()
class MLPHead(BaseModule):
    """phi: Linear(D, 512), ReLU, Dropout(.5), Linear(512, K).

    Args:
        in_channels (int): D, channels of the (concatenated) embedding.
        num_classes (int): K.
        hidden_channels (int): Width of the hidden layer. Defaults to 512.
        dropout_ratio (float): Dropout on the hidden layer. Defaults to 0.5.
        average_clips (str, optional): How the views of a clip are averaged
            at test time: 'prob' (after the softmax), 'score' (before it) or
            None (all views are returned). Defaults to 'prob'.
        init_cfg (dict, optional): As in mmengine's BaseModule.
    """

    def __init__(self,
                 in_channels: int,
                 num_classes: int,
                 hidden_channels: int = 512,
                 dropout_ratio: float = 0.5,
                 average_clips: str | None = 'prob',
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        if average_clips not in ('prob', 'score', None):
            raise ValueError("average_clips must be 'prob', 'score' or None,"
                             f' got {average_clips!r}')
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.average_clips = average_clips
        self.layers = nn.Sequential(
            nn.Linear(in_channels, hidden_channels), nn.ReLU(),
            nn.Dropout(dropout_ratio),
            nn.Linear(hidden_channels, num_classes))

    def forward(self, embedding: Tensor) -> Tensor:
        """(N, D) to logits (N, K), at least in float32."""
        logits = self.layers(embedding)
        return logits if logits.dtype == torch.float64 else logits.float()

    def average_views(self, logits: Tensor, num_samples: int) -> Tensor:
        """Logits of all views to the scores of each clip.

        Args:
            logits (Tensor): (N * S, K), the S views of a clip in a row.
            num_samples (int): N, clips.

        Returns:
            Tensor: Probabilities (N, K); with ``average_clips=None`` logits
            (N, S, K).
        """
        views = logits.view(num_samples, -1, logits.shape[-1])
        if self.average_clips == 'prob':
            return views.softmax(-1).mean(1)
        if self.average_clips == 'score':
            return views.mean(1).softmax(-1)
        return views
