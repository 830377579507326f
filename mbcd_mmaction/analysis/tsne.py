"""Where clips lie: t-SNE for the eye, silhouettes for a number.

van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 2008;
Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation
of cluster analysis", J. Comput. Appl. Math. 1987. Both are scikit-learn's.
"""
from collections.abc import Sequence

import numpy as np

try:
    from sklearn.manifold import TSNE
    from sklearn.metrics import silhouette_score
except ImportError as error:
    raise ImportError('t-SNE and silhouettes need scikit-learn: '
                      "pip install 'mbcd_mmaction[plot]'") from error

__all__ = ['project', 'silhouette', 'silhouettes']


def project(embeddings: np.ndarray, perplexity: float = 30.0,
            seed: int = 0) -> tuple[np.ndarray, float]:
    """t-SNE to the plane, started from the first principal components.

    Args:
        embeddings (np.ndarray): (N, D).
        perplexity (float): Neighbours that count, below N. Defaults to 30.
        seed (int): Defaults to 0.

    Returns:
        tuple: Coordinates (N, 2), float32, and the divergence (nats) that
        t-SNE ended with.

    Raises:
        ValueError: There are no more clips than the perplexity.
    """
    if len(embeddings) <= perplexity:
        raise ValueError(
            f'perplexity: expected less than the number of clips, '
            f'{len(embeddings)}, got {perplexity}')
    tsne = TSNE(perplexity=perplexity, init='pca', random_state=seed)
    return tsne.fit_transform(embeddings), float(tsne.kl_divergence_)


def silhouette(embeddings: np.ndarray,
               groups: Sequence) -> float | None:
    """Mean over clips of (b - a) / max(a, b), in [-1, 1].

    a is a clip's mean Euclidean distance to its own group, b that to the
    nearest other group: 1 for groups far apart, 0 for groups that overlap.

    Args:
        embeddings (np.ndarray): (N, D).
        groups (Sequence): The group of each clip.

    Returns:
        float: None where it is not defined: a single group, or no two clips
        in one.
    """
    if not 2 <= len(set(groups)) < len(groups):
        return None
    _, numbers = np.unique(np.asarray(groups, dtype=str),
                           return_inverse=True)
    return float(silhouette_score(embeddings, numbers))


def silhouettes(embeddings: np.ndarray, labels: Sequence[int],
                domains: Sequence[str],
                splits: Sequence[str]) -> dict[str, float | None]:
    """By class and by domain, in the embedding itself.

    Args:
        embeddings (np.ndarray): (N, D).
        labels (Sequence[int]): Classes.
        domains (Sequence[str]): Domains.
        splits (Sequence[str]): Split that each clip is of.

    Returns:
        dict: ``class`` and ``domain`` over all clips, and ``class_<split>``
        over the clips of each split.
    """
    labels, splits = np.asarray(labels), np.asarray(splits)
    values: dict[str, float | None] = dict(
        {'class': silhouette(embeddings, labels.tolist())},
        domain=silhouette(embeddings, list(domains)))
    for split in dict.fromkeys(splits.tolist()):
        own = splits == split
        values[f'class_{split}'] = silhouette(embeddings[own],
                                              labels[own].tolist())
    return values
