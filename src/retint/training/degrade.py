"""Make the lightness of a clean photograph look like that of an old one, on the device.

Film, lens, print and scan in the order light meets them: spectral response, blur, tone curve,
fading, grain, JPEG. The target colours stay clean. Every picture of a batch gets its own draw.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn import functional

from retint import lab

_MAX_BLUR = 1.6  # standard deviation, pixels
_BLUR_RADIUS = 4
# Luminance quantisation of JPEG (ITU-T T.81, table K.1).
_JPEG_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


def aged_lightness(rgb: Tensor, draws: Generator | None = None) -> Tensor:
    """L in [0, 100] of sRGB pictures in [0, 1], (N, 3, H, W), as old prints would show it.

    H and W are multiples of 8. Returns (N, 1, H, W). Draws from the device's global generator if
    it is given none; threads share that.
    """
    luminance = _spectral_response(lab.srgb_to_linear(rgb), draws)
    tone = lab.linear_to_srgb(_blur(luminance, draws).clamp(0, 1))
    printed = _grain(_tone_curve(tone, draws), draws)
    scanned = _jpeg(printed, draws).clamp(0, 1)
    return lab.rgb_to_lightness(scanned.expand(-1, 3, -1, -1), axis=1).unsqueeze(1)


def aged_grey(rgb: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Grey bytes (H, W) of one picture (H, W, 3), aged; any size, the same for the same seed."""
    height, width = rgb.shape[:2]
    pixels = torch.tensor(rgb).permute(2, 0, 1).unsqueeze(0).float() / 255
    padded = functional.pad(pixels, (0, -width % 8, 0, -height % 8), mode="replicate")
    draws = Generator().manual_seed(seed)  # of its own: several threads age pictures
    lightness = aged_lightness(padded, draws)[0, 0, :height, :width]
    grey = lab.lab_to_rgb(functional.pad(lightness[..., None], (0, 2)))[..., 0]
    return (grey.clamp(0, 1) * 255).round().byte().numpy()


def _uniform(like: Tensor, draws: Generator | None, low: float, high: float) -> Tensor:
    """One draw per picture, (N, 1, 1, 1)."""
    drawn = torch.rand(len(like), 1, 1, 1, generator=draws, device=like.device)
    return low + (high - low) * drawn


def _spectral_response(linear: Tensor, draws: Generator | None) -> Tensor:
    """Mix the channels as an emulsion would: orthochromatic film is blind to red."""
    red = _uniform(linear, draws, 0.0, 0.6)
    blue = _uniform(linear, draws, 0.05, 0.6)
    weights = torch.cat((red, torch.full_like(red, 0.6), blue), dim=1)
    return (linear * weights).sum(dim=1, keepdim=True) / weights.sum(dim=1, keepdim=True)


def _blur(picture: Tensor, draws: Generator | None) -> Tensor:
    """Gaussian blur, separable, a width for each picture."""
    count = len(picture)
    sigma = _uniform(picture, draws, 0.05, _MAX_BLUR).view(count, 1)
    offsets = torch.arange(-_BLUR_RADIUS, _BLUR_RADIUS + 1, device=picture.device)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    stacked = picture.transpose(0, 1)  # pictures as channels: one kernel for each
    for shape, pad in (((count, 1, 1, -1), (4, 4, 0, 0)), ((count, 1, -1, 1), (0, 0, 4, 4))):
        padded = functional.pad(stacked, pad, mode="reflect")
        stacked = functional.conv2d(padded, kernel.view(shape), groups=count)
    return stacked.transpose(0, 1)


def _tone_curve(tone: Tensor, draws: Generator | None) -> Tensor:
    """Gamma and contrast of the print, then fading: blacks rise, whites sink."""
    curved = tone.clamp(min=1e-4) ** torch.exp(_uniform(tone, draws, -0.35, 0.35))
    contrasted = 0.5 + (curved - 0.5) * _uniform(tone, draws, 0.85, 1.3)
    black, white = _uniform(tone, draws, 0.0, 0.15), _uniform(tone, draws, 0.85, 1.0)
    return black + (white - black) * contrasted.clamp(0, 1)


def _grain(tone: Tensor, draws: Generator | None) -> Tensor:
    """Gaussian grain, half of its power in clumps of two pixels."""
    count, _, height, width = tone.shape

    def noise(rows: int, columns: int) -> Tensor:
        return torch.randn(count, 1, rows, columns, generator=draws, device=tone.device)

    fine, half = noise(height, width), noise(height // 2, width // 2)
    coarse = functional.interpolate(half, scale_factor=2.0, mode="bilinear")
    return tone + _uniform(tone, draws, 0.0, 0.06) * (fine + coarse) / math.sqrt(2)


def _jpeg(tone: Tensor, draws: Generator | None) -> Tensor:
    """Quantise the DCT of 8x8 blocks, quality 30 to 95, as an encoder of greyscale JPEG does."""
    count, _, height, width = tone.shape
    frequency = torch.arange(8, device=tone.device, dtype=torch.float32)
    basis = torch.cos((2 * frequency[None] + 1) * frequency[:, None] * math.pi / 16) / 2
    basis[0] /= math.sqrt(2)
    quality = _uniform(tone, draws, 30, 95).view(count, 1, 1, 1, 1)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    steps = (_jpeg_table(tone.device) * scale).clamp(min=1) / 255
    blocks = tone.float().view(count, height // 8, 8, width // 8, 8).transpose(2, 3) - 0.5
    coefficients = torch.round(basis @ blocks @ basis.T / steps) * steps
    decoded = basis.T @ coefficients @ basis + 0.5
    return decoded.transpose(2, 3).reshape(count, 1, height, width)


@functools.cache
def _jpeg_table(device: torch.device) -> Tensor:
    """Kept on the device: a captured graph may not copy to it."""
    return torch.tensor(_JPEG_TABLE, device=device)
