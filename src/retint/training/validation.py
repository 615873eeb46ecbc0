"""Figures of a generator on validation pictures while it trains, computed on the device."""

from __future__ import annotations

import math

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional

from retint import lab
from retint.models import Generator, Readout
from retint.training.windows import Windows


@torch.no_grad()
def validate(
    generator: Generator,
    windows: Windows,
    indices: Tensor,
    readout: Readout,
    accelerator: Accelerator,
    batch_size: int,
) -> dict[str, float]:
    """Means over the validation pictures `indices`, of the colours that are read out.

    Returns `psnr` of clipped sRGB (dB); `ab_error`, the distance in the ab plane as a share of
    the grey picture's; `colorfulness`, as a share of the truth's; and `score`, `ab_error` plus
    `|ln colorfulness|`: lower is better. Error alone is lowest for pictures half as colourful as
    life, so the score charges for missing colour too. Each process takes its share of the pictures
    and gets the means over all.
    """
    sums = torch.zeros(5, device=indices.device, dtype=torch.float32)
    share = indices[accelerator.process_index :: accelerator.num_processes]
    for batch in share.split(batch_size) if len(share) else ():
        rgb = windows.batch(batch, train=False)
        ab, lightness, true_ab = predict(generator, rgb, readout)
        result = lab.normalized_lab_to_rgb(lightness, ab, axis=1).clamp(0, 1)
        mse = (result - rgb).square().mean(dim=(1, 2, 3)).clamp(min=1e-10)
        sums += torch.stack(
            (
                (-10 * torch.log10(mse)).sum(),
                (ab - true_ab).norm(dim=1).mean(dim=(1, 2)).sum(),
                true_ab.norm(dim=1).mean(dim=(1, 2)).sum(),
                _colorfulness(result).sum(),
                _colorfulness(rgb).sum(),
            )
        )
    psnr, error, grey_error, colourful, true_colourful = accelerator.reduce(sums, "sum").tolist()
    figures = {
        "psnr": psnr / len(indices),
        "ab_error": error / grey_error,
        "colorfulness": colourful / true_colourful,
    }
    figures["score"] = figures["ab_error"] + abs(math.log(max(figures["colorfulness"], 1e-3)))
    return figures


def predict(generator: Generator, rgb: Tensor, readout: Readout) -> tuple[Tensor, Tensor, Tensor]:
    """Colour the lightness of sRGB (N, 3, H, W) in [0, 1].

    Returns ab/110 as they are read out, lightness `L/50 - 1` and true ab/110, all
    (N, ., H, W). The generator is left in training mode; its dropout, the noise z, is on, its
    batch norms use their running figures.
    """
    true_lab = lab.rgb_to_lab(rgb, axis=1)
    lightness = lab.normalize_lightness(true_lab[:, :1])
    inputs = generator.without_hints(lightness).contiguous(memory_format=torch.channels_last)
    generator.noisy_eval()
    answer = generator(inputs, with_palette=True) if readout.share else (generator(inputs),)
    generator.train()
    ab = functional.interpolate(readout(*answer).float(), rgb.shape[-2:], mode="bilinear")
    return ab, lightness, lab.normalize_ab(true_lab[:, 1:])


def _colorfulness(rgb: Tensor) -> Tensor:
    """M3 of Hasler and Suesstrunk 2003, of sRGB (N, 3, H, W) in [0, 1], scaled to bytes."""
    red, green, blue = (255 * rgb).flatten(2).unbind(dim=1)
    opponents = torch.stack((red - green, (red + green) / 2 - blue), dim=1)
    colorfulness: Tensor = opponents.std(dim=2).norm(dim=1) + 0.3 * opponents.mean(dim=2).norm(
        dim=1
    )
    return colorfulness
