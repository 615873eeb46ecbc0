"""Pictures into WebDataset shards: few large tar files, which disks and networks read quickly."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from retint.errors import RetintError, written
from retint.pictures import Finding, Picture, decode, look_at_all, none_usable
from retint.places import HERE
from retint.whole import whole_folder

_SUFFIXES = {
    "JPEG": "jpg",
    "MPO": "jpg",
    "PNG": "png",
    "WEBP": "webp",
    "BMP": "bmp",
    "TIFF": "tif",
    "PPM": "ppm",
}
_QUALITY = 92  # of what is scaled down
_GROUPS = 3  # of Parquet rows that are mixed; as many as are kept in memory, but one
_BLOCK = 512  # bytes; tar pads to it


@dataclass(frozen=True)
class Packed:
    """What was written: the shards, how many pictures are in them, and what was left out."""

    shards: list[Path]
    pictures: int
    left_out: list[str]


def pack_pictures(
    pictures: Sequence[Picture],
    out: Path,
    *,
    short_side: int | None = None,
    shard_bytes: int = 100_000_000,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> Packed:
    """Write colour photographs to shard-000000.tar and so on in a new folder.

    They are shuffled, so that any part of the shards is a fair sample. Files go in as they are,
    unless they are larger than `short_side`. The same call writes the same bytes.

    Args:
        pictures: what to pack; unreadable, grey and tiny ones are left out.
        out: folder to make, whole or not at all.
        short_side: what larger pictures are scaled down to, as JPEG of full colour resolution.
        shard_bytes: size that no shard exceeds, unless one picture does.
        seed: of the order.
        progress: called with the number of pictures done.

    Raises:
        RetintError: if `out` exists or cannot be written, or no picture can be used.
    """
    require_new(out)
    with written(out), whole_folder(out, sole=True) as beside:
        packed = _write(pictures, beside, short_side, shard_bytes, seed, progress)
    return Packed([out / shard.name for shard in packed.shards], packed.pictures, packed.left_out)


def require_new(out: Path) -> None:
    """Check that there is no folder of shards yet, before long work for it.

    Raises:
        RetintError: if there is.
    """
    if HERE.exists(out):
        raise RetintError(f"{out} exists: give a new folder for the shards")


def _write(
    pictures: Sequence[Picture],
    folder: Path,
    short_side: int | None,
    shard_bytes: int,
    seed: int,
    progress: Callable[[int], None],
) -> Packed:
    shards = _Shards(folder, shard_bytes)
    left_out: list[Finding] = []
    count = 0
    shuffled = _shuffled(pictures, seed)
    encoded = look_at_all(shuffled, lambda one: _encode(one, short_side), left_out, progress)
    try:
        for picture, (data, suffix) in encoded:
            about = json.dumps({"name": picture.name}).encode()
            shards.add(f"{count:08d}", {suffix: data, "json": about})
            count += 1
    finally:
        shards.close()
    if not count:
        raise none_usable(left_out)
    return Packed(shards.paths, count, sorted(map(str, left_out)))


def _shuffled(pictures: Sequence[Picture], seed: int) -> list[Picture]:
    """A random order, in which rows of a Parquet file stay near those they are read with."""
    draw = np.random.default_rng(seed)
    groups: dict[object, list[Picture]] = {}
    for number, picture in enumerate(pictures):
        group = (picture.file, picture.row[0]) if picture.row else number
        groups.setdefault(group, []).append(picture)
    together = list(groups.values())
    drawn = [together[number] for number in draw.permutation(len(together))]
    shuffled: list[Picture] = []
    for start in range(0, len(drawn), _GROUPS):
        some = [picture for group in drawn[start : start + _GROUPS] for picture in group]
        shuffled += [some[number] for number in draw.permutation(len(some))]
    return shuffled


def _encode(picture: Picture, short_side: int | None) -> tuple[bytes, str] | str:
    pixels = decode(picture, lambda image: _smaller(image, short_side))
    if isinstance(pixels, str):
        return pixels
    data = picture.read()
    with Image.open(io.BytesIO(data)) as opened:
        fits = short_side is None or min(opened.size) <= short_side
        if fits and opened.format in _SUFFIXES:
            return data, _SUFFIXES[opened.format]
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=_QUALITY, subsampling=0)
    return stream.getvalue(), "jpg"


def _smaller(image: Image.Image, short_side: int | None) -> Image.Image:
    if short_side is None or min(image.size) <= short_side:
        return image
    scale = short_side / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


class _Shards:
    """Tar files of bounded size that are written one after the other."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.paths: list[Path] = []
        self._folder, self._most_bytes = folder, most_bytes
        self._tar: tarfile.TarFile | None = None

    def add(self, key: str, parts: dict[str, bytes]) -> None:
        """Write the files of one sample, which stay together."""
        needed = sum(_BLOCK + -(-len(data) // _BLOCK) * _BLOCK for data in parts.values())
        room = self._most_bytes - tarfile.RECORDSIZE  # the end of a tar
        if self._tar is None or (self._tar.offset and self._tar.offset + needed > room):
            self._begin()
        assert self._tar is not None
        for suffix, data in parts.items():
            member = tarfile.TarInfo(f"{key}.{suffix}")  # of no time and no owner: repeatable
            member.size = len(data)
            self._tar.addfile(member, io.BytesIO(data))

    def close(self) -> None:
        """Finish the last shard."""
        if self._tar is not None:
            self._tar.close()

    def _begin(self) -> None:
        self.close()
        self.paths.append(self._folder / f"shard-{len(self.paths):06d}.tar")
        self._tar = tarfile.open(self.paths[-1], "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
