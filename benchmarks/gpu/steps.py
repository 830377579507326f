"""Section 2: one training step by method, precision and trunk option.

Within a precision the methods take turns, so that all meet the same clock;
ratios are of one round, to ERM in the same precision. Peak memory is of one
method alone: weights, optimizer, teacher, activations, the batch apart.
"""

import torch
from common import METHODS, NotAvailable, Setting, build_model, make_batch
from measure import clear, interleaved, math_mode, peak_gib, quartiles
from stepping import Trainer

PRECISIONS = ('fp32', 'tf32', 'bf16', 'fp16')
# Options of the recognizer, each against the model without it in the same
# rounds.
OPTIONS = {
    'not released early': dict(release_early=False),
    'channels_last trunk': dict(trunk=dict(channels_last=True)),
    'folded trunk': dict(trunk=dict(fold_norm=True)),
    'bf16 trunk': dict(trunk=dict(precision='bf16')),
    'compiled trunk': dict(trunk=dict(compile=True)),
    'CUDA graphs of the trunk': dict(
        trunk=dict(compile=dict(mode='reduce-overhead'))),
}
OPTION_PRECISIONS = ('bf16', 'tf32')
CPU_OPTION_PRECISIONS = ('fp32', )
SECONDS_TO_COMPILE = 60  # what is set aside before an option is tried


def run(setting: Setting) -> dict:
    """Each precision, then each option.

    Returns:
        dict: 'batch', and 'precisions' and 'options', in which each
        case holds its figures or the reason ('not_run') for none.
    """
    data = dict(batch=setting.batch, rounds=setting.rounds, precisions={},
                options={})
    for precision in PRECISIONS:
        data['precisions'][precision] = guarded(
            setting, lambda: methods(setting, precision))  # noqa: B023
        setting.save(data)
    for precision in (OPTION_PRECISIONS if setting.cuda
                      else CPU_OPTION_PRECISIONS):
        for name, option in OPTIONS.items():
            data['options'][f'{name}, {precision}'] = guarded(
                setting, lambda: with_option(
                    setting, precision, option))  # noqa: B023
            setting.save(data)
    return data


def guarded(setting: Setting, case) -> dict:
    """A case's figures; too late, not available and out of memory are no
    reason to lose the other cases."""
    if setting.late():
        return dict(not_run='no time left')
    try:
        return case()
    except NotAvailable as reason:
        return dict(not_run=str(reason))
    except torch.cuda.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        return dict(not_run=f'out of memory: {error}')


def check_precision(setting: Setting, precision: str) -> None:
    """Refuse what this device does not do."""
    if setting.cuda or precision in ('fp32', 'fp16'):
        return
    raise NotAvailable(f'{precision} is measured on a GPU alone')


def methods(setting: Setting, precision: str) -> dict:
    """ERM and both kinds of MBCD, in turn."""
    check_precision(setting, precision)
    with math_mode(precision):
        return compare(setting, {
            name: lambda name=name: Trainer(
                setting, build_model(setting, name), name, precision)
            for name in METHODS
        }, 'ERM')


def with_option(setting: Setting, precision: str, option: dict) -> dict:
    """MBCD with a frozen trunk, with and without an option."""
    check_precision(setting, precision)
    check_option(setting, option)

    def plain() -> Trainer:
        return Trainer(setting, build_model(setting), precision=precision)

    def changed() -> Trainer:
        # a folded trunk is a copy, made once: give it the statistics before
        model = build_model(setting, settle=False, **option)
        model.load_state_dict(build_model(setting).state_dict())
        return Trainer(setting, model, precision=precision)

    with math_mode(precision):
        return compare(setting, {'plain': plain, 'option': changed}, 'plain')


def check_option(setting: Setting, option: dict) -> None:
    """Refuse what this device or the time does not have."""
    trunk = option.get('trunk', {})
    if not setting.cuda and trunk.keys() & {'precision', 'compile'}:
        raise NotAvailable('measured on a GPU alone')
    if 'compile' in trunk and setting.late(SECONDS_TO_COMPILE):
        raise NotAvailable('no time left to compile')


def compare(setting: Setting, makers: dict, base: str) -> dict:
    """Time trainers in turn.

    Args:
        setting (Setting): Batch, rounds, device.
        makers (dict): Name to a function that builds the trainer.
        base (str): The name that ratios are taken to.

    Returns:
        dict: For each name seconds, samples a second, ratio to the base
        (quartiles each) and the peak of memory in GiB.
    """
    clear(setting)
    batch = make_batch(setting)
    trainers, peaks = {}, {}

    def start(name: str) -> None:
        trainers[name] = makers[name]()
        for _ in range(2):  # the first meets lazy state and cuDNN's choice
            trainers[name].step(batch)

    for name in makers:
        peaks[name] = peak_gib(setting, lambda: start(name))  # noqa: B023
    times = interleaved(setting, {
        name: lambda t=t: t.step(batch) for name, t in trainers.items()
    }, setting.rounds)
    found = {}
    for name, own in times.items():
        found[name] = dict(
            seconds=quartiles(own),
            samples_per_second=quartiles([setting.batch / s for s in own]),
            ratio=quartiles([a / b for a, b in
                             zip(own, times[base], strict=True)]),
            peak_gib=peaks[name])
    return found
