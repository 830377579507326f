"""Noise that every model meets alike."""
import pytest
import torch

from mbcd_mmaction.analysis.noise import ClipNoise, noises


def batch(clips=4, scale=3.0):
    torch.manual_seed(1)
    return {'video': scale * torch.randn(clips, 1, 3, 8, 16, 16) + 1,
            'audio': torch.randn(clips, 1, 1, 20, 30)}


def added(inputs, **given):
    """What a fresh noise adds to the video of a batch."""
    given = dict(dict(modality='video', strength=1.0), **given)
    return (ClipNoise(**given)(inputs)['video'] - inputs['video'])


def test_nothing_at_strength_zero():
    inputs = batch()
    noisy = ClipNoise('video', 0.0)(inputs)
    assert list(noisy) == list(inputs)
    assert all(torch.equal(noisy[m], inputs[m]) for m in inputs)


def test_one_modality_and_a_new_mapping():
    inputs = batch()
    before = {m: x.clone() for m, x in inputs.items()}
    noisy = ClipNoise('audio', 1.0)(inputs)
    assert noisy['video'] is inputs['video']
    assert not torch.equal(noisy['audio'], inputs['audio'])
    assert noisy['audio'].dtype == torch.float32
    assert all(torch.equal(inputs[m], before[m]) for m in inputs)


@pytest.mark.parametrize('scale, expected', [('unit', 1.0), ('clip', 3.0)])
def test_how_loud(scale, expected):
    noise = added(batch(), strength=.5, scale=scale)
    assert noise.std(dim=(1, 2, 3, 4, 5)).tolist() == pytest.approx(
        [.5 * expected] * 4, rel=.05)
    assert noise.mean().item() == pytest.approx(0, abs=.02)


def test_in_standard_deviations_of_the_clip():
    """A louder clip meets the same noise, louder by as much."""
    quiet = batch()
    loud = {**quiet, 'video': 10 * quiet['video']}
    assert torch.allclose(10 * added(quiet), added(loud), atol=1e-4)
    flat = {**quiet, 'video': torch.full_like(quiet['video'], 7)}
    assert not added(flat).any()


def test_the_same_noise_for_everyone():
    inputs = batch()
    given = dict(scale='unit')
    whole = added(inputs, **given)
    assert torch.equal(whole, added(inputs, **given))
    # louder, not another draw
    assert torch.allclose(added(inputs, strength=4.0, **given), 4 * whole,
                          atol=1e-4)
    # whatever the batch size
    noise = ClipNoise('video', 1.0, **given)
    parts = [noise({m: x[i:j] for m, x in inputs.items()})['video']
             for i, j in ((0, 1), (1, 4))]
    assert torch.equal(torch.cat(parts) - inputs['video'], whole)


def test_another_draw_for_each_clip_seed_and_modality():
    inputs = batch()
    inputs['flow'] = inputs['video']
    whole = added(inputs, scale='unit')
    assert not torch.allclose(whole[0], whole[1], atol=.1)
    assert not torch.allclose(whole, added(inputs, scale='unit', seed=1),
                              atol=.1)
    flow = ClipNoise('flow', 1.0, scale='unit')(inputs)['flow']
    assert not torch.allclose(whole, flow - inputs['flow'], atol=.1)


def test_each_modality_at_each_strength():
    found = noises(['video', 'audio'], [1, 2], seed=5, scale='unit')
    assert list(found) == [('video', 1), ('video', 2), ('audio', 1),
                           ('audio', 2)]
    for (modality, strength), noise in found.items():
        assert (noise.modality, noise.strength) == (modality, strength)
        assert (noise.seed, noise.scale) == (5, 'unit')


def test_refusals():
    with pytest.raises(ValueError, match='strength of 0 or more'):
        ClipNoise('video', -1)
    with pytest.raises(ValueError, match="'clip', 'unit'.*'loud'"):
        ClipNoise('video', 1, scale='loud')
    with pytest.raises(ValueError, match=r"'flow': expected .*\['audio', "):
        ClipNoise('flow', 1)(batch())
