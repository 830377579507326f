"""Seconds, FLOPs and memory of one training step, phase by phase.

    python benchmarks/step.py
    python benchmarks/step.py --flops
    python benchmarks/step.py --memory

Compares, on random inputs and weights, with the networks and methods of the
shipped configs:

- erm: one trunk, one last stage, the fused loss; the trunk's BatchNorm in
  train mode, as ERM is run elsewhere. erm-frozen: the trunk in eval mode.
- frozen, batch: MBCD with that ``trunk_norm`` (configs/mbcd and
  configs/mbcd_released).
- released: the released step, written plainly (benchmarks/step_released.py).

The first command times them in turn, so that a busy machine slows all, and
prints medians, and ratios to erm and to released with their quartiles. The
other two run on the meta device, where nothing is computed or allocated, and
give the same figures on any machine: FLOPs of convolutions and matrix
products, two for a multiply and add; the most bytes that live tensors held at
a time: parameters, buffers, gradients, Adam's state, inputs and activations,
but nothing that an operator uses inside itself. There, DSU perturbs in every
call (configs/mbcd_released), which takes the most memory; --no-perturb leaves
it out everywhere.
"""
import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from step_count import CudaPeak, Flops, LiveBytes, Phases, Seconds
from step_variants import VARIANTS, Batch, Variant

SETS = ['video+flow+audio', 'video+flow', 'video+audio', 'flow+audio']
PHASES = ['clone', 'trunk', 'teacher trunk', 'teacher', 'pass 1',
          'inner gradient', 'pass 2', 'backward', 'optimizer', 'average',
          'rest']
GIB = 2**30


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--flops', action='store_true',
                        help='count FLOPs only')
    parser.add_argument('--memory', action='store_true',
                        help='count bytes of live tensors only')
    parser.add_argument('--modalities', nargs='+', default=SETS,
                        choices=SETS, metavar='SET',
                        help=f'some of {" ".join(SETS)} (default: all)')
    parser.add_argument('--variants', nargs='+', default=list(VARIANTS),
                        choices=list(VARIANTS))
    parser.add_argument('--size', type=int, default=224,
                        help='pixels of a side of the frames (default: 224)')
    parser.add_argument('--batch', type=int,
                        help='clips (default: 2 when timed, else 16)')
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'],
                        help='where steps are timed')
    parser.add_argument('--network', default='full',
                        choices=['full', 'tiny'],
                        help='tiny: narrow and shallow, for a trial')
    parser.add_argument('--early', action=argparse.BooleanOptionalAction,
                        help="the recognizer's release_early (default: its "
                        'own; --memory compares both)')
    parser.add_argument('--perturb', action=argparse.BooleanOptionalAction,
                        default=True, help='--no-perturb: without the DSU '
                        'of configs/mbcd_released')
    parser.add_argument('--out', type=Path, metavar='FILE.json')
    args = parser.parse_args(argv)
    if args.batch is None:
        args.batch = 16 if args.flops or args.memory else 2
    if args.size < 32 or args.batch < 1 or args.rounds < 1:
        parser.error('expected --size >= 32, --batch >= 1 and --rounds >= 1')
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    timed = not (args.flops or args.memory)
    report = dict(
        settings={k: v for k, v in vars(args).items() if k != 'out'},
        torch=torch.__version__, threads=torch.get_num_threads(),
        device=(torch.cuda.get_device_name() if args.device == 'cuda'
                else 'cpu') if timed else 'meta', sets={})
    print(f'{args.network} networks, {args.size} pixels, {args.batch} clips; '
          f'torch {report["torch"]}, {report["device"]}, '
          f'{report["threads"]} threads')
    for title in args.modalities:
        print(f'\n{title}')
        found = report['sets'][title] = {}
        if timed:
            found.update(time_variants(args, title.split('+')))
        if timed or args.flops:
            found['flops'] = count(args, title, Flops)
        if timed or args.memory:
            found['live_bytes'] = count(args, title, LiveBytes)
    if args.out is not None:
        args.out.write_text(json.dumps(report, indent=1) + '\n')
    return 0


# ---- counted on the meta device ------------------------------------------


def count(args: argparse.Namespace, title: str, meter_type: type) -> dict:
    """What a step takes, by variant and phase, printed as a table."""
    of_bytes = meter_type is LiveBytes
    modalities, amounts, passes = title.split('+'), {}, {}
    for label, name, early in plan(args, both=of_bytes):
        batch = Batch(modalities, args.size, args.batch, 'meta')
        variant = Variant(name, modalities, args.network, 'meta', early,
                          args.perturb)
        amounts[label], passes[label] = count_step(
            variant, batch, meter_type())
    divisor = GIB if of_bytes else 1e9
    print_table('live tensors, GiB' if of_bytes else 'GFLOP', amounts,
                divisor, max if of_bytes else sum)
    print_row('trunk passes', [f'{n}' for n in passes.values()])
    if not of_bytes and 'erm' in amounts:
        print(f"  erm's probes (uni-modal heads on detached embeddings): "
              f'{100 * probe_share(args, modalities, amounts["erm"]):.3f} % '
              'of its FLOPs')
    return amounts


