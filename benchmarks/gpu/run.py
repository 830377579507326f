"""The step, its trace, the loader and checks on one GPU, in one command.

    python benchmarks/gpu/run.py --out results.json

Needs this checkout, a CUDA build of PyTorch, and the package's requirements:
nothing is downloaded, weights and clips are made up (random networks of the
configs' sizes; the clips are encoded into a folder beside the results, or
--data-root). pynvml is used where it is installed. The sections:

    environment  GPU, driver and versions
    step         seconds, samples a second, peak memory and ratios to ERM at
                 224 x 224 and batch 16, in fp32, tf32, bf16 and fp16; with
                 options of the trunk
    trace        one step under the profiler: phases, top kernels, GPU busy
                 share; Chrome traces lie beside the results
    loader       GPU busy share while MMEngine's Runner trains from clips
    checks       pass or fail: float16 and its scaler, NCCL, DDP, SyncBN,
                 determinism, CUDA graphs, fused Adam, waiting

Each section runs in a process of its own under a limit of time, so that one
that fails, hangs or spoils the GPU costs its own figures alone; what it had
found until then is kept. All limits together are under ten minutes; --limit
stretches them. Without a GPU

    python benchmarks/gpu/run.py --device cpu --tiny --out results.json

tries the script itself on narrow networks; its figures mean nothing.
--in-process runs all in one process, for debugging.
"""
import argparse
import importlib
import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]
SCHEMA = 1
# section: (its module, its limit in seconds)
SECTIONS = {
    'environment': ('environment', 30), 'step': ('steps', 170),
    'trace': ('tracing', 60), 'loader': ('loading', 150),
    'checks': ('checks', 160)}
SPARE = 15  # seconds in which a section is to end by itself
BREAK = 'BREAK_GPU_SECTION'  # a section that is to fail, for the test


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default=Path('results.json'))
    parser.add_argument('--sections', nargs='+', choices=list(SECTIONS),
                        default=list(SECTIONS))
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--tiny', action='store_true',
                        help='narrow networks, small input')
    parser.add_argument('--batch', type=int, help='clips of a step (16; 4)')
    parser.add_argument('--rounds', type=int, help='interleaved (7; 1)')
    parser.add_argument('--data-root', type=Path,
                        help='folder of the generated clips')
    parser.add_argument('--limit', type=float, default=1.0,
                        help='factor on every limit of time')
    parser.add_argument('--in-process', action='store_true')
    parser.add_argument('--part', type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    args.batch = args.batch or (4 if args.tiny else 16)
    args.rounds = args.rounds or (1 if args.tiny else 7)
    if min(args.batch - 1, args.rounds, args.limit) <= 0:
        parser.error('expected --batch >= 2, --rounds >= 1 and --limit > 0')
    return args


def main(argv: list[str] | None = None) -> int:
    """Run the sections; 1 if one of them failed or a check did."""
    args = parse_args(argv)
    if args.part is not None:
        write(args.part, section(args, args.sections[0], args.part))
        return 0
    check_device(args.device)
    begun = time.monotonic()
    results = dict(schema=SCHEMA, device=args.device, tiny=args.tiny,
                   batch=args.batch, rounds=args.rounds, sections={})
    run = section if args.in_process else in_child
    for name in args.sections:
        print(f'{name} ...', file=sys.stderr, flush=True)
        results['sections'][name] = run(args, name)
        results['seconds'] = time.monotonic() - begun
        write(args.out, results)
    from report import page
    print(page(results))
    return int(any(failed(s) for s in results['sections'].values()))


def check_device(device: str) -> None:
    """Say at once that there is no such device."""
    import torch
    if device.startswith('cuda') and not torch.cuda.is_available():
        raise SystemExit(
            f'--device {device}: expected a GPU, but this PyTorch '
            f'({torch.__version__}) sees none. To try the script: --device '
            'cpu --tiny')


def section(args: argparse.Namespace, name: str,
            part: Path | None = None) -> dict:
    """Run one section in this process; its errors are recorded.

    Args:
        args (argparse.Namespace): The command's.
        name (str): Section.
        part (Path, optional): Gets what is found so far.

    Returns:
        dict: 'status' ('ok' or 'failed'), 'seconds', 'limit', 'data', and
        of a failure 'error' and 'traceback'.
    """
    module, limit = SECTIONS[name][0], SECTIONS[name][1] * args.limit
    begun = time.monotonic()
    found = dict(status='ok', seconds=0.0, limit=limit, data={})

    def save(data: dict) -> None:
        found.update(data=data, seconds=time.monotonic() - begun)
        if part is not None:
            write(part, dict(found, status='out of time'))

    try:
        if os.environ.get(BREAK) == name:
            raise RuntimeError(f'{BREAK}={name}')
        # before CUDA starts: deterministic products ask for it
        if name == 'checks':
            os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
        import torch
        from common import Setting
        setting = Setting(
            torch.device(args.device), args.tiny, args.out.resolve().parent,
            args.batch, args.rounds, args.data_root,
            begun + limit - SPARE, save)
        save(importlib.import_module(module).run(setting))
    except Exception as error:
        found.update(status='failed', error=repr(error),
                     traceback=traceback.format_exc())
    found['seconds'] = time.monotonic() - begun
    return found


def in_child(args: argparse.Namespace, name: str) -> dict:
    """Run one section in a process of its own, stopped at its limit."""
    part = args.out.resolve().parent / f'{args.out.stem}_{name}.part.json'
    part.parent.mkdir(parents=True, exist_ok=True)
    part.unlink(missing_ok=True)
    limit = SECTIONS[name][1] * args.limit
    command = [sys.executable, '-W', 'ignore', str(HERE / 'run.py'),
               '--sections', name, '--part', str(part), '--out',
               str(args.out), '--device', args.device, '--limit',
               str(args.limit), '--batch', str(args.batch), '--rounds',
               str(args.rounds)]
    command += ['--tiny'] if args.tiny else []
    if args.data_root:
        command += ['--data-root', str(args.data_root)]
    error, code = '', None
    try:
        done = subprocess.run(command, timeout=limit, stdout=sys.stderr,
                              stderr=subprocess.PIPE, text=True)
        error, code = done.stderr, done.returncode
    except subprocess.TimeoutExpired as late:
        error = late.stderr or ''
        error = error if isinstance(error, str) else error.decode()
    found = read(part) or dict(status='out of time', seconds=limit, data={})
    found['limit'] = limit
    if code is None:
        found.update(status='out of time', seconds=limit)
    elif code:
        found.update(status='failed', error=f'its process ended with {code}')
    if found['status'] != 'ok':
        found.setdefault('error', 'stopped at its limit of time')
        found.setdefault('traceback', error[-3000:])
    part.unlink(missing_ok=True)
    return found


def failed(found: dict) -> bool:
    """Whether a section broke, or holds a check that did not pass."""
    return found['status'] == 'failed' or any(
        isinstance(c, dict) and c.get('status') in ('fail', 'error')
        for c in found['data'].values())


def write(path: Path, data: dict) -> None:
    """Write JSON in one go: a process may be stopped at any time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + '.new')
    fresh.write_text(json.dumps(data, indent=1) + '\n', encoding='utf-8')
    fresh.replace(path)


def read(path: Path) -> dict | None:
    """What a child wrote, None if nothing."""
    if not path.exists():
        return None
    return json.loads(path.read_text(encoding='utf-8'))


if __name__ == '__main__':
    sys.exit(main())
