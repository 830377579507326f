"""ResNet-18 or -34 over spectrograms, as VGGSound's, in any width."""
from mmaction.models.backbones.resnet import BasicBlock, make_res_layer
from mmaction.registry import MODELS
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

__all__ = ['AudioResNet']


@MODELS.register_module()
class AudioResNet(BaseModule):
    """A 2D ResNet of basic blocks with one input channel.

    Depth 18 and ``base_channels=64`` is MMAction2's ``ResNet(depth=18,
    in_channels=1)``: same modules, names and numbers. The host's class fixes
    the width; this one lets small experiments narrow it.

    Args:
        depth (int): 18 or 34. Defaults to 18.
        in_channels (int): Channels of the spectrogram. Defaults to 1.
        base_channels (int): Channels of the stem. Defaults to 64.
        init_cfg (dict or list, optional): Defaults to Kaiming convolutions.
    """

    stage_blocks = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}

    def __init__(self,
                 depth: int = 18,
                 in_channels: int = 1,
                 base_channels: int = 64,
                 init_cfg: dict | list | None = None) -> None:
        if init_cfg is None:
            init_cfg = [
                dict(type='Kaiming', layer='Conv2d'),
                dict(type='Constant', layer='BatchNorm2d', val=1.)
            ]
        super().__init__(init_cfg=init_cfg)
        if depth not in self.stage_blocks:
            raise ValueError(f'depth must be one of {list(self.stage_blocks)}'
                             f', got {depth}')
        norm_cfg = dict(type='BN2d', requires_grad=True)
        conv_cfg = dict(type='Conv2d')
        self.conv1 = ConvModule(
            in_channels,
            base_channels,
            kernel_size=7,
            stride=2,
            padding=3,
            bias=False,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.res_layers = []
        channels = base_channels
        for i, num_blocks in enumerate(self.stage_blocks[depth]):
            layer = make_res_layer(
                BasicBlock,
                channels,
                base_channels * 2**i,
                num_blocks,
                stride=1 if i == 0 else 2,
                conv_cfg=conv_cfg,
                norm_cfg=norm_cfg,
                act_cfg=dict(type='ReLU', inplace=True))
            channels = base_channels * 2**i
            name = f'layer{i + 1}'
            self.add_module(name, layer)
            self.res_layers.append(name)
        self.feat_dim = channels

    def forward(self, x: Tensor) -> Tensor:
        """Spectrograms (N, 1, F, T) to a map (N, 8 base_channels, F', T')."""
        x = self.maxpool(self.conv1(x))
        for name in self.res_layers:
            x = getattr(self, name)(x)
        return x
