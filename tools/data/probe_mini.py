"""How fair the mini set is: accuracy of each modality on its own.

Trains the mini config's backbone of one modality on two domains and tests it
on their test split and on the third domain, for each of the three targets:
python tools/data/probe_mini.py data/mini. Targets are read to judge the set;
no method of this project is tuned with it.
"""
import argparse
import logging
from collections.abc import Iterator

import numpy as np
import torch
from mmaction.registry import DATASETS, MODELS
from mmengine.config import Config, ConfigDict
from mmengine.logging import MMLogger
from torch import Tensor, nn

import mbcd_mmaction  # noqa: F401

DOMAINS = ('D1', 'D2', 'D3')
CROP = 48
Split = tuple[Tensor, Tensor]


class Net(nn.Module):
    """The backbone of a branch, pooled, and a linear classifier."""

    def __init__(self, backbone: ConfigDict) -> None:
        super().__init__()
        self.backbone = MODELS.build(backbone)
        self.backbone.init_weights()
        self.head = nn.Sequential(nn.Dropout(.5), nn.LazyLinear(8))

    def forward(self, clips: Tensor) -> Tensor:
        maps = self.backbone(clips)
        maps = maps if isinstance(maps, tuple) else (maps, )
        pooled = torch.cat([x.flatten(2).mean(2) for x in maps], 1)
        return self.head(nn.functional.layer_norm(pooled, pooled.shape[1:]))


def load(root: str, pipeline: list, modality: str, domain: str,
         split: str) -> Split:
    """Clips (N, C, ...) uint8 or float32 and labels (N,) of a domain."""
    dataset = DATASETS.build(
        dict(type='EpicKitchensDataset', data_root=root, domains=[domain],
             split=split, modalities=[modality], pipeline=pipeline,
             test_mode=True))
    samples = [dataset[i] for i in range(len(dataset))]
    return (torch.stack([x['inputs'][modality][0] for x in samples]),
            torch.cat([x['data_samples'].gt_label for x in samples]))


def prepare(clips: Tensor, modality: str, train: bool) -> Tensor:
    """Normalise; crop and flip pictures, at random in training."""
    if modality == 'audio':
        return clips
    clips = (clips.float() - 128) / 64
    room = clips.shape[-1] - CROP
    top, left = np.random.randint(0, room + 1, 2) if train else [room // 2] * 2
    clips = clips[..., top:top + CROP, left:left + CROP]
    if train and np.random.random() < .5:
        clips = clips.flip(-1)
        if modality == 'flow':
            clips = clips * torch.tensor([-1., 1.]).view(2, 1, 1, 1)
    return clips


@torch.no_grad()
def accuracy(net: Net, data: Split, modality: str) -> float:
    """Top-1 in percent."""
    net.eval()
    hits = [(net(prepare(x, modality, False)).argmax(1) == y).float()
            for x, y in zip(*(part.split(40) for part in data), strict=True)]
    return 100 * torch.cat(hits).mean().item()


def train(net: Net, data: Split, modality: str, epochs: int) -> Iterator[int]:
    """Train with Adam, batches of 16; yields the number of each epoch."""
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, weight_decay=1e-4)
    for epoch in range(1, epochs + 1):
        net.train()
        for index in torch.randperm(len(data[0])).split(16):
            logits = net(prepare(data[0][index], modality, True))
            loss = nn.functional.cross_entropy(logits, data[1][index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield epoch


def probe(cfg: ConfigDict, args: argparse.Namespace, modality: str) -> None:
    """Print the rows of one modality."""
    load_pipeline, pack = cfg.test_dataloader.dataset.pipeline
    steps = [step for step in load_pipeline.pipelines[modality]
             if step['type'] != 'CenterCrop']
    pipeline = [dict(load_pipeline, pipelines={modality: steps}),
                dict(pack, collect_keys=[modality])]
    data = {(domain, split): load(args.root, pipeline, modality, domain, split)
            for domain in DOMAINS for split in ('train', 'test')}
    early = max(args.epochs // 4, 1)
    for target in DOMAINS:
        torch.manual_seed(args.seed)
        np.random.seed(args.seed)
        train_set, source = (
            tuple(map(torch.cat, zip(*(data[domain, split]
                                       for domain in DOMAINS
                                       if domain != target), strict=True)))
            for split in ('train', 'test'))
        net, row = Net(cfg.model.branches[modality].backbone), []
        for epoch in train(net, train_set, modality, args.epochs):
            if epoch in (early, args.epochs):
                row += [accuracy(net, source, modality),
                        accuracy(net, data[target, 'test'], modality)]
        print(f'| {modality} | {target} | '
              + ' | '.join(f'{x:.1f}' for x in row) + ' |', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('root', nargs='?', default='data/mini')
    parser.add_argument('--config', default='configs/erm/mini_d1.py')
    parser.add_argument('--epochs', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    MMLogger.get_instance('mmengine').setLevel(logging.ERROR)
    cfg = Config.fromfile(args.config)
    early = max(args.epochs // 4, 1)
    print('| modality | target | ' + ' | '.join(
        f'{where}, epoch {epoch}' for epoch in (early, args.epochs)
        for where in ('source', 'target')) + ' |\n|' + '---|' * 6)
    for modality in cfg.model.modalities:
        probe(cfg, args, modality)


if __name__ == '__main__':
    main()
