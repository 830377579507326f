"""Silhouettes and t-SNE are scikit-learn's, of the right clips."""
import numpy as np
import pytest
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score

from mbcd_mmaction.analysis.tsne import project, silhouette, silhouettes


def clips(count=24, dims=6):
    """Embeddings in three groups, classes, domains and splits."""
    rng = np.random.default_rng(0)
    labels = [i % 3 for i in range(count)]
    splits = ['val' if i < 2 * count // 3 else 'test' for i in range(count)]
    domains = ['D2' if i < count // 3 else 'D3' for i in range(count)]
    domains = [d if s == 'val' else 'D1'
               for d, s in zip(domains, splits, strict=True)]
    centres = 4 * rng.standard_normal((3, dims))
    embeddings = centres[labels] + rng.standard_normal((count, dims))
    return embeddings.astype(np.float32), labels, domains, splits


def test_silhouette_by_hand():
    """Two clips each at 0 and 1, and at 10: a is 1, b is 10 and 9."""
    embeddings = np.array([[0.0], [1.0], [10.0], [10.0]])
    expected = np.mean([(10 - 1) / 10, (9 - 1) / 9, 1, 1])
    assert silhouette(embeddings, ['a', 'a', 'b', 'b']) == pytest.approx(
        expected, rel=1e-12)


def test_silhouettes_are_scikit_learns():
    embeddings, labels, domains, splits = clips()
    found = silhouettes(embeddings, labels, domains, splits)
    val = np.array(splits) == 'val'
    assert found == {
        'class': silhouette_score(embeddings, labels),
        'domain': silhouette_score(embeddings, domains),
        'class_val': silhouette_score(embeddings[val],
                                      np.array(labels)[val]),
        'class_test': silhouette_score(embeddings[~val],
                                       np.array(labels)[~val])}
    assert found['class'] > .3 > found['domain']
    assert all(type(value) is float for value in found.values())


def test_silhouette_where_there_is_none():
    embeddings = clips(4)[0]
    assert silhouette(embeddings, [1, 1, 1, 1]) is None
    assert silhouette(embeddings, [1, 2, 3, 4]) is None
    assert silhouette(embeddings, [1, 1, 2, 3]) is not None


def test_projection():
    embeddings = clips()[0]
    before = embeddings.copy()
    coordinates, divergence = project(embeddings, perplexity=5, seed=3)
    assert coordinates.shape == (24, 2)
    assert np.array_equal(embeddings, before)
    again, same = project(embeddings, perplexity=5, seed=3)
    assert np.array_equal(coordinates, again) and divergence == same
    oracle = TSNE(2, perplexity=5, init='pca', random_state=3)
    assert np.array_equal(coordinates, oracle.fit_transform(embeddings))
    assert divergence == oracle.kl_divergence_
    # what is far apart stays apart
    assert silhouette(coordinates, clips()[1]) > .3


def test_too_few_clips():
    with pytest.raises(ValueError, match='number of clips, 24, got 24'):
        project(clips()[0], perplexity=24)
