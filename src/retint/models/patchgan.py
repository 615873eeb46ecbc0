"""The discriminator: the 70x70 PatchGAN of pix2pix (Isola et al. 2017, section 6.1.2)."""

from __future__ import annotations

from torch import Tensor, nn


class PatchGAN(nn.Module):
    """C64-C128-C256-C512 and one logit for each patch of 70x70 pixels.

    Args:
        width: channels of the first convolution, 64 in the report.
    """

    smallest = 24
    """Side of the smallest pictures that it gives a logit for."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            *_block(width, 2 * width, stride=2),
            *_block(2 * width, 4 * width, stride=2),
            *_block(4 * width, 8 * width, stride=1),
            nn.Conv2d(8 * width, 1, 4, 1, 1),
        )

    def forward(self, lightness_and_ab: Tensor) -> Tensor:
        """Give patch logits, (N, 1, 30, 30), for (N, 3, 256, 256) as `L/50 - 1` and `ab/110`."""
        patch_logits: Tensor = self.blocks(lightness_and_ab)
        return patch_logits


def _block(in_channels: int, out_channels: int, *, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, 4, stride, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.2),
    ]
