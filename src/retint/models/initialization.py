"""Initial weights of networks that learn from scratch."""

from __future__ import annotations

from typing import Literal

from torch import nn

Scheme = Literal["normal", "xavier", "kaiming"]


_GAIN = 0.02


def initialize(network: nn.Module, scheme: Scheme = "normal") -> None:
    """Draw the weights of all convolutions and batch norms in `network`, in place.

    Convolutions: normal(0, 0.02), or Xavier with that gain, or Kaiming; biases zero. Batch norms:
    weight normal(1, 0.02), bias zero (DCGAN, Radford et al. 2016, section 3; pix2pix, section 6.2).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            if scheme == "normal":
                nn.init.normal_(module.weight, 0.0, _GAIN)
            elif scheme == "xavier":
                nn.init.xavier_normal_(module.weight, _GAIN)
            else:
                nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, _GAIN)
            nn.init.zeros_(module.bias)
