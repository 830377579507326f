"""Short trainings of the shipped mini configs."""
from pathlib import Path

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

ROOT = Path(__file__).resolve().parents[1]
COUNT = []


def mini_config(root, work_dir, epochs=1, workers=0, seed=0, method='mbcd',
                **overrides):
    """A method's mini_d1.py on a small root, in few and narrow layers."""
    config = Config.fromfile(ROOT / f'configs/{method}/mini_d1.py')
    for name in ('train', 'val', 'test'):
        loader = config[f'{name}_dataloader']
        loader.dataset.data_root = str(root)
        loader.num_workers = workers
    branches = config.model.branches
    branches.flow.backbone.base_channels = 4
    branches.audio.backbone.base_channels = 4
    COUNT.append(1)
    config.merge_from_dict({
        'train_cfg.max_epochs': epochs,
        'work_dir': str(work_dir),
        'randomness': dict(seed=seed),
        'log_level': 'WARNING',
        'default_hooks.logger.interval': 1,
        'experiment_name': f'mini_{len(COUNT)}',
        **overrides
    })
    return config


class Losses(Hook):
    """Every step's total."""

    def __init__(self):
        self.values = []

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        self.values.append(outputs['loss'].item())


def train(config, *hooks):
    """The runner after its training, and the total of each step."""
    runner = Runner.from_cfg(config)
    losses = Losses()
    for hook in (losses, *hooks):
        runner.register_hook(hook)
    runner.train()
    return runner, losses.values
