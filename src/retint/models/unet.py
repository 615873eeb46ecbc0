"""The report's generator: the U-Net of pix2pix (Isola et al. 2017, section 6.1.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from retint.models.registry import Generator, register_generator


@register_generator("unet")
class UNet(Generator):
    """Encoder C64-C128-C256-C512 and on to `depth` stride-2 convolutions, decoder with skips.

    With the report's depth of 8, 256x256 comes down to 1x1. The noise z is dropout in the
    `depth - 5` decoder blocks after the innermost, on in training and at use alike (pix2pix,
    section 3.2): see `Generator.noisy_eval`.

    Args:
        width: channels of the first convolution, 64 in the report; the others grow with it.
        depth: number of stride-2 convolutions, at least 5; H and W must be multiples of 2^depth.
    """

    def __init__(self, width: int = 64, depth: int = 8) -> None:
        super().__init__()
        if depth < 5:
            raise TypeError(f"depth must be at least 5, not {depth}")
        self.stride = 2**depth
        channels = [width * min(2**level, 8) for level in range(depth)]
        innermost = depth - 1
        self.down = nn.ModuleList([nn.Conv2d(1, channels[0], 4, 2, 1, bias=False)])
        for level in range(1, depth):
            self.down.append(
                _down_block(channels[level - 1], channels[level], norm=level != innermost)
            )
        self.up = nn.ModuleList([_up_block(channels[innermost], channels[innermost - 1])])
        for level in range(innermost - 1, 0, -1):
            self.up.append(_up_block(2 * channels[level], channels[level - 1], dropout=level >= 4))
        self.head = nn.Sequential(
            nn.ReLU(), nn.ConvTranspose2d(2 * channels[0], 2, 4, 2, 1), nn.Tanh()
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Predict ab/110 in [-1, 1], (N, 2, H, W), from lightness (N, 1, H, W)."""
        skips = []
        features = inputs
        for down in self.down:
            features = down(features)
            skips.append(features)
        features = skips.pop()
        for up in self.up:
            features = torch.cat((skips.pop(), up(features)), dim=1)
        ab: Tensor = self.head(features)
        return ab


def _down_block(in_channels: int, out_channels: int, *, norm: bool) -> nn.Sequential:
    block = nn.Sequential(
        nn.LeakyReLU(0.2), nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False)
    )
    if norm:
        block.append(nn.BatchNorm2d(out_channels))
    return block


def _up_block(in_channels: int, out_channels: int, *, dropout: bool = False) -> nn.Sequential:
    block = nn.Sequential(
        nn.ReLU(),
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
    )
    if dropout:
        block.append(nn.Dropout(0.5))
    return block