def count_step(variant: Variant, batch: Batch, meter: Flops | LiveBytes
               ) -> tuple[dict[str, int], int]:
    """A step's amounts by phase, and how often each trunk ran in it.

    Raises:
        ValueError: If the modalities' trunks ran unequally often.
    """
    variant.step(batch)  # Adam's state is there from now on
    if isinstance(meter, LiveBytes):
        meter.add_tensors(batch.tensors() + variant.tensors())
    for modality in variant.trunk_calls:
        variant.trunk_calls[modality] = 0
    phases = Phases(meter=meter)
    with meter:
        variant.step(batch, phases)
    calls = set(variant.trunk_calls.values())
    if len(calls) != 1:
        raise ValueError(f'trunks ran unequally often: {variant.trunk_calls}')
    return phases.amounts['meter'], calls.pop()


def plan(args: argparse.Namespace, both: bool
         ) -> list[tuple[str, str, bool | None]]:
    """Label, variant and ``release_early`` of each column."""
    columns = []
    for name in args.variants:
        ours = name in ('frozen', 'batch')
        columns.append((name, name, args.early if ours else None))
        if ours and both and args.early is None:
            columns.append((f'{name}-late', name, False))
    return columns


def probe_share(args: argparse.Namespace, modalities: list[str],
                erm: dict[str, int]) -> float:
    """The share of ERM's FLOPs that its uni-modal heads take."""
    heads = Variant('erm', modalities, args.network, 'meta').model
    with Flops() as counted:
        for head in heads.unimodal_heads.values():
            z = torch.empty(args.batch, head.in_channels, device='meta')
            head.layers(z).sum().backward()
    return counted.get_total_flops() / sum(erm.values())


# ---- timed -----------------------------------------------------------------


def time_variants(args: argparse.Namespace, modalities: list[str]) -> dict:
    """Seconds of each variant's phases, in interleaved rounds."""
    batch = Batch(modalities, args.size, args.batch, args.device)
    variants = {
        label: Variant(name, modalities, args.network, args.device, early,
                       args.perturb)
        for label, name, early in plan(args, both=False)
    }
    for variant in variants.values():
        variant.step(batch)
    rounds = {label: [] for label in variants}
    peaks: dict[str, int] = {}
    for number in range(args.rounds):
        order = list(variants)[::-1 if number % 2 else 1]
        for label in order:
            torch.manual_seed(number)  # all draw the same perturbations
            phases = phases_of(args.device, variants[label], batch)
            variants[label].step(batch, phases)
            rounds[label].append(phases.amounts['seconds'])
            if 'peak' in phases.amounts:
                peaks[label] = max(phases.total('peak'),
                                   peaks.get(label, 0))
    medians = {
        label: {phase: float(np.median([r.get(phase, 0.) for r in steps]))
                for phase in steps[0]}
        for label, steps in rounds.items()
    }
    totals = {label: np.array([sum(r.values()) for r in steps])
              for label, steps in rounds.items()}
    print_table('seconds', medians, 1, None, {
        label: float(np.median(t)) for label, t in totals.items()})
    ratios = print_ratios(totals)
    print_row('Adam', ['fused' if v.fused else 'default'
                       for v in variants.values()])
    print_row('average, % of step', [
        f'{100 * m["average"] / np.median(totals[label]):.2f}'
        if 'average' in m else '-' for label, m in medians.items()])
    if peaks:
        print_row('allocated, GiB', [f'{p / GIB:.2f}'
                                     for p in peaks.values()])
    return dict(seconds=medians, ratios=ratios, allocated_bytes=peaks,
                steps={k: list(map(float, t)) for k, t in totals.items()})


def phases_of(device: str, variant: Variant, batch: Batch) -> Phases:
    """Meters of a timed step."""
    if device == 'cpu':
        return Phases(seconds=Seconds())
    own = sum(x.untyped_storage().nbytes() for x in
              {x.untyped_storage()._cdata: x for x in
               batch.tensors() + variant.tensors()}.values())
    others = torch.cuda.memory_allocated() - own
    return Phases(seconds=Seconds(device), peak=CudaPeak(others))


# ---- printed ---------------------------------------------------------------


def print_table(title: str, amounts: dict[str, dict], divisor: float,
                add, totals: dict | None = None) -> None:
    """Phases down, variants across, then totals and their ratios."""
    if totals is None:
        totals = {label: add(a.values()) for label, a in amounts.items()}
    print_row(title, list(amounts))
    for phase in PHASES:
        if any(phase in a for a in amounts.values()):
            print_row('  ' + phase, [
                f'{a[phase] / divisor:.3f}' if phase in a else '-'
                for a in amounts.values()])
    print_row('  whole step', [f'{t / divisor:.3f}'
                               for t in totals.values()])
    if add is None:
        return
    for base in ('erm', 'released'):
        if base in totals:
            print_row(f'  / {base}', [f'{t / totals[base]:.3f}'
                                      for t in totals.values()])


def print_ratios(totals: dict[str, np.ndarray]) -> dict:
    """Paired ratios of the rounds, as quartiles."""
    ratios = {}
    for base in ('erm', 'released'):
        if base not in totals:
            continue
        ratios[base] = {
            label: [float(q) for q in np.percentile(
                t / totals[base], [25, 50, 75])]
            for label, t in totals.items()
        }
        for i, name in enumerate([f'  / {base}', '    lower quartile',
                                  '    upper quartile']):
            print_row(name, [f'{q[(1, 0, 2)[i]]:.2f}'
                             for q in ratios[base].values()])
    return ratios


def print_row(name: str, cells: list[str]) -> None:
    """One line of a table."""
    print(f'{name:20}' + ''.join(f'{cell:>13}' for cell in cells),
          flush=True)


if __name__ == '__main__':
    sys.exit(main())
