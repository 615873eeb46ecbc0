"""Names of the coloured pictures."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from retint.photo.formats import GREY_MAP, SUFFIXES

COLORED = "-color"
"""What is added to the name of a photograph or film for the coloured one."""


def output_path(source: Path, sample: int | None = None, suffix: str | None = None) -> Path:
    """Name of the coloured picture beside its source: photo-color.jpg, or photo-color-2.jpg."""
    number = "" if sample is None else f"-{sample}"
    ending = suffix or source.suffix
    if ending.lower() == GREY_MAP:
        ending = ".ppm"
    return source.with_name(f"{source.stem}{COLORED}{number}{ending}")


def is_output(file: Path, exists: Callable[[Path], bool] = os.path.isfile) -> bool:
    """Whether `file` is named as a colouring of a photograph beside it, of whatever format."""
    stem, marker, number = file.stem.rpartition(COLORED)
    if not marker or (number and not number.removeprefix("-").isdecimal()):
        return False
    endings = {file.suffix, *SUFFIXES, *map(str.upper, SUFFIXES)}
    return any(exists(file.with_name(stem + ending)) for ending in endings)
