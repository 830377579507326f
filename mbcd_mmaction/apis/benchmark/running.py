"""Run an experiment: train, select on the sources, test once."""
import itertools
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from ...analysis.scalars import best_epoch, read_scalars
from ...datasets.extraction.outputs import FolderLock
from .experiment import Experiment, identify, resolved_config
from .processes import Tools
from .provenance import commit_of, versions
from .resume import resume_point

__all__ = ['run_experiment']

RESULT = 'result.json'
PROGRESS = 'progress.json'
# The epoch before the last is kept too: see resume_point.
KEEP_TWO = 'default_hooks.checkpoint.max_keep_ckpts=2'


@dataclass
class Progress:
    """How far a work directory is.

    Attributes:
        fingerprint (str): Of the experiment its files are of.
        seconds (float): Of training, in attempts that have ended.
        started (float | None): When the present attempt did, seconds since
            the epoch; None where none was begun or it has ended.
        trained (bool): Whether the training reached its end.
    """
    fingerprint: str
    seconds: float = 0.0
    started: float | None = None
    trained: bool = False


def run_experiment(experiment: Experiment,
                   root: Path,
                   out: Path,
                   show: Callable[[str], None] | None = None,
                   env: dict[str, str] | None = None,
                   gpus: int = 1,
                   tools: Tools | None = None) -> dict:
    """Train, take the in-domain best checkpoint, test it on the target.

    A finished experiment of the same fingerprint is read back, not run
    again; one that was cut off goes on where it stopped. What its folder
    holds of another fingerprint is moved beside it, to ``NAME.old1`` and so
    on, and a line printed.

    Args:
        experiment (Experiment): What to run.
        root (Path): Folder with ``configs`` and ``tools``, in which the
            commands run.
        out (Path): Folder that gets one folder for the experiment.
        show (Callable, optional): Gets each line of progress.
        env (dict, optional): Added to the environment of the commands.
        gpus (int): Processes of one run; above 1 they share the config's
            batch. Defaults to 1.
        tools (Tools, optional): What runs the commands, in place of ``root``
            and ``show``, so that somebody else can stop them.

    Returns:
        dict: The record: the fields of :func:`identify`, ``gpus``,
        ``threads``, ``commit``, ``versions``, ``hours`` of ``train`` (all
        attempts) and ``test``, ``epoch`` (selected), ``source_metrics`` (its
        validation) and ``target_metrics`` (test).

    Raises:
        RuntimeError: If a command fails; its last lines are quoted and the
            full log is named.
        FolderInUse: If another process is at the same experiment.
    """
    tools = tools or Tools(root, show)
    root = tools.root
    run = _Run(experiment, root, Path(out).resolve() / experiment.name, tools,
               env or {}, gpus)
    run.work_dir.mkdir(parents=True, exist_ok=True)
    with FolderLock(run.work_dir, 'or give another folder') as lock:
        run.keep_open = lock.files
        fields = identify(experiment, root)
        result_file = run.work_dir / RESULT
        result = _read(result_file)
        if result and result['fingerprint'] == fields['fingerprint']:
            if tools.show is not None:
                tools.show(f'read back from {result_file}: remove it to run '
                           'again')
            return result
        run.keep_others(fields['fingerprint'])
        result_file.unlink(missing_ok=True)
        epoch, source, train_seconds = run.train(fields['fingerprint'])
        target, test_seconds = run.test(epoch)
        result = dict(
            fields,
            gpus=gpus,
            threads=threads_of(env),
            commit=commit_of(root),
            versions=versions(),
            hours=dict(train=round(train_seconds / 3600, 4),
                       test=round(test_seconds / 3600, 4)),
            epoch=epoch,
            source_metrics=_scores(source),
            target_metrics=_scores(target))
        _write(result_file, result)
    return result


def threads_of(env: dict[str, str] | None) -> int | None:
    """What OMP_NUM_THREADS will be for a command; None where unset."""
    value = {**os.environ, **(env or {})}.get('OMP_NUM_THREADS', '')
    return int(value) if value.isdigit() else None


