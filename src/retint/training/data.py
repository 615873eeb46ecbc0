"""Photographs to learn from: decoded once into a cache of bytes, and split."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from platformdirs import user_cache_path
from torch import Tensor

from retint.errors import RetintError
from retint.pictures import Finding, Picture, decode, look_at_all, none_usable
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

    def shuffled(self, indices: Tensor, seed: int) -> Tensor:
        """An order of `indices` for an epoch, drawn over all of them."""
        order = torch.Generator().manual_seed(seed)
        return indices[torch.randperm(len(indices), generator=order)]

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Some of the images and their sizes, on the CPU."""
        chosen = indices.cpu()
        return torch.from_numpy(self.images)[chosen], torch.from_numpy(self.sizes)[chosen]


def load_photographs(
    pictures: Sequence[Picture],
    data: Data,
    progress: Callable[[int], None] = lambda _: None,
    cache: Path | None = None,
) -> Photographs:
    """Decode pictures to `data.size` in parallel, or take them from the cache of an earlier run.

    Unreadable, grey and tiny pictures are left out. `progress` is called with the number of
    pictures done. The cache lies in the user's cache folder unless `cache` names another.

    Raises:
        RetintError: if no picture can be used, or the cache not be written.
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
    side = side_of(data)
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
    rejected: list[Finding] = []
    for picture, pixels in look_at_all(
        pictures,
        lambda picture: decode(picture, lambda image: resize(image, data)),
        rejected,
        progress,
    ):
        height, width = pixels.shape[:2]
        images[len(names), :height, :width] = pixels
        names.append(picture.name)
        sizes.append((height, width))
    if not names:
        shutil.rmtree(building)
        raise none_usable(rejected)
    images.flush()
    np.save(building / "sizes.npy", np.array(sizes, np.int64).reshape(-1, 2))
    (building / "rejected.txt").write_text("\n".join(map(str, rejected)), encoding="utf-8")
    (building / "names.txt").write_text("\n".join(names), encoding="utf-8")
    try:
        building.rename(folder)
    except OSError:  # another process finished the same cache first
        if not (folder / "names.txt").exists():
            raise
        shutil.rmtree(building)


def side_of(data: Data) -> int:
    """The most that a decoded photograph has of rows and of columns."""
    return data.size if data.fit == "squash" else round(data.size * _LONG_SIDE)


def resize(image: Image.Image, data: Data) -> Image.Image:
    """A photograph as it is kept: squashed, or with a short side of `data.size`."""
    side = side_of(data)
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
