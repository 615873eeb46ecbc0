"""Colour photographs to learn from: found in folders and archives, decoded, or said to be bad."""

from __future__ import annotations

import io
import os
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from retint.errors import RetintError, first_line, lacks_memory
from retint.photo import is_output
from retint.photo.profiles import to_srgb
from retint.remote import named_errors, steadily
from retint.rows import TABLES, images_of, rows_of

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}
_MIN_SIDE = 32
_MOST_PIXELS = 200_000_000  # beyond that, a file is more likely damaged than a photograph
_MIN_CHROMA = 4.0  # mean of max(RGB) - min(RGB), in bytes; JPEG noise on grey stays below
_TOGETHER = 256  # looked at in parallel, before what was found is all taken
_MOST_NAMED = 3  # pictures, where none is of use

Found = TypeVar("Found")


@dataclass(frozen=True)
class Picture:
    """A picture file, or a part of a tar archive, or a row of a table."""

    name: str
    file: Path  # or, for what lies at a URL, a UPath
    offset: int = 0
    length: int = -1
    row: tuple[int, int] | None = None  # group, and row in it; see retint.rows

    @property
    def in_archive(self) -> bool:
        """Whether `name` is that of a member of an archive."""
        return self.length >= 0 or self.row is not None

    def read(self) -> bytes:
        """The bytes of the encoded picture; none where a table lacks them.

        Raises:
            OSError: if a file on this machine cannot be read.
            RetintError: if the network fails, which says nothing of the picture.
        """
        if isinstance(self.file, Path):
            return self._read()
        with named_errors(self.file, "read"):
            return steadily(self._read)

    def _read(self) -> bytes:
        if self.row is not None:
            group, row = self.row
            return images_of(self.file, group)[row]
        if not isinstance(self.file, Path):
            return self._fetch(self.file)
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            return stream.read(self.length)

    def _fetch(self, remote: Any) -> bytes:
        """No more than the picture's bytes: opened files of fsspec fetch megabytes ahead."""
        end = self.offset + self.length if self.length >= 0 else None
        fetched: bytes = remote.fs.cat_file(remote.path, self.offset, end)
        return fetched


def find_pictures(source: Path) -> list[Picture]:
    """Pictures of a folder and its sub-folders, of archives in them, or of one archive.

    Archives are .tar, such as WebDataset's shards and ImageNet's tar of tars, and tables with an
    image column: .parquet, as the Hugging Face hub has them, and .arrow, as its `datasets` saves
    them. Sorted by name; without retint's own colourings of pictures beside them.

    Args:
        source: a path, or a UPath of universal-pathlib for what lies at a URL.

    Raises:
        RetintError: if there is none, an archive is damaged, or the network fails.
    """
    if not isinstance(source, Path):
        with named_errors(source, "read"):
            return _find_pictures(source)
    try:
        return _find_pictures(source)
    except OSError as error:
        raise RetintError(
            f"{error.filename or source} cannot be read: {first_line(error)}"
        ) from error


def _find_pictures(source: Path) -> list[Picture]:
    wanted = "give a folder of photographs, or a .tar, .parquet or .arrow file of them"
    if not steadily(source.exists):
        raise RetintError(f"{source} does not exist: {wanted}")
    if isinstance(source, Path):
        source = source.absolute()  # `.` has no name, which pictures are named by
    pictures: list[Picture] = []
    for file in steadily(lambda: _files(source)):
        if file.suffix == ".tar" or file.suffix in TABLES:
            pictures += steadily(partial(_inside, file))
        elif file.suffix.lower() in _SUFFIXES and not is_output(file):
            pictures.append(Picture(file.relative_to(source.parent).as_posix(), file))
    if not pictures:
        raise RetintError(f"{source} holds no pictures: {wanted}")
    return sorted(pictures, key=lambda picture: picture.name)


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    found = _local_files(source) if isinstance(source, Path) else source.rglob("*")
    return sorted(file for file in found if file.is_file())


def _local_files(folder: Path) -> Iterator[Path]:
    """Files of a folder and its sub-folders; linked ones, too, but none twice."""
    seen = set()
    for place, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (Path(place, name) for name in names)


def _raise(error: OSError) -> None:
    raise error


def _inside(archive: Path) -> list[Picture]:
    if archive.suffix == ".tar":
        return list(_members(archive))
    places = enumerate(rows_of(archive))
    return [Picture(f"{archive.stem}/{number:08d}", archive, row=row) for number, row in places]


def _members(archive: Path) -> Iterator[Picture]:
    try:
        with archive.open("rb") as stream:
            yield from _members_of(archive, stream, 0)
    except tarfile.TarError as error:
        raise RetintError(f"{archive} cannot be read as a tar archive: {error}") from error


def _members_of(archive: Path, stream: IO[bytes], start: int) -> Iterator[Picture]:
    """Pictures of a tar, which begins at `start` of the archive, and of the tars in it."""
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        for member in tar:
            is_tar = member.isfile() and member.name.endswith(".tar")
            inner = tar.extractfile(member) if is_tar else None
            if inner is not None:
                yield from _members_of(archive, inner, start + member.offset_data)
            elif member.isfile() and Path(member.name).suffix.lower() in _SUFFIXES:
                yield Picture(member.name, archive, start + member.offset_data, member.size)


