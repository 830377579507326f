"""The model whose trunk's features are stored."""
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import load_checkpoint

from ...models import MultiModalRecognizer


def build_model(cfg: Config, weights: str | None = None,
                device: str = 'cpu') -> MultiModalRecognizer:
    """Build a config's model with the trunks that a training would have.

    Args:
        cfg (Config): A whole config.
        weights (str, optional): A checkpoint of the whole model. Defaults
            to None: the config's ``load_from``, or else each branch's own
            pretrained weights.
        device (str): Where it runs. Defaults to 'cpu'.

    Returns:
        MultiModalRecognizer: In eval mode.

    Raises:
        ValueError: It has no frozen trunk, or one of random weights, which
            would be others in each run.
    """
    init_default_scope(cfg.get('default_scope') or 'mmaction')
    model = MODELS.build(cfg.model)
    if not isinstance(model, MultiModalRecognizer):
        raise ValueError('expected the config to have a MultiModalRecognizer, '
                         f'got {type(model).__name__}')
    weights = weights or cfg.get('load_from')
    _check_trunks(model, weights)
    if weights:
        _load(model, weights)
    else:
        model.init_weights()
    return model.to(device).eval()


def _check_trunks(model: MultiModalRecognizer, weights: str | None) -> None:
    """Refuse models without a trunk that stays as it is."""
    cut = {m: b for m, b in model.branches.items() if b.has_trunk}
    if not cut:
        raise ValueError(
            'no modality has a frozen trunk (trunk_stages=-1 in every '
            'branch): there is nothing to store')
    moving = [m for m, b in cut.items() if not b.shares_trunk]
    if moving:
        raise ValueError(
            f"trunk_norm='batch' for {moving}: what such a trunk gives "
            "depends on the batch. Expected trunk_norm='frozen'")
    random = [m for m, b in cut.items() if b.source is None and not
              isinstance(getattr(b.backbone, 'pretrained', None), str)]
    if random and not weights:
        raise ValueError(
            f'the frozen trunks of {random} have random weights, which are '
            'others in each run: expected a checkpoint in the branch, or one '
            'of the whole model by --weights and load_from')


def _load(model: MultiModalRecognizer, weights: str) -> None:
    """Load a checkpoint that has at least the trunks."""
    trunks = {
        id(tensor)
        for branch in model.branches.values()
        for module in branch.trunk_modules
        for tensor in module.state_dict(keep_vars=True).values()
    }
    names = [name for name, tensor in
             model.state_dict(keep_vars=True).items() if id(tensor) in trunks]
    checkpoint = load_checkpoint(model, weights, map_location='cpu',
                                 logger='silent')
    state = checkpoint.get('state_dict', checkpoint)
    missing = [name for name in names if name not in state]
    if missing:
        raise ValueError(
            f'{weights}: expected the weights of all frozen trunks, '
            f'{len(missing)} of {len(names)} tensors are missing, e.g. '
            f'{missing[:3]}')
