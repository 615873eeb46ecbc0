"""From what a generator answers to colours that are neither pale nor burnt."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from retint import lab
from retint.palette import ab_palette


class Readout(nn.Module):
    """Mixes a generator's ab with the mean of its palette, and makes pale colours stronger.

    L1 answers doubt with the median, which is pale; the annealed mean of the palette's
    probabilities (Zhang et al. 2016, section 2.3) is more colourful and rougher. Their mixture `m`
    becomes `m * vividness / (1 + (vividness - 1) * chroma / vivid_chroma)`: pale colours gain
    most, those of `vivid_chroma` nothing, so that skin does not burn before clothes have colours.

    Args:
        gain: on the generator's ab.
        palette: share of the palette's mean in the mixture; 0 for generators without palette.
        sharpness: exponent of the palette's probabilities, the inverse of their temperature.
        vividness: gain on the palest colours; 1 changes nothing.
        vivid_chroma: chroma that stays as it is, ab units.
    """

    def __init__(
        self,
        gain: float = 1.0,
        palette: float = 0.0,
        sharpness: float = 1.0,
        vividness: float = 1.0,
        vivid_chroma: float = 50.0,
    ) -> None:
        super().__init__()
        self.gain, self.share, self.sharpness = gain, palette, sharpness
        self.vividness, self.vivid_chroma = vividness, vivid_chroma
        colors = torch.from_numpy(ab_palette()) if palette else torch.empty(0, 2)
        self.sums: Tensor
        # A 1x1 convolution that sums odds times a, odds times b, and odds.
        sums = torch.cat((lab.normalize_ab(colors), torch.ones(len(colors), 1)), dim=1)
        self.register_buffer("sums", sums.T[:, :, None, None].contiguous())

    def forward(self, ab: Tensor, palette_logits: Tensor | None = None) -> Tensor:
        """Colours ab/110, (N, 2, H, W), of ab/110 and logits (N, Q, H, W)."""
        mixed = self.gain * ab
        if self.share:
            if palette_logits is None:
                raise TypeError("this readout needs a generator with a palette")
            # A softmax and its mean at once: ONNX Runtime takes three times as long over both.
            logits = self.sharpness * palette_logits.float()
            odds = torch.exp(logits - logits.amax(dim=1, keepdim=True))
            sums = functional.conv2d(odds, self.sums)
            expected = sums[:, :2] / sums[:, 2:]
            mixed = (1 - self.share) * mixed + self.share * expected
        if self.vividness == 1:
            return mixed
        chroma = mixed.square().sum(dim=1, keepdim=True).sqrt()
        excess = (self.vividness - 1) * lab.denormalize_ab(chroma) / self.vivid_chroma
        return mixed * self.vividness / (1 + excess)
