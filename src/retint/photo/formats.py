"""The picture formats that are read and written."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from retint.errors import RetintError


@dataclass(frozen=True)
class Format:
    """A picture format.

    Attributes:
        name: Pillow's name of it.
        suffixes: endings of its files, the usual one first.
        deep: whether files with 16 bits a channel are kept so.
        alpha: whether it holds transparency.
        pages: whether it holds more than one page.
        metadata: whether it holds EXIF, XMP and an ICC profile.
        resolution: whether it holds one.
        options: for Pillow's `save`.
        quality: whether Pillow's `save` takes a quality for it.
        longest_side: pixels that it can hold, None for more than any photograph has.
    """

    name: str
    suffixes: tuple[str, ...]
    deep: bool = False
    alpha: bool = False
    pages: bool = False
    metadata: bool = True
    resolution: bool = True
    options: tuple[tuple[str, Any], ...] = ()
    quality: bool = False
    longest_side: int | None = None


FORMATS = {
    format_.name: format_
    for format_ in (
        Format(
            "JPEG",
            (".jpg", ".jpeg"),
            options=(("subsampling", 0),),
            quality=True,
            longest_side=65_500,
        ),
        Format("PNG", (".png",), deep=True, alpha=True, options=(("compress_level", 4),)),
        Format("TIFF", (".tif", ".tiff"), deep=True, alpha=True, pages=True),
        Format(
            "WEBP",
            (".webp",),
            alpha=True,
            options=(("method", 4),),
            quality=True,
            longest_side=16_383,
        ),
        Format("AVIF", (".avif",), alpha=True, options=(("subsampling", "4:4:4"),), quality=True),
        Format("HEIF", (".heic", ".heif"), alpha=True, options=(("chroma", 444),), quality=True),
        Format(
            "JPEG2000",
            (".jp2", ".j2k"),
            deep=True,
            alpha=True,
            metadata=False,
            resolution=False,
        ),
        Format("BMP", (".bmp",), metadata=False),
        Format("PPM", (".ppm", ".pgm"), deep=True, metadata=False, resolution=False),
    )
}
"""Formats by Pillow's name."""

SUFFIXES = {suffix: name for name, format_ in FORMATS.items() for suffix in format_.suffixes}
"""Endings of the files that are read and written, and the names of their formats."""

REFUSED = (".gif", ".pdf")
"""Endings of scans that are told, each with what to do, and not passed over in silence."""

LOOKED_AT = frozenset((*SUFFIXES, *REFUSED))
"""Endings of the files in folders that are coloured or told; others are passed over."""

GREY_MAP = ".pgm"
"""Ending that says a PPM file is grey: no name for a coloured picture, which is a .ppm."""


def format_of(path: Path) -> Format:
    """The format that a file's name says.

    Raises:
        RetintError: if there is none.
    """
    name = SUFFIXES.get(path.suffix.lower())
    if name is None:
        raise RetintError(
            f"{path}: no picture format ends in '{path.suffix}': use one of {known_suffixes()}"
        )
    return FORMATS[name]


def format_of_name(name: str) -> Format:
    """The format that a person calls `name`: as Pillow does, or by an ending.

    >>> format_of_name("jpg").name
    'JPEG'

    Raises:
        RetintError: if there is none.
    """
    known = FORMATS.get(name.upper()) or FORMATS.get(SUFFIXES.get(f".{name.lower()}", ""))
    if known is None:
        names = ", ".join(format_.suffixes[0].removeprefix(".") for format_ in FORMATS.values())
        raise RetintError(f"there is no format '{name}': use one of {names}")
    return known


def known_suffixes() -> str:
    """All endings, for messages."""
    return ", ".join(sorted(SUFFIXES))


def enable_heif() -> None:
    """Let Pillow read and write HEIF.

    Raises:
        RetintError: if the extra is not installed.
    """
    if find_spec("pillow_heif") is None:
        raise RetintError(
            "HEIC pictures need the heif extra: run 'make install' in the clone, or "
            "pip install '.[heif]' there"
        )
    import pillow_heif

    pillow_heif.register_heif_opener()
