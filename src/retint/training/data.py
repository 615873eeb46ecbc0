"""Photographs to batches: decode once into a cache of bytes, split, cut windows."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from platformdirs import user_cache_path
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from retint.errors import RetintError
from retint.pictures import Picture, decode
from retint.training.recipe import Data

_LONG_SIDE = 1.375  # of the short side; what a cached picture has beyond it is cut off


@dataclass(frozen=True)
class Photographs:
    """Decoded photographs: `images` (N, S, S, 3) uint8, each valid in its top left `sizes` part.

    `sizes` is (N, 2) int64, height and width. `rejected` says which files were left out and why.
    """

    names: list[str]
    images: NDArray[np.uint8]
    sizes: NDArray[np.int64]
    rejected: list[str]


def load_photographs(
    pictures: Sequence[Picture],
    data: Data,
    progress: Callable[[int], None] = lambda _: None,
    cache: Path | None = None,
) -> Photographs:
    """Decode pictures to `data.size` in parallel, or take them from the cache of an earlier run.

    Unreadable, grey and tiny pictures are left out. `progress` is called with the number of
    pictures done. The cache lies in the user's cache folder unless `cache` names another.
    """
    folder = (cache or user_cache_path("retint")) / f"photographs-{_key(pictures, data)}"
    if not (folder / "names.txt").exists():
        try:
            _build_cache(folder, pictures, data, progress)
        except OSError as error:
            raise RetintError(f"{folder} cannot be written ({error}): make room there") from error
    try:
        names = (folder / "names.txt").read_text(encoding="utf-8").splitlines()
        rejected = (folder / "rejected.txt").read_text(encoding="utf-8").splitlines()
        sizes = np.load(folder / "sizes.npy", allow_pickle=False)
        # Copy on write: torch wants writable memory, though nobody writes.
        images = np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RetintError(f"{folder}, a cache, is damaged: remove it") from error
    if not names:
        raise RetintError(f"no usable colour photograph among {len(pictures)}: {rejected[0]}")
    return Photographs(names, images[: len(names)], sizes, rejected)


def _key(pictures: Sequence[Picture], data: Data) -> str:
    digest = hashlib.sha256(f"1 {data.size} {data.fit}".encode())
    for file in sorted({picture.file for picture in pictures}):
        stat = file.stat()
        digest.update(f"{file.resolve()} {stat.st_size} {stat.st_mtime}".encode())
    for picture in pictures:
        digest.update(f"{picture.name}\n".encode())
    return digest.hexdigest()[:16]


def _build_cache(
    folder: Path, pictures: Sequence[Picture], data: Data, progress: Callable[[int], None]
) -> None:
    side = data.size if data.fit == "squash" else round(data.size * _LONG_SIDE)
    # Machines may share the folder.
    building = folder.with_name(f"{folder.name}.{platform.node()}-{os.getpid()}")
    building.mkdir(parents=True, exist_ok=True)
    shape = (len(pictures), side, side, 3)
    images = np.lib.format.open_memmap(building / "images.npy", "w+", np.uint8, shape)
    if hasattr(os, "posix_fallocate"):  # else a full disk would end the process, as memory is used
        with (building / "images.npy").open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    names: list[str] = []
    sizes: list[tuple[int, int]] = []
    rejected: list[str] = []
    with ThreadPoolExecutor() as pool:
        results = pool.map(
            lambda picture: decode(picture, lambda image: _resize(image, data, side)), pictures
        )
        for done, (picture, result) in enumerate(zip(pictures, results, strict=True), start=1):
            if isinstance(result, str):
                rejected.append(f"{picture.name}: {result}")
            else:
                height, width = result.shape[:2]
                images[len(names), :height, :width] = result
                names.append(picture.name)
                sizes.append((height, width))
            progress(done)
    images.flush()
    np.save(building / "sizes.npy", np.array(sizes, np.int64).reshape(-1, 2))
    (building / "rejected.txt").write_text("\n".join(rejected), encoding="utf-8")
    (building / "names.txt").write_text("\n".join(names), encoding="utf-8")
    try:
        building.rename(folder)
    except OSError:  # another process finished the same cache first
        if not (folder / "names.txt").exists():
            raise
        shutil.rmtree(building)


def _resize(image: Image.Image, data: Data, side: int) -> Image.Image:
    if data.fit == "squash":
        return image.resize((side, side), Image.Resampling.BICUBIC)
    scale = data.size / min(image.size)
    fitted = (min(side, round(image.width * scale)), min(side, round(image.height * scale)))
    return ImageOps.fit(image, fitted, Image.Resampling.BICUBIC)


def split(count: int, data: Data, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices for training and for validation, of `count` photographs sorted by name.

    Raises:
        RetintError: if one of the two would be empty.
    """
    kept = round(count * data.validation) if data.validation < 1 else int(data.validation)
    order = np.arange(count, dtype=np.int64)
    if data.split == "random":
        np.random.default_rng(seed).shuffle(order)
    if not 0 < kept < count:
        raise RetintError(
            f"{count} colour photographs cannot be split with data.validation={data.validation}: "
            "give more, or --set data.validation=0.2"
        )
    return np.sort(order[:-kept]), np.sort(order[-kept:])


class Windows:
    """Batches of square training pictures from photographs, cut on the device that trains.

    Args:
        photographs: what to cut from; moved to `device` whole where it fits beside the networks.
        data: the recipe's part that says how.
        device: where batches are wanted.
    """

    def __init__(self, photographs: Photographs, data: Data, device: torch.device) -> None:
        self._data = data
        self._device = device
        self._sizes = torch.from_numpy(photographs.sizes).to(device)
        images = torch.from_numpy(photographs.images)
        resident = device.type == "cuda" and _fits(images, device)
        self._images = images.to(device) if resident else images

    def batch(self, indices: Tensor, *, train: bool) -> Tensor:
        """Give sRGB in [0, 1], (N, 3, size, size) float32; augmented if `train`.

        Draws from torch's global generator of the device.
        """
        images = self._images[indices.to(self._images.device)].to(self._device, non_blocking=True)
        rgb = images.permute(0, 3, 1, 2).float() / 255
        data = self._data
        if data.fit == "squash" and not (train and data.rotate):
            return _mirror_some(rgb) if train and data.flip else rgb
        return _cut(rgb, self._sizes[indices.to(self._device)], data, train)


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
