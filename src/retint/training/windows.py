"""Batches of training pictures, cut from photographs on the device that trains."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from retint.training.data import Photographs
from retint.training.recipe import Data
from retint.training.stream import Stream


class Windows:
    """Batches of square training pictures from photographs, cut on the device that trains.

    Args:
        photographs: what to cut from; moved to `device` whole where it fits beside the networks.
        data: the recipe's part that says how.
        device: where batches are wanted.

    Attributes:
        resident: whether a batch is made on a GPU alone.
    """

    def __init__(self, photographs: Photographs | Stream, data: Data, device: torch.device) -> None:
        self._data = data
        self._device = device
        self._photographs = photographs
        self.resident = False
        if isinstance(photographs, Photographs) and device.type == "cuda":
            images = torch.from_numpy(photographs.images)
            self.resident = _fits(images, device)
            if self.resident:
                self._images = images.to(device)
                self._sizes = torch.from_numpy(photographs.sizes).to(device)

    def batch(self, indices: Tensor, *, train: bool) -> Tensor:
        """Give sRGB in [0, 1], (N, 3, size, size) float32; augmented if `train`.

        Draws from torch's global generator of the device.
        """
        if self.resident:
            images, sizes = self._images[indices], self._sizes[indices]
        else:
            taken = self._photographs.take(indices)
            images, sizes = (part.to(self._device, non_blocking=True) for part in taken)
        rgb = images.permute(0, 3, 1, 2).float() / 255
        data = self._data
        if data.fit == "squash" and not (train and data.rotate):
            return _mirror_some(rgb) if train and data.flip else rgb
        return _cut(rgb, sizes, data, train)


def _fits(images: Tensor, device: torch.device) -> bool:
    free, _ = torch.cuda.mem_get_info(device)
    return images.numel() < free / 2


def _mirror_some(rgb: Tensor) -> Tensor:
    mirrored = torch.rand(len(rgb), 1, 1, 1, device=rgb.device) < 0.5
    return torch.where(mirrored, rgb.flip(-1), rgb)


def _cut(rgb: Tensor, sizes: Tensor, data: Data, train: bool) -> Tensor:
    """Cut a window out of the valid part of each picture: rotated, mirrored, resized.

    Validation takes the largest square in the middle.
    """
    count, side = len(rgb), rgb.shape[-1]
    size = sizes.to(rgb.dtype)
    short = size.amin(dim=1)
    if data.fit == "squash":
        window, spare = size, torch.zeros_like(size)
    else:
        low, high = data.window if train else (1.0, 1.0)
        share = low + (high - low) * torch.rand(count, device=rgb.device)
        window = (short * share)[:, None].expand(-1, 2)
        spare = size - window
    place = torch.rand(count, 2, device=rgb.device) if train else torch.full_like(spare, 0.5)
    centre = spare * place + window / 2
    angle = (torch.rand(count, device=rgb.device) * 2 - 1) * np.deg2rad(data.rotate if train else 0)
    mirror = torch.ones(count, device=rgb.device)
    if train and data.flip:
        mirror = torch.where(torch.rand(count, device=rgb.device) < 0.5, -mirror, mirror)
    # affine_grid maps output coordinates in [-1, 1] to input coordinates in [-1, 1].
    half_y, half_x = (window / side).unbind(dim=1)
    cos, sin = torch.cos(angle), torch.sin(angle)
    shift = 2 * centre / side - 1
    theta = torch.stack(
        (
            torch.stack((half_x * cos * mirror, -half_x * sin, shift[:, 1]), dim=1),
            torch.stack((half_y * sin * mirror, half_y * cos, shift[:, 0]), dim=1),
        ),
        dim=1,
    )
    grid = affine_grid(theta, [count, 3, data.size, data.size], align_corners=False)
    # Keep rotated corners inside the valid part: its border is repeated.
    limit = 2 * (size.flip(1) - 0.5) / side - 1
    grid = torch.minimum(grid, limit[:, None, None, :]).clamp(min=1 / side - 1)
    return grid_sample(rgb, grid, mode="bilinear", padding_mode="border", align_corners=False)
