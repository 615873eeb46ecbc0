"""The discriminator: the 70x70 PatchGAN of pix2pix (Isola et al. 2017, section 6.1.2)."""

from __future__ import annotations

from torch import Tensor, nn


class PatchGAN(nn.Module):
    """C64-C128-C256-C512 and one logit for each patch of 70x70 pixels.

    Args:
        in_channels: L and ab together, 3.
        width: channels of the first convolution, 64 in the report.
        layers: convolutions of stride 2; 3 gives the 70x70 receptive field.
    """

    smallest = 24
    """Side of the smallest pictures that three layers give a logit for."""

    def __init__(self, in_channels: int = 3, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        channels = [width * min(2**level, 8) for level in range(layers + 1)]
        blocks = [nn.Conv2d(in_channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for level in range(1, layers + 1):
            stride = 2 if level < layers else 1
            blocks += [
                nn.Conv2d(channels[level - 1], channels[level], 4, stride, 1, bias=False),
                nn.BatchNorm2d(channels[level]),
                nn.LeakyReLU(0.2),
            ]
        self.blocks = nn.Sequential(*blocks, nn.Conv2d(channels[-1], 1, 4, 1, 1))

    def forward(self, lightness_and_ab: Tensor) -> Tensor:
        """Give patch logits, (N, 1, 30, 30), for (N, 3, 256, 256) as `L/50 - 1` and `ab/110`."""
        patch_logits: Tensor = self.blocks(lightness_and_ab)
        return patch_logits
