"""Losses of the report (section 5.4) and of the default model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from retint import lab
from retint.models.pretrained import pretrained_weights

GanLoss = Literal["vanilla", "lsgan", "hinge"]

_NEIGHBOURS = 5
_UNIFORM = 0.5  # lambda: the share of the uniform distribution mixed in
_SIGMA = 5.0  # width of the soft encoding, in ab units (Zhang et al. 2016, section 2.2)


def discriminator_loss(patch_logits: Tensor, *, real: bool, kind: GanLoss) -> Tensor:
    """What D pays for its verdict on real or on generated pictures, a scalar.

    vanilla: binary cross entropy with logits (Goodfellow et al. 2014); lsgan: squared distance
    from 1 or 0 (Mao et al. 2017); hinge: (Lim and Ye 2017, section 4).
    """
    if kind == "hinge":
        return functional.relu(1 - patch_logits if real else 1 + patch_logits).mean()
    target = torch.full_like(patch_logits, float(real))
    if kind == "lsgan":
        return functional.mse_loss(patch_logits, target)
    return functional.binary_cross_entropy_with_logits(patch_logits, target)


def generator_gan_loss(patch_logits: Tensor, *, kind: GanLoss) -> Tensor:
    """What G pays when D sees through its pictures, a scalar: D's loss against 'real'."""
    if kind == "hinge":
        return -patch_logits.mean()
    return discriminator_loss(patch_logits, real=True, kind=kind)


def soft_encode(ab: Tensor, palette: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest palette entries of each pixel and their Gaussian weights.

    Args:
        ab: (N, 2, H, W), in ab units (not /110).
        palette: (Q, 2).

    Returns:
        Indices and weights, both (N, 5, H, W); weights sum to 1 over the 5.
    """
    pixels = ab.movedim(1, -1)
    distances = (pixels.unsqueeze(-2) - palette).square().sum(dim=-1)
    nearest, indices = distances.topk(_NEIGHBOURS, dim=-1, largest=False)
    weights = torch.softmax(-nearest / (2 * _SIGMA**2), dim=-1)
    return indices.movedim(-1, 1), weights.movedim(-1, 1)


def class_weights(histogram: Tensor) -> Tensor:
    """Weights that make rare colours count (Zhang et al. 2016, section 2.2).

    Args:
        histogram: (Q,) frequencies of the palette in the training set; any sum.

    Returns:
        (Q,) weights whose mean over the training set's distribution is 1.
    """
    prior = histogram / histogram.sum()
    weights = 1 / ((1 - _UNIFORM) * prior + _UNIFORM / len(prior))
    return weights / (prior * weights).sum()


def palette_cross_entropy(logits: Tensor, ab: Tensor, palette: Tensor, weights: Tensor) -> Tensor:
    """Rebalanced cross entropy of logits (N, Q, H, W) against ab (N, 2, H, W), ab units."""
    indices, shares = soft_encode(ab, palette)
    log_probabilities = functional.log_softmax(logits.float(), dim=1).gather(1, indices)
    pixel_weights = weights[indices[:, 0]]
    return -((log_probabilities * shares).sum(dim=1) * pixel_weights).mean()


def missing_colorfulness(rgb: Tensor) -> Tensor:
    """What pictures, sRGB (N, 3, H, W) in [0, 1], lack of a colourfulness of 100, a share of it.

    1 - M/100, the mean over pictures, M after Hasler and Suesstrunk 2003 (Kang et al. 2023,
    DDColor, section 3.4); a scalar, below 0 where M is above 100.
    """
    red, green, blue = (255 * rgb).unbind(dim=1)
    opponents = torch.stack((red - green, (red + green) / 2 - blue), dim=1).flatten(2)
    # Not the root of 0 itself, whose gradient is none: grey pictures learn, too.
    deviation = opponents.var(dim=2).sum(dim=1).add(1e-6).sqrt()
    mean = opponents.mean(dim=2).square().sum(dim=1).add(1e-6).sqrt()
    return (1 - (deviation + 0.3 * mean) / 100).mean()


class PerceptualLoss(nn.Module):
    """L1 distance of normalised feature maps of a frozen ImageNet classifier.

    After Johnson et al. 2016 (Perceptual Losses for Real-Time Style Transfer, section 3.2), with
    an EfficientNet-lite in place of VGG16 and each map scaled to unit mean square per picture.
    """

    def __init__(self, backbone: str = "tf_efficientnet_lite2") -> None:
        super().__init__()
        self.features: nn.Module = timm.create_model(backbone, features_only=True)
        self.features.load_state_dict(pretrained_weights(backbone), strict=False)
        self.requires_grad_(False).eval()

    def forward(self, lightness: Tensor, ab: Tensor, true_ab: Tensor) -> Tensor:
        """Scalar; lightness (N, 1, H, W) as `L/50 - 1`, both ab (N, 2, H, W) as `ab/110`."""
        with torch.no_grad():
            expected = self._maps(lightness, true_ab)
        distances = [
            (found - target).abs().mean()
            for found, target in zip(self._maps(lightness, ab), expected, strict=True)
        ]
        return torch.stack(distances).mean()

    def _maps(self, lightness: Tensor, ab: Tensor) -> list[Tensor]:
        rgb = lab.normalized_lab_to_rgb(lightness.float(), ab.float(), axis=1).clamp(0, 1)
        # Half size costs a quarter and still shows what things are.
        maps: Sequence[Tensor] = self.features(2 * functional.avg_pool2d(rgb, 2) - 1)
        return [m / m.square().mean(dim=(1, 2, 3), keepdim=True).add(1e-6).sqrt() for m in maps]


def nearest_histogram(ab: Tensor, palette: Tensor) -> Tensor:
    """Count the pixels of ab (N, 2, H, W), ab units, by nearest palette entry: (Q,) float."""
    nearest = torch.cdist(ab.movedim(1, -1).reshape(-1, 2), palette).argmin(dim=1)
    return torch.bincount(nearest, minlength=len(palette)).float()
