"""Colour hints as a user would give them, made from the true colours (Zhang et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_MOST_POINTS = 8
_LARGEST_RADIUS = 4  # pixels; squares of 1 to 9 pixels, as in section 3.1 of the paper


def random_hints(ab: Tensor) -> Tensor:
    """Hints (N, 3, H, W), a/110, b/110 and mask, that reveal true ab at random points.

    Half of the pictures get none; the others get 1 to 8 small squares, near the middle more often
    than at the border, each in its mean colour. Draws from the device's global generator.

    Args:
        ab: (N, 2, H, W), true ab/110.
    """
    count, _, height, width = ab.shape
    device = ab.device
    # The smaller of two draws makes few points likelier: one has 15/64, two 13/64, eight 1/64.
    points = (torch.rand(count, 2, device=device).amin(dim=1) * _MOST_POINTS).floor() + 1
    points = points * (torch.rand(count, device=device) < 0.5)
    mean = functional.avg_pool2d(ab, 5, stride=1, padding=2, count_include_pad=False)
    rows = torch.arange(height, device=device).view(1, height, 1)
    columns = torch.arange(width, device=device).view(1, 1, width)
    hints = torch.zeros(count, 3, height, width, device=device)
    every = torch.arange(count, device=device)
    for point in range(_MOST_POINTS):
        place = (0.5 + 0.25 * torch.randn(count, 2, device=device)).clamp(0, 0.999)
        y, x = (place[:, 0] * height).long(), (place[:, 1] * width).long()
        radius = torch.randint(0, _LARGEST_RADIUS + 1, (count,), device=device)
        near_y = (rows - y.view(-1, 1, 1)).abs() <= radius.view(-1, 1, 1)
        near_x = (columns - x.view(-1, 1, 1)).abs() <= radius.view(-1, 1, 1)
        shown = near_y & near_x & (points > point).view(-1, 1, 1)
        colour = torch.cat((mean[every, :, y, x], torch.ones(count, 1, device=device)), dim=1)
        hints = torch.where(shown.unsqueeze(1), colour.view(count, 3, 1, 1), hints)
    return hints
