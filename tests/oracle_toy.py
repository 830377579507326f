"""The toy network of the step's reference, and data for it; float64.

Nothing of the package is imported here.  Per modality, inputs x (N, I):

    h = tanh(x @ trunk_weight.T)                     frozen trunk
    s = tanh(h @ stage_weight.T + stage_bias)        trainable last stage
    z = LayerNorm(s; ln_weight, ln_bias, eps=1e-5)   embedding
    head(z) = relu(z @ w1.T + b1) @ w2.T + b2        uni-modal and fusion head

Parameters are a flat dict: '{modality}.trunk_weight', '{modality}.w1', ...,
'fusion.w1', ....  Shapes: N clips, I inputs, D embedding, K classes.
"""
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from oracle_equations import Params, softmax_row
from torch import Tensor

ENCODER = ('stage_weight', 'stage_bias', 'ln_weight', 'ln_bias')
HEAD = ('w1', 'b1', 'w2', 'b2')
LN_EPS = 1e-5


def trainable_names(modalities: Sequence[str]) -> list[str]:
    """Names of every trainable tensor: all but the trunks."""
    names = [f'{m}.{n}' for m in modalities for n in ENCODER + HEAD]
    return names + [f'fusion.{n}' for n in HEAD]


def encoder_of(params: Params, modality: str) -> Params:
    """The tensors that Eq. 5 moves, by their short names."""
    return {n: params[f'{modality}.{n}'] for n in ENCODER}


def _linear(x: Tensor, weight: Tensor,
            bias: Tensor | None = None) -> Tensor:
    """One sample (I,) through one layer, output by output."""
    out = torch.stack([(row * x).sum() for row in weight])
    return out if bias is None else out + bias


def embed(params: Params, encoder: Params, modality: str,
          x: Tensor) -> Tensor:
    """Embedding (N, D) of x (N, I) under the encoder given apart."""
    rows = []
    for sample in x:
        h = torch.tanh(_linear(sample, params[f'{modality}.trunk_weight']))
        s = torch.tanh(
            _linear(h, encoder['stage_weight'], encoder['stage_bias']))
        mean = sum(s) / len(s)
        var = sum((v - mean)**2 for v in s) / len(s)
        z = (s - mean) / torch.sqrt(var + LN_EPS)
        rows.append(z * encoder['ln_weight'] + encoder['ln_bias'])
    return torch.stack(rows)


def head(params: Params, prefix: str, z: Tensor) -> Tensor:
    """Logits (N, K) of z (N, D) under the head named by the prefix."""
    w1, b1, w2, b2 = (params[f'{prefix}.{n}'] for n in HEAD)
    rows = []
    for sample in z:
        hidden = _linear(sample, w1, b1)
        hidden = torch.where(hidden > 0, hidden, torch.zeros_like(hidden))
        rows.append(_linear(hidden, w2, b2))
    return torch.stack(rows)


def fused_logits(params: Params, encoders: Mapping[str, Params],
                 inputs: Mapping[str, Tensor],
                 keep_mask: Mapping[str, Tensor] | None,
                 modalities: Sequence[str]) -> Tensor:
    """Logits (N, K) of the concatenated, masked embeddings."""
    rows = []
    z = {m: embed(params, encoders[m], m, inputs[m]) for m in modalities}
    for i in range(len(inputs[modalities[0]])):
        parts = []
        for m in modalities:
            keep = 1.0
            if keep_mask is not None:
                mask = keep_mask[m]
                keep = float(mask[i if len(mask) > 1 else 0, 0])
            parts.append(z[m][i] * keep)
        rows.append(torch.cat(parts))
    return head(params, 'fusion', torch.stack(rows))


def predict(params: Params, inputs: Mapping[str, Tensor],
            modalities: Sequence[str]) -> Tensor:
    """Fused probabilities (N, K) without mask: teacher and evaluation."""
    with torch.no_grad():
        encoders = {m: encoder_of(params, m) for m in modalities}
        logits = fused_logits(params, encoders, inputs, None, modalities)
        return torch.stack([softmax_row(row) for row in logits])


def toy_params(input_dims: Mapping[str, int], trunk_dim: int = 4,
               dim: int = 4, hidden: int = 5, num_classes: int = 3,
               seed: int = 0) -> Params:
    """Random parameters; RandomState's stream is the same everywhere."""
    rng = np.random.RandomState(seed)
    shapes = {}
    for m, size in input_dims.items():
        shapes.update({
            f'{m}.trunk_weight': (trunk_dim, size),
            f'{m}.stage_weight': (dim, trunk_dim),
            f'{m}.stage_bias': (dim, ),
            f'{m}.ln_weight': (dim, ),
            f'{m}.ln_bias': (dim, )
        })
    widths = {m: dim for m in input_dims}
    widths['fusion'] = dim * len(input_dims)
    for prefix, width in widths.items():
        shapes.update({
            f'{prefix}.w1': (hidden, width), f'{prefix}.b1': (hidden, ),
            f'{prefix}.w2': (num_classes, hidden),
            f'{prefix}.b2': (num_classes, )
        })
    params = {}
    for name, shape in shapes.items():
        centre = 1.0 if name.endswith('ln_weight') else 0.0
        value = centre + 0.6 * rng.standard_normal(shape)
        params[name] = torch.from_numpy(value)
    return params


def toy_batch(input_dims: Mapping[str, int], num_samples: int = 4,
              num_classes: int = 3,
              seed: int = 0) -> tuple[dict[str, Tensor], Tensor]:
    """Inputs modality -> (N, I_m) and labels (N,)."""
    rng = np.random.RandomState(1000 + seed)
    inputs = {
        m: torch.from_numpy(rng.standard_normal((num_samples, size)))
        for m, size in input_dims.items()
    }
    labels = rng.randint(0, num_classes, size=num_samples)
    return inputs, torch.from_numpy(labels).long()


def toy_keep_mask(modalities: Sequence[str], num_samples: int = 4,
                  seed: int = 0) -> dict[str, Tensor]:
    """0/1 masks (N, 1); the last modality is always kept."""
    rng = np.random.RandomState(2000 + seed)
    mask = {
        m: torch.from_numpy(rng.randint(0, 2, (num_samples, 1))).double()
        for m in modalities
    }
    mask[modalities[-1]] = torch.ones(num_samples, 1, dtype=torch.float64)
    return mask
