"""A checkout whose tools write what is read of a training, and no more."""
import json

# What a training is told beside its flags: FAKE_TRAIN=fail or =hang.
TRAIN = r"""
import json, os, sys, time
out = sys.argv[sys.argv.index('--work-dir') + 1]
resume = '--resume' in sys.argv
parent, name = os.path.split(out)
with open(os.path.join(parent, 'calls'), 'a') as f:
    f.write(f'train{" on" * resume} {name}\n')
print('noise')
print('x - INFO - Epoch(train) [1][1/1] loss: 1')
print('threads', os.environ.get('OMP_NUM_THREADS'), flush=True)
how = os.environ.get('FAKE_TRAIN')
if how == 'hang':
    time.sleep(60)
if how == 'fail' or 'a.b=fail' in sys.argv:
    print('the reason, in', os.path.abspath(__file__))
    sys.exit(3)
os.makedirs(out + f'/t{int(resume)}/vis_data')
rows = [dict(loss=1, step=1)] + [
    {'acc/top1': a, 'acc/D2/top1': a, 'step': e, 'time': 1}
    for e, a in ((1, .5), (2, .25))][int(resume):]
open(out + f'/t{int(resume)}/vis_data/scalars.json', 'w').write(
    chr(10).join(map(json.dumps, rows)))
open(out + '/best_acc_top1_epoch_1.pth', 'w').close()
"""
TEST = r"""
import json, os, sys
out = sys.argv[sys.argv.index('--work-dir') + 1]
assert sys.argv[2].endswith('best_acc_top1_epoch_1.pth')
parent, name = os.path.split(os.path.dirname(out))
with open(os.path.join(parent, 'calls'), 'a') as f:
    f.write(f'test {name}\n')
os.makedirs(out + '/t1')
json.dump({'acc/top1': .125, 'time': 1}, open(out + '/t1/t1.json', 'w'))
"""
CONFIG = """
source_domains = {sources}
target_domains = ['{target}']
model = dict(modalities=['video', 'audio'])
train_dataloader = dict(batch_size=16, dataset=dict(domains=source_domains))
val_dataloader = dict(dataset=dict(domains=source_domains))
train_cfg = dict(max_epochs=2)
a = dict(b=0)
"""


def make_root(folder, methods=('erm', 'mbcd'), domains=('D1', 'D2', 'D3')):
    """configs/METHOD/toy_TARGET.py, and both tools."""
    (folder / 'tools').mkdir(parents=True)
    (folder / 'tools/train.py').write_text(TRAIN)
    (folder / 'tools/test.py').write_text(TEST)
    for method in methods:
        (folder / 'configs' / method).mkdir(parents=True)
        for target in domains:
            sources = [name for name in domains if name != target]
            path = folder / f'configs/{method}/toy_{target.lower()}.py'
            path.write_text(CONFIG.format(sources=sources, target=target))
    return folder


def calls(out):
    """What the tools were called for, in order."""
    path = out / 'calls'
    return path.read_text().splitlines() if path.is_file() else []


def records(path):
    """The lines of a file of records."""
    return [json.loads(line) for line in path.read_text().splitlines()]
