"""One experiment: its name, its config, its commands, its fingerprint."""
import argparse
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config, DictAction

__all__ = ['Experiment', 'fingerprint', 'identify', 'resolved_config']


@dataclass(frozen=True)
class Experiment:
    """What is trained on some domains and tested on one.

    Attributes:
        method (str): A folder of configs, e.g. 'mbcd'.
        dataset (str): What its configs' names begin with: 'mini', 'epic' ...
        target (str): The domain of the test, e.g. 'D1'.
        seed (int): Of weights, data order and all draws.
        options (tuple[str]): ``--cfg-options`` of training and testing.
        variant (str): A name for the options, '' for the method itself.
        modalities (tuple[str]): () for all of the config.
        sources (tuple[str]): The domains of training and selection; () for
            all of the set but the target.
    """
    method: str
    dataset: str
    target: str
    seed: int
    options: tuple[str, ...] = ()
    variant: str = ''
    modalities: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Unique among experiments: also the folder of its files."""
        target = self.target.lower()
        if self.sources:
            target = f'{"-".join(self.sources).lower()}_to_{target}'
        parts = [self.method, self.variant, self.dataset, target,
                 '-'.join(self.modalities), f'seed{self.seed}']
        return '_'.join(part for part in parts if part)

    @property
    def config(self) -> str:
        """The config's path from the root of configs and tools."""
        target = self.target.lower()
        if self._single_source:
            target = f'{self.sources[0].lower()}_to_{target}'
        return f'configs/{self.method}/{self.dataset}_{target}.py'

    @property
    def cfg_options(self) -> list[str]:
        """All ``--cfg-options``: the given ones, modalities and domains."""
        options = list(self.options)
        if self.modalities:
            options.append(f'model.modalities={_listed(self.modalities)}')
        if self.sources and not self._single_source:
            options += [f'{key}={_listed(self.sources)}' for key in (
                'source_domains', 'train_dataloader.dataset.domains',
                'val_dataloader.dataset.domains')]
        return options

    def train_command(self, work_dir: str | Path, gpus: int = 1,
                      extra: tuple[str, ...] = (),
                      resume: str | Path | None = None) -> list[str]:
        """The training command, to run in the root.

        Args:
            work_dir (str | Path): Gets logs and checkpoints.
            gpus (int): Above 1, as many processes.
            extra (tuple[str]): Options of this run that are not the
                experiment's.
            resume (str | Path, optional): Checkpoint to go on from.
        """
        command = (['tools/dist_train.sh', self.config, str(gpus)]
                   if gpus > 1 else ['tools/train.py', self.config])
        command += ['--work-dir', str(work_dir), '--seed', str(self.seed)]
        if resume is not None:
            command += ['--resume', str(resume)]
        return command + _flag([*self.cfg_options, *extra])

    def test_command(self, work_dir: str | Path, checkpoint: str | Path,
                     gpus: int = 1) -> list[str]:
        """The test command, to run in the root."""
        command = (
            ['tools/dist_test.sh', self.config, str(checkpoint), str(gpus)]
            if gpus > 1 else ['tools/test.py', self.config, str(checkpoint)])
        command += ['--work-dir', str(Path(work_dir) / 'test')]
        return command + _flag(self.cfg_options)

    @property
    def _single_source(self) -> bool:
        return len(self.sources) == 1 and self.sources[0] != self.target


def resolved_config(experiment: Experiment, root: Path) -> Config:
    """The config as the commands run it, with all options merged."""
    config = Config.fromfile(Path(root) / experiment.config)
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    # The tools' own way, so that types are theirs too.
    options = parser.parse_args(_flag(experiment.cfg_options)).cfg_options
    config.merge_from_dict(options or {})
    return config


def fingerprint(config: Config, seed: int) -> str:
    """16 hex digits of a resolved config and a seed.

    Neither comments nor the order of keys, nor the package's version, nor
    the way the values came into the config make a difference.
    """
    values = json.dumps(config.to_dict(), sort_keys=True, default=repr)
    return hashlib.sha256(f'{seed}\n{values}'.encode()).hexdigest()[:16]


def identify(experiment: Experiment, root: Path) -> dict:
    """The fields of a record that say what was run.

    Args:
        experiment (Experiment): What is run.
        root (Path): Folder with ``configs``.

    Returns:
        dict: ``dataset``, ``method``, ``variant``, ``modalities``,
        ``sources``, ``target``, ``seed`` (the identity), ``config``,
        ``options`` and ``fingerprint``.
    """
    config = resolved_config(experiment, root)
    return dict(
        dataset=experiment.dataset,
        method=experiment.method,
        variant=experiment.variant,
        modalities=list(config.model.modalities),
        sources=list(config.source_domains),
        target=experiment.target,
        seed=experiment.seed,
        config=experiment.config,
        options=experiment.cfg_options,
        fingerprint=fingerprint(config, experiment.seed))


def _listed(names: tuple[str, ...]) -> str:
    """A list as ``--cfg-options`` reads it."""
    return f'[{",".join(names)}]'


def _flag(options: list[str]) -> list[str]:
    return ['--cfg-options', *options] if options else []
