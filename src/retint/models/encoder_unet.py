"""A U-Net whose encoder is an image classifier from timm (the report's section 6.3)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from torch import Tensor, nn

from retint.errors import last_line
from retint.models.pretrained import pretrained_weights
from retint.models.registry import Generator, register_generator
from retint.palette import ab_palette

# It warns of every classifier's weights that those of feature maps have no place for.
logging.getLogger("timm.models._builder").setLevel(logging.ERROR)

Upsampling = Literal["pixelshuffle", "bilinear"]


@register_generator("encoder-unet")
class EncoderUNet(Generator):
    """Encoder of any timm backbone without pooling and classifier, decoder with skips.

    Args:
        backbone: name of a timm model with feature maps at strides 2 to 32.
        pretrained: start the encoder from ImageNet weights; the backbone needs to have one first
            convolution for that, not several beside each other.
        weights: file to take them from instead of a package or the timm hub.
        decoder_channels: one entry for each doubling of the size, 32 -> 16 -> 8 -> 4 -> 2 -> 1;
            three entries predict ab at a quarter of the input's size, five at its own.
        upsampling: how the decoder doubles; transposed convolutions would leave checkerboards.
        takes_hints: take colour hints in three more input channels.
        palette: give a second output on demand, logits over the ab palette.
    """

    stride = 32

    def __init__(
        self,
        backbone: str = "resnet18",
        *,
        pretrained: bool = True,
        weights: str | None = None,
        decoder_channels: Sequence[int] = (256, 128, 64, 64, 32),
        upsampling: Upsampling = "pixelshuffle",
        takes_hints: bool = False,
        palette: bool = False,
    ) -> None:
        super().__init__()
        if not 1 <= len(decoder_channels) <= 5:
            raise TypeError(f"decoder_channels has {len(decoder_channels)} entries, not 1 to 5")
        self._pretrained = pretrained
        self.takes_hints = takes_hints
        self.palette_size = len(ab_palette()) if palette else 0
        self.out_stride = 32 >> len(decoder_channels)
        self.encoder: Any = _encoder(
            backbone, self.in_channels, pretrained, Path(weights) if weights else None
        )
        # Deepest first; the last doubling has no feature map of its size beside it.
        features = [*reversed(self.encoder.feature_info.channels()), 0]
        widths = [features[0], *decoder_channels]
        self.decoder = nn.ModuleList(
            _DecoderBlock(below, skip, out, upsampling)
            for (below, out), skip in zip(pairwise(widths), features[1:], strict=False)
        )
        self.ab_head = nn.Conv2d(widths[-1], 2, 3, padding=1)
        self.palette_head = nn.Conv2d(widths[-1], self.palette_size, 1) if palette else None

    def forward(self, inputs: Tensor, with_palette: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Predict ab/110 in [-1, 1], and palette logits if asked; see `Generator`."""
        features = self._decode(inputs)
        ab = torch.tanh(self.ab_head(features))
        if not with_palette:
            return ab
        if self.palette_head is None:
            raise TypeError("this generator has no palette: create it with palette=True")
        return ab, self.palette_head(features)

    def from_scratch(self) -> Iterable[nn.Module]:
        """See `Generator`."""
        heads = [head for head in (self.ab_head, self.palette_head) if head is not None]
        return [self.decoder, *heads] if self._pretrained else [self]

    def _decode(self, inputs: Tensor) -> Tensor:
        features: Tensor
        *skips, features = self.encoder(inputs)
        for block in self.decoder:
            features = block(features, skips.pop() if skips else None)
        return features


class _DecoderBlock(nn.Module):
    """Double the size, join the encoder's feature map of that size, convolve twice."""

    def __init__(self, below: int, skip: int, out: int, upsampling: Upsampling) -> None:
        super().__init__()
        if upsampling == "pixelshuffle":
            self.up = nn.Sequential(nn.Conv2d(below, 4 * out, 1), nn.PixelShuffle(2))
        elif upsampling == "bilinear":
            self.up = nn.Sequential(
                nn.Conv2d(below, out, 1), nn.Upsample(scale_factor=2, mode="bilinear")
            )
        else:
            raise TypeError(f"upsampling is pixelshuffle or bilinear, not '{upsampling}'")
        self.convolutions = nn.Sequential(*_convolution(out + skip, out), *_convolution(out, out))

    def forward(self, features: Tensor, skip: Tensor | None) -> Tensor:
        features = self.up(features)
        if skip is not None:
            features = torch.cat((features, skip), dim=1)
        joined: Tensor = self.convolutions(features)
        return joined


def _convolution(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


def _encoder(backbone: str, in_channels: int, pretrained: bool, file: Path | None) -> Any:
    state = pretrained_weights(backbone, file) if pretrained else None
    encoder: Any = timm.create_model(backbone, features_only=True, in_chans=in_channels)
    if encoder.feature_info.reduction() != [2, 4, 8, 16, 32]:
        raise TypeError(f"'{backbone}' has no feature maps at strides 2, 4, 8, 16 and 32")
    if state is not None:
        try:
            weights = _feature_weights(backbone, state)
            # The stem is the first parameter of the backbones with a feature map at stride 2.
            stem = next(name for name, _ in encoder.named_parameters())
            std = encoder.default_cfg["std"]
            weights[stem] = _stem_for_lightness(weights[stem], in_channels, std)
            encoder.load_state_dict(weights)
        except RuntimeError as error:
            source = file or "pretrained weights"
            raise TypeError(f"{source} does not fit '{backbone}': {last_line(error)}") from error
    return encoder


def _feature_weights(backbone: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A classifier's weights under the names that they have where timm gives its feature maps."""
    with torch.random.fork_rng(devices=[]):  # a seed means the same with and without them
        cut = timm.create_model(
            backbone,
            features_only=True,
            pretrained=True,
            pretrained_cfg_overlay={"state_dict": dict(state)},  # of which timm takes things out
        )
    return dict(cut.state_dict())


def _stem_for_lightness(weight: Tensor, in_channels: int, std: Sequence[float]) -> Tensor:
    """Turn RGB weights (C, 3, k, k) into ones for lightness in [-1, 1]; hints start at zero."""
    adapted = weight.new_zeros(weight.shape[0], in_channels, *weight.shape[2:])
    adapted[:, 0] = (weight / (2 * weight.new_tensor(std).view(1, 3, 1, 1))).sum(dim=1)
    return adapted
