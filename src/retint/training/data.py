"""Photographs to learn from: decoded once into a cache of bytes, and split."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
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
from retint.whole import whole_folder

_ABOUT = "names.json"  # of a cache: names of its photographs, and what was left out
_MAKER = "maker.txt"  # while it is made: the process and its machine; caches may be shared
_LONG_SIDE = 1.375  # of the short side; what a cached picture has beyond it is cut off


@dataclass(frozen=True)
class Photographs:
    """Decoded photographs: `images` (N, S, S, 3) uint8, each valid in its top left `sizes` part.

    `sizes` is (N, 2) int64, height and width. `left_out` says which files were left out and why.
    """

    names: list[str]
    images: NDArray[np.uint8]
    sizes: NDArray[np.int64]
    left_out: list[str]

    def shuffled(self, indices: Tensor, seed: int) -> Tensor:
        """An order of `indices` for an epoch, drawn over all of them."""
        order = torch.Generator().manual_seed(seed)
        return indices[torch.randperm(len(indices), generator=order)]

    def sample(self, indices: Tensor, count: int, seed: int) -> Tensor:  # noqa: ARG002 - streams ask
        """About `count` of `indices`, at equal distances, whatever the seed."""
        return indices[:: max(1, len(indices) // count)]

    def expect(self, order: Tensor) -> None:
        """Do nothing: all are decoded."""

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
    if not (folder / _ABOUT).exists():
        _sweep(folder.parent)
        try:
            with whole_folder(folder) as building:
                (building / _MAKER).write_text(f"{os.getpid()} {platform.node()}", encoding="utf-8")
                _fill_cache(building, pictures, data, progress)
        except OSError as error:
            if not (folder / _ABOUT).exists():  # else another process came first with it
                raise RetintError(
                    f"{folder} cannot be written ({error}): make room there"
                ) from error
    try:
        names, left_out = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        sizes = np.load(folder / "sizes.npy", allow_pickle=False)
        # Copy on write: torch wants writable memory, though nobody writes.
        images = np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RetintError(f"{folder}, a cache, is damaged: remove it") from error
    return Photographs(names, images[: len(names)], sizes, left_out)


def _sweep(cache: Path) -> None:
    """Remove what killed processes of this machine left half made: each is as large as a cache."""
    if os.name != "posix":  # elsewhere a process cannot be asked for so
        return
    for maker in cache.glob(f".*/{_MAKER}"):
        with suppress(OSError):  # it is another user's, or gone by now
            process, _, machine = maker.read_text(encoding="utf-8").partition(" ")
            if machine == platform.node() and _is_dead(int(process)):
                shutil.rmtree(maker.parent)


def _is_dead(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def _key(pictures: Sequence[Picture], data: Data) -> str:
    digest = hashlib.sha256(f"3 {data.size} {data.fit}".encode())
    for file in sorted({picture.file for picture in pictures}):
        stat = file.stat()
        digest.update(os.fsencode(f"{file.resolve()} {stat.st_size} {stat.st_mtime}"))
    for picture in pictures:
        digest.update(os.fsencode(f"{picture.name}\n"))
    return digest.hexdigest()[:16]


def _fill_cache(
    folder: Path, pictures: Sequence[Picture], data: Data, progress: Callable[[int], None]
) -> None:
    side = side_of(data)
    shape = (len(pictures), side, side, 3)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, shape)
    if hasattr(os, "posix_fallocate"):  # else a full disk would end the process, as memory is used
        with (folder / "images.npy").open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    names: list[str] = []
    sizes: list[tuple[int, int]] = []
    left_out: list[Finding] = []
    for picture, pixels in look_at_all(
        pictures,
        lambda picture: decode(picture, lambda image: resize(image, data)),
        left_out,
        progress,
    ):
        height, width = pixels.shape[:2]
        images[len(names), :height, :width] = pixels
        names.append(picture.name)
        sizes.append((height, width))
    if not names:
        raise none_usable(left_out)
    images.flush()
    np.save(folder / "sizes.npy", np.array(sizes, np.int64).reshape(-1, 2))
    # JSON, for names may hold anything: line ends, and bytes that are no text.
    about = json.dumps((names, list(map(str, left_out))))
    (folder / _ABOUT).write_text(about, encoding="utf-8")


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
    if count < 2:
        raise RetintError(
            "a single colour photograph cannot be trained on and validated with: give more; "
            "'retint data check' says what is wrong with others"
        )
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
