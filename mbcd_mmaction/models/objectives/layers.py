"""Layers that several objectives use.

Sizes as in the code that the authors of SimMMDG and MOOSA released.
"""
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ['Projection', 'translator']


class Projection(nn.Module):
    """Two hidden layers with BatchNorm, a linear one, unit length.

    Args:
        in_dims (int): D.
        hidden_dims (int): Width of the hidden layers.
        out_dims (int): Size of the projection.
    """

    def __init__(self, in_dims: int, hidden_dims: int,
                 out_dims: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_dims, hidden_dims), nn.BatchNorm1d(hidden_dims),
            nn.ReLU(), nn.Linear(hidden_dims, hidden_dims),
            nn.BatchNorm1d(hidden_dims), nn.ReLU(),
            nn.Linear(hidden_dims, out_dims))

    def forward(self, embedding: Tensor) -> Tensor:
        """(N, D) to unit vectors (N, out_dims).

        Raises:
            ValueError: In training, where N is 1.
        """
        if self.training and len(embedding) == 1:
            raise ValueError(
                'a training batch of one clip has no statistics for '
                'BatchNorm: set train_dataloader.drop_last=True, or another '
                'batch_size')
        return F.normalize(self.layers(embedding), dim=1)


def translator(in_dims: int, hidden_dims: int, out_dims: int) -> nn.Module:
    """From one modality's embedding (N, in_dims) to another's."""
    return nn.Sequential(
        nn.Linear(in_dims, hidden_dims), nn.ReLU(),
        nn.Linear(hidden_dims, hidden_dims), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(hidden_dims, out_dims))
