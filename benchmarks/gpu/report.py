"""The results as one page of Markdown."""


def page(results: dict) -> str:
    """All sections, one after another."""
    lines = [f'# GPU benchmark: {results["device"]}'
             + (', tiny: a trial of the script, no figures'
                if results['tiny'] else ''), '']
    for name, found in results['sections'].items():
        lines += [f'## {name}: {found["status"]} '
                  f'({found["seconds"]:.0f} of {found["limit"]:.0f} s)', '']
        if 'error' in found:
            lines += [found['error'], '']
        if found['data']:
            lines += [*TABLES[name](found['data']), '']
    return '\n'.join(lines)


def table(head: list[str], rows: list[list]) -> list[str]:
    """A Markdown table."""
    lines = [head, ['---'] * len(head), *rows]
    return ['| ' + ' | '.join(str(x).replace('|', '/') for x in row) + ' |'
            for row in lines]


def spread(found: dict, digits: int = 3) -> str:
    """Median and quartiles."""
    return (f'{found["median"]:.{digits}f} '
            f'({found["q1"]:.{digits}f}-{found["q3"]:.{digits}f})')


def number(value: float | None, digits: int = 2) -> str:
    """A number, or a dash for none."""
    return '-' if value is None else f'{value:.{digits}f}'


def environment(data: dict) -> list[str]:
    """Every entry."""
    flat = dict(data, **data['packages'])
    return table(['what', 'version'], [
        [name, value] for name, value in flat.items()
        if name != 'packages' and value is not None])


def step(data: dict) -> list[str]:
    """A row for each method and precision, and for each option."""
    rows = []
    for title in ('precisions', 'options'):
        for case, found in data[title].items():
            if 'not_run' in found:
                rows.append([case, 'not run: ' + found['not_run'],
                             *['-'] * 4])
                continue
            rows += [[case, name, spread(f['seconds']),
                      spread(f['samples_per_second'], 1),
                      spread(f['ratio'], 2), number(f['peak_gib'])]
                     for name, f in found.items()]
    return table(['case', 'method', 'seconds', 'samples/s', 'ratio',
                  'peak GiB'], rows)


def trace(data: dict) -> list[str]:
    """Phases and kernels of each case."""
    lines = []
    for case, found in data['cases'].items():
        if 'not_run' in found:
            lines += [f'{case}: not run: {found["not_run"]}', '']
            continue
        lines += [f'{case}: {1e3 * found["seconds"]:.1f} ms, busy share '
                  f'{number(found["busy_share"])}, kernels '
                  f'{found["kernels"] or "-"}, {found["trace"]}', '']
        lines += table(['phase', 'ms'], [
            [name, f'{ms:.2f}'] for name, ms in found['phases'].items()])
        lines += ['', *table(['kernel', 'calls', 'ms'], [
            [k['name'], k['calls'], f'{k["milliseconds"]:.2f}']
            for k in found['top']]), '']
    return lines


def loader(data: dict) -> list[str]:
    """A row for each number of workers."""
    rows = []
    for case, found in data['cases'].items():
        if 'not_run' in found:
            rows.append([case, 'not run: ' + found['not_run'], *['-'] * 3])
            continue
        rows.append([case, number(found['samples_per_second_mean'], 1),
                     number(found['data_time_share']),
                     number(found['busy_share']),
                     found['busy_measured_by'] or '-'])
    return table(['workers', 'samples/s', 'share waiting for data',
                  'GPU busy', 'measured by'], rows)


def checks(data: dict) -> list[str]:
    """A row for each check."""
    return table(['check', 'status', 'evidence or reason'], [
        [name, found['status'],
         found.get('reason') or brief(found['evidence'])]
        for name, found in data.items()])


def brief(value) -> str:
    """Evidence on one line."""
    if isinstance(value, dict):
        return ', '.join(f'{k}: {brief(v)}' for k, v in value.items())
    if isinstance(value, float):
        return f'{value:.3g}'
    return str(value)


TABLES = dict(environment=environment, step=step, trace=trace, loader=loader,
              checks=checks)