def spread(pictures: list[Found], limit: int | None) -> list[Found]:
    """So many, spread over all; all if None, or if there are no more."""
    if limit is None or limit >= len(pictures):
        return pictures
    return [pictures[number * len(pictures) // limit] for number in range(limit)]


def read_in_order(pictures: Iterable[Picture]) -> Iterator[bytes | str]:
    """The bytes of pictures, or why they cannot be read; each archive is opened once for a row.

    What lies one after the other in an archive is so read in one stream, from a network, too.

    Raises:
        RetintError: if the network fails.
    """
    for archive, group in groupby(pictures, lambda one: one.file if one.length >= 0 else None):
        if archive is None:
            yield from map(_read, group)
            continue
        with (
            named_errors(archive, "read"),
            steadily(partial(archive.open, "rb")) as stream,
        ):
            for picture in group:
                yield steadily(partial(_member, stream, picture))


def _member(archive: IO[bytes], picture: Picture) -> bytes:
    archive.seek(picture.offset)
    return archive.read(picture.length)


def _read(picture: Picture) -> bytes | str:
    try:
        return picture.read()
    except OSError as error:
        return f"unreadable ({error})"


@dataclass(frozen=True)
class Finding:
    """A picture that is of no use, and why."""

    picture: Picture
    reason: str

    def __str__(self) -> str:
        return f"{self.picture.name}: {self.reason}"


def none_usable(left_out: Sequence[Finding]) -> RetintError:
    """Of pictures that are all of no use: how many for which reason, and the first few."""
    kinds = Counter(finding.reason.partition(" (")[0] for finding in left_out)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    named = "; ".join(map(str, left_out[:_MOST_NAMED]))
    more = "; ..." if len(left_out) > _MOST_NAMED else ""
    return RetintError(
        f"no usable colour photograph among {len(left_out)}, {counts} ({named}{more}): give "
        f"colour photographs of {_MIN_SIDE} pixels or more a side"
    )


def look_at_all(
    pictures: Sequence[Picture],
    look: Callable[[Picture], Found | str],
    left_out: list[Finding],
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[Picture, Found]]:
    """Look at pictures in parallel; give those that are of use, in their order.

    Args:
        pictures: what to look at.
        look: gives what was found, or why the picture is of no use.
        left_out: gets the others.
        progress: called with the number of pictures done.
    """
    with ThreadPoolExecutor() as pool:
        done = 0
        # In parts: all at once would be in memory at once, if looking is faster than what follows.
        for start in range(0, len(pictures), _TOGETHER):
            some = pictures[start : start + _TOGETHER]
            for picture, found in zip(some, pool.map(look, some), strict=True):
                if isinstance(found, str):
                    left_out.append(Finding(picture, found))
                else:
                    yield picture, found
                done += 1
                progress(done)


def open_picture(picture: Picture) -> Image.Image | str:
    """The picture in sRGB and upright, or why it cannot be used."""
    data = _read(picture)
    return data if isinstance(data, str) else _open(data)


def _open(data: bytes) -> Image.Image | str:
    try:
        with Image.open(io.BytesIO(data)) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                return f"too large ({opened.width} x {opened.height})"
            image = _in_srgb(ImageOps.exif_transpose(opened))
    except Image.DecompressionBombError:  # it says more than Pillow opens
        return f"too large (more than {_MOST_PIXELS} pixels)"
    except UnidentifiedImageError:  # whose text names an object in memory
        return "unreadable (not a picture)"
    except Exception as error:  # each decoder has errors of its own
        if lacks_memory(error):
            raise MemoryError from error
        return f"unreadable ({first_line(error)})"
    if min(image.size) < _MIN_SIDE:
        return f"tiny ({image.width} x {image.height})"
    return image


def _in_srgb(image: Image.Image) -> Image.Image:
    if image.mode != "CMYK":
        image = image.convert("RGB")
    profile = image.info.get("icc_profile")
    if profile:  # of a camera or a press, with other colours for the same numbers
        pixels = to_srgb(np.asarray(image), profile)
        if pixels.shape[2] == 3:
            return Image.fromarray(pixels)
    return image.convert("RGB")


def decode(
    picture: Picture, resize: Callable[[Image.Image], Image.Image]
) -> NDArray[np.uint8] | str:
    """Pixels (H, W, 3) of a colour photograph in sRGB, upright, resized; or why it is of no use."""
    data = _read(picture)
    return data if isinstance(data, str) else decode_data(data, resize)


def decode_data(
    data: bytes, resize: Callable[[Image.Image], Image.Image]
) -> NDArray[np.uint8] | str:
    """The same of the bytes of a picture file."""
    image = _open(data)
    if isinstance(image, str):
        return image
    pixels = np.asarray(resize(image))
    return "grey" if is_colorless(pixels) else pixels


def is_colorless(pixels: NDArray[np.uint8]) -> bool:
    """Whether there is nothing to learn from the colours of (H, W, 3)."""
    spread = pixels.max(axis=2).astype(np.int16) - pixels.min(axis=2)
    return float(spread.mean()) < _MIN_CHROMA
