"""Section 3: one step under the profiler, by phase.

The phases are ranges around the step's own methods: ``record_function`` for
the profiler and NVTX for Nsight. Where pass 1 is released early, its
gradients are taken within it. Busy is the share of the step's wall time in
which at least one kernel or copy ran.
"""
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from common import Setting, build_model, make_batch
from measure import clear, math_mode
from stepping import Trainer
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

from mbcd_mmaction.models import recognizer

PREFIX = 'phase: '
CASES = (('MBCD frozen', 'bf16'), ('MBCD frozen', 'tf32'))
CPU_CASES = (('MBCD frozen', 'fp32'), )
TOP = 15


def run(setting: Setting) -> dict:
    """Profile the cases; their traces go to the folder."""
    data: dict = dict(cases={})
    for method, precision in CASES if setting.cuda else CPU_CASES:
        name = f'{method}, {precision}'
        if setting.late():
            data['cases'][name] = dict(not_run='no time left')
            continue
        with math_mode(precision):
            data['cases'][name] = one_step(setting, method, precision)
        setting.save(data)
    return data


def one_step(setting: Setting, method: str, precision: str) -> dict:
    """Two steps to warm up, one plain, one under the profiler."""
    clear(setting)
    batch = make_batch(setting)
    trainer = Trainer(setting, build_model(setting, method), method,
                      precision)
    for _ in range(2):
        trainer.step(batch)
    plain = wall(setting, lambda: trainer.step(batch))
    activities = [ProfilerActivity.CPU] + (
        [ProfilerActivity.CUDA] if setting.cuda else [])
    with phases(trainer, setting.cuda) as stamps:
        with profile(activities=activities) as profiler:
            length = wall(setting, lambda: trainer.step(batch))
    setting.folder.mkdir(parents=True, exist_ok=True)
    stem = f'trace_{method}_{precision}'.replace(' ', '_')
    path = setting.folder / f'{stem}.json.gz'
    profiler.export_chrome_trace(str(path))
    device = 'device' if setting.cuda else 'cpu'
    averages = profiler.key_averages()
    busy = busy_seconds(profiler.events()) if setting.cuda else None
    return dict(
        seconds=plain, seconds_profiled=length, trace=path.name,
        busy_share=busy / length if setting.cuda else None,
        kernels=count_kernels(profiler.events()) if setting.cuda else None,
        phases={name: milliseconds(spans, setting.cuda)
                for name, spans in stamps.items() if spans},
        top=[dict(name=event.key[:120], calls=event.count,
                  milliseconds=self_time(event, device) / 1e3)
             for event in sorted(
                 (e for e in averages if is_work(e, setting.cuda)),
                 key=lambda e: -self_time(e, device))[:TOP]])


def wall(setting: Setting, call: Callable[[], object]) -> float:
    """Wall time of a call and all that it queued."""
    if setting.cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    call()
    if setting.cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


@contextmanager
def phases(trainer: Trainer, cuda: bool) -> Iterator[dict[str, list]]:
    """Ranges around the step's methods.

    Yields:
        dict: Name of each phase found to its (start, stop) stamps.
    """
    model = trainer.model
    places = [
        ('preprocess', model.data_preprocessor, 'forward'),
        ('trunk', model, 'run_trunk'),
        ('pass 1', recognizer, 'run_first_pass'),
        ('inner step', model.lookahead, 'step'),
        ('inner gradient and step', model.lookahead, 'fast_weights'),
        ('pass 2', model, '_second_pass'),
        ('teacher', model.distiller, 'teacher'),
        ('backward', trainer.optim_wrapper, 'backward'),
        ('optimizer', trainer.optim_wrapper, 'step'),
        ('average', trainer.teacher, 'update_parameters'),
    ]
    with ExitStack() as undo:
        stamps = {}
        for name, owner, method in places:
            if owner is None or not hasattr(owner, method):
                continue
            stamps[name] = []
            undo.callback(in_range(owner, method, name, stamps[name], cuda))
        yield stamps


def in_range(owner, method: str, name: str, stamps: list,
             cuda: bool) -> Callable[[], None]:
    """Put a range around one object's method; returns what undoes it."""
    inner, own = getattr(owner, method), method in vars(owner)

    def wrapped(*args, **kwargs):
        if cuda:
            torch.cuda.nvtx.range_push(PREFIX + name)
        start = stamp(cuda)
        try:
            with record_function(PREFIX + name):
                return inner(*args, **kwargs)
        finally:
            stamps.append((start, stamp(cuda)))
            if cuda:
                torch.cuda.nvtx.range_pop()

    setattr(owner, method, wrapped)
    if own:
        return lambda: setattr(owner, method, inner)
    return lambda: delattr(owner, method)


def stamp(cuda: bool):
    """Now: an event on the GPU's stream, or the clock in seconds."""
    if not cuda:
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def milliseconds(stamps: list, cuda: bool) -> float:
    """Of all ranges of a phase; synchronise before."""
    if cuda:
        return sum(start.elapsed_time(stop) for start, stop in stamps)
    return 1e3 * sum(stop - start for start, stop in stamps)


def is_range(name: str) -> bool:
    """Whether an event is an annotation, not work."""
    return name.startswith((PREFIX, 'ProfilerStep', 'Optimizer.'))


def is_work(event, cuda: bool) -> bool:
    """Whether a line of the table is a kernel (on a CPU an operator)."""
    if is_range(event.key) or getattr(event, 'is_user_annotation', False):
        return False
    return not cuda or event.device_type == DeviceType.CUDA


def self_time(event, device: str) -> float:
    """Microseconds of an event without its children."""
    return getattr(event, f'self_{device}_time_total')


def device_events(events) -> list[tuple[float, float]]:
    """(start, end) in microseconds of each kernel and copy."""
    return [(e.time_range.start, e.time_range.end) for e in events
            if e.device_type == DeviceType.CUDA and not is_range(e.name)
            and not getattr(e, 'is_user_annotation', False)]


def count_kernels(events) -> int:
    """Kernels and copies in all."""
    return len(device_events(events))


def busy_seconds(events) -> float:
    """Seconds in which at least one kernel or copy ran."""
    return covered(device_events(events)) / 1e6


def covered(spans: list[tuple[float, float]]) -> float:
    """Length of the union of intervals."""
    total, reached = 0.0, float('-inf')
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
