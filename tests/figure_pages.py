"""Commands of a page about figures, parsed by their tools."""
import re
import runpy
import shlex
import sys

from shipped import ROOT


def commands_of(text):
    """Every line of its shell blocks."""
    return [line for block in re.findall(r'```bash\n(.*?)```', text, re.S)
            for line in block.splitlines()]


def parse(command, monkeypatch, folder):
    """The tool's own parsed flags, in a folder with the trained models."""
    python, tool, *words = shlex.split(command)
    assert python == 'python'
    for word in words:
        found = re.search(r'=(?:(configs/\S+?):)?(work_dirs/[^:]+)', word)
        if found:
            assert found[1] is None or (ROOT / found[1]).is_file()
            path = folder / found[2].replace('*', 'acc_top1_epoch_3')
            if path.suffix:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            else:  # a whole training
                path.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, 'argv', [tool, *words])
    return runpy.run_path(str(ROOT / tool))['parse_args']()
