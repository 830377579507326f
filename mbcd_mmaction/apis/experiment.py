"""One experiment by the tools: train, select on the sources, test once."""
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from mmengine.config import Config

from ..analysis.scalars import best_epoch, read_scalars
from ..version import __version__

__all__ = ['Experiment', 'run_all', 'run_experiment']

RESULT = 'result.json'


@dataclass(frozen=True)
class Experiment:
    """What is trained and tested.

    Attributes:
        method (str): A folder of configs, e.g. 'mbcd'.
        dataset (str): 'mini' or 'epic'.
        target (str): The unseen domain, e.g. 'D1'.
        seed (int): Of weights, data order and all draws.
        options (tuple[str]): ``--cfg-options`` of training and testing.
        variant (str): A name for the options, '' without any.
    """
    method: str
    dataset: str
    target: str
    seed: int
    options: tuple[str, ...] = ()
    variant: str = ''

    @property
    def name(self) -> str:
        """Unique among experiments: also the folder of its files."""
        parts = [self.method, self.variant, self.dataset,
                 self.target.lower(), f'seed{self.seed}']
        return '_'.join(part for part in parts if part)

    @property
    def config(self) -> str:
        """The config's path from the root of configs and tools."""
        return (f'configs/{self.method}/{self.dataset}_'
                f'{self.target.lower()}.py')

    def train_command(self, work_dir: Path) -> list[str]:
        """The training command, to run in the root."""
        command = ['tools/train.py', self.config, '--work-dir',
                   str(work_dir), '--seed', str(self.seed)]
        return command + self._options()

    def test_command(self, work_dir: Path, checkpoint: Path) -> list[str]:
        """The test command, to run in the root."""
        command = ['tools/test.py', self.config, str(checkpoint),
                   '--work-dir', str(work_dir / 'test')]
        return command + self._options()

    def _options(self) -> list[str]:
        return ['--cfg-options', *self.options] if self.options else []


def fingerprint(experiment: Experiment, root: Path) -> str:
    """What a result belongs to: resolved config, options and version."""
    config = Config.fromfile(root / experiment.config)
    config.merge_from_dict(dict(
        option.split('=', 1) for option in experiment.options))
    text = f'{__version__}\n{experiment.name}\n{config.pretty_text}'
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_experiment(experiment: Experiment,
                   root: Path,
                   out: Path,
                   show: Callable[[str], None] | None = None,
                   env: dict[str, str] | None = None) -> dict:
    """Train, take the in-domain best checkpoint, test it on the target.

    A finished experiment of the same config and version is read back, not
    run again; one that was cut off starts anew.

    Args:
        experiment (Experiment): What to run.
        root (Path): Folder with ``configs`` and ``tools``, in which the
            commands run.
        out (Path): Folder that gets one folder for the experiment.
        show (Callable, optional): Gets each line of progress.
        env (dict, optional): Added to the environment of the commands.

    Returns:
        dict: The experiment's fields, ``fingerprint``, ``source_metrics``
        (validation of the selected epoch), ``target_metrics`` (test),
        ``epoch`` and ``seconds`` of training.

    Raises:
        RuntimeError: If a command fails; its last lines are quoted and the
            full log is named.
    """
    work_dir = Path(out).resolve() / experiment.name
    result_file = work_dir / RESULT
    mark = fingerprint(experiment, root)
    if result_file.is_file():
        result = json.loads(result_file.read_text())
        if result['fingerprint'] == mark:
            if show is not None:
                show(f'read back from {result_file}: remove it to run again')
            return result
    work_dir.mkdir(parents=True, exist_ok=True)
    _clear(work_dir)
    start = time.monotonic()
    _call(experiment.train_command(work_dir), root, work_dir / 'train.log',
          show, env)
    train_seconds = time.monotonic() - start
    epoch, source = best_epoch(read_scalars(work_dir))
    checkpoint, = work_dir.glob('best_acc_top1_epoch_*.pth')
    if int(re.findall(r'(\d+)\.pth$', checkpoint.name)[0]) != epoch:
        raise RuntimeError(f'{checkpoint} is not of the best epoch {epoch}')
    _call(experiment.test_command(work_dir, checkpoint), root,
          work_dir / 'test.log', show, env)
    metrics, = (work_dir / 'test').glob('*/*.json')
    result = dict(
        asdict(experiment),
        fingerprint=mark,
        epoch=epoch,
        source_metrics=source,
        target_metrics=json.loads(metrics.read_text()),
        seconds=round(train_seconds, 1))
    result_file.write_text(json.dumps(result, indent=1) + '\n')
    return result


def run_all(experiments: Sequence[Experiment],
            run: Callable[[Experiment], dict],
            jobs: int = 1) -> tuple[list[dict], list[str]]:
    """Run experiments side by side; those that fail do not stop the rest.

    One line is printed for each as it ends.

    Args:
        experiments (Sequence[Experiment]): What to run.
        run (Callable): Runs one, as :func:`run_experiment` does.
        jobs (int): How many at once. Defaults to 1.

    Returns:
        tuple: The results in the order of ``experiments``, and the names of
        those that failed.
    """
    lock, done, failed = threading.Lock(), {}, []

    def one(experiment: Experiment) -> None:
        try:
            result = run(experiment)
        except RuntimeError as error:
            with lock:
                failed.append(experiment.name)
                print(f'FAILED {experiment.name}: {error}', flush=True)
            return
        with lock:
            done[experiment] = result
            print(
                f'[{len(done)}/{len(experiments)}] {experiment.name}: source '
                f'{100 * result["source_metrics"]["acc/top1"]:.1f}, target '
                f'{100 * result["target_metrics"]["acc/top1"]:.1f} '
                f'({result["seconds"]:.0f} s)', flush=True)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, experiments))
    return [done[e] for e in experiments if e in done], failed


def _clear(work_dir: Path) -> None:
    """Remove what a cut-off run left: its logs would be read as ours."""
    for path in sorted(work_dir.rglob('*'), reverse=True):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


def _call(command: Sequence[str], root: Path, log: Path,
          show: Callable[[str], None] | None,
          env: dict[str, str] | None) -> None:
    """Run a tool, keep its output, pass its progress lines on."""
    if show is not None:
        show('$ python ' + ' '.join(command))
    with open(log, 'w') as file, subprocess.Popen(
        [sys.executable, '-u', *command],
            cwd=root,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True) as process:
        for line in process.stdout:
            file.write(line)
            file.flush()
            if show is not None and 'Epoch(' in line:
                show('  ' + line[line.index('Epoch('):].rstrip())
    if process.returncode:
        tail = log.read_text().splitlines()[-15:]
        raise RuntimeError(
            f'{" ".join(command)} failed with exit status '
            f'{process.returncode}; the end of {log}:\n' + '\n'.join(tail))