@dataclass
class _Run:
    """An experiment in its work directory, which is locked."""
    experiment: Experiment
    root: Path
    work_dir: Path
    tools: Tools
    env: dict[str, str]
    gpus: int
    keep_open: tuple[int, ...] = ()

    def keep_others(self, mark: str) -> None:
        """Move away what is not of this fingerprint: it would be read as
        ours, and is not ours to remove."""
        progress = _read(self.work_dir / PROGRESS) or {}
        if progress.get('fingerprint') == mark:
            return
        aside = _set_aside(self.work_dir)
        if aside is not None:
            (self.tools.show or print)(
                f'{self.work_dir} is not of the present config; what it held '
                f'is in {aside.name} beside it')

    def train(self, mark: str) -> tuple[int, dict, float]:
        """Train, or go on with it, or find it done.

        Returns:
            tuple: Selected epoch, its validation metrics, and seconds.
        """
        progress = Progress(**(_read(self.work_dir / PROGRESS) or {
            'fingerprint': mark}))
        if not progress.trained:
            config = resolved_config(self.experiment, self.root)
            resume = resume_point(self.work_dir, config.train_cfg)
            self._train(progress, resume)
            if resume is not None and not self._selected()[0].is_file():
                # A cut may come between one best checkpoint and the next.
                self._train(progress, None)
        checkpoint, epoch, source = self._selected()
        if not checkpoint.is_file():
            raise RuntimeError(
                f'expected the checkpoint {checkpoint} of the best epoch, '
                f'{epoch}, found none; remove its folder to train anew')
        return epoch, source, progress.seconds

    def test(self, epoch: int) -> tuple[dict, float]:
        """Test the selected checkpoint, once; metrics and seconds."""
        start = time.time()
        metrics = self._tested()
        if metrics is None:
            _clear(self.work_dir / 'test')
            self._call(self.experiment.test_command(
                self.work_dir, _best(self.work_dir, epoch), self.gpus),
                'test.log')
            metrics = self._tested()
        if metrics is None:
            raise RuntimeError('expected the scores of the test in '
                               f'{self.work_dir}/test/*/*.json, found none')
        return metrics, time.time() - start

    def _train(self, progress: Progress, resume: Path | None) -> None:
        """One attempt; its time counts even if it is cut off."""
        file, log = self.work_dir / PROGRESS, self.work_dir / 'train.log'
        if progress.started is not None and log.is_file():
            progress.seconds += max(
                0.0, log.stat().st_mtime - progress.started)
        if resume is None:
            _clear(self.work_dir)
        progress.started, progress.trained = time.time(), False
        _write(file, asdict(progress))
        self._call(self.experiment.train_command(
            self.work_dir, self.gpus,
            run_options(self.experiment, self.root, self.gpus), resume),
            'train.log')
        progress.seconds += time.time() - progress.started
        progress.started, progress.trained = None, True
        _write(file, asdict(progress))

    def _call(self, command: list[str], log: str) -> None:
        self.tools.run(command, self.work_dir / log, self.env,
                       self.keep_open)

    def _selected(self) -> tuple[Path, int, dict]:
        epoch, source = best_epoch(read_scalars(self.work_dir))
        return _best(self.work_dir, epoch), epoch, source

    def _tested(self) -> dict | None:
        """The scores of a test that was written to its end."""
        for path in sorted(self.work_dir.glob('test/*/*.json')):
            metrics = _read(path)
            if metrics and 'acc/top1' in metrics:
                return metrics
        return None


def run_options(experiment: Experiment, root: Path,
                gpus: int) -> tuple[str, ...]:
    """Options of the training that are the machine's, not the experiment's.

    Raises:
        ValueError: If the processes cannot share the config's batch.
    """
    if gpus <= 1:
        return (KEEP_TWO, )
    batch = resolved_config(experiment, root).train_dataloader.batch_size
    if batch % gpus:
        raise ValueError(
            f'expected a number of GPUs that divides the batch of {batch} '
            f'clips of {experiment.config}, got {gpus}')
    return (KEEP_TWO, f'train_dataloader.batch_size={batch // gpus}')


def _best(work_dir: Path, epoch: int) -> Path:
    return work_dir / f'best_acc_top1_epoch_{epoch}.pth'


def _scores(metrics: dict) -> dict:
    """The metric's values alone, without times and step numbers."""
    return {key: value for key, value in metrics.items()
            if key.startswith('acc/')}


def _read(path: Path) -> dict | None:
    """A JSON object; None where there is none, or half of one."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _write(path: Path, values: dict) -> None:
    """The whole file or none of it."""
    part = path.with_suffix('.part')
    part.write_text(json.dumps(values, indent=1) + '\n')
    os.replace(part, path)


def _set_aside(work_dir: Path) -> Path | None:
    """Move what a folder holds, but for its lock, to a new one beside it;
    None where it holds nothing."""
    found = [path for path in work_dir.iterdir()
             if path.name != FolderLock.name]
    if not found:
        return None
    names = (work_dir.with_name(f'{work_dir.name}.old{number}')
             for number in itertools.count(1))
    aside = next(path for path in names if not path.exists())
    aside.mkdir()
    for path in found:
        path.rename(aside / path.name)
    return aside


def _clear(work_dir: Path) -> None:
    """Remove what a run left, but for its lock: it would be read as ours."""
    for path in sorted(work_dir.rglob('*'), reverse=True):
        if path.name == FolderLock.name:
            continue
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
