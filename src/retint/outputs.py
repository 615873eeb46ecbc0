"""Files of a report of figures: whole, and never in place of others unasked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from retint.errors import RetintError, written
from retint.whole import exists, whole_file

_NAMES = ("results.json", "pictures.csv", "contact-sheet.jpg", "report.html")  # of all reports


def check_free(out: Path, *, overwrite: bool) -> None:
    """Tell early, before figures are measured, that a report of them would find no place.

    Raises:
        RetintError: if a file would be replaced unasked, or none can be written there.
    """
    for file in map(out.joinpath, _NAMES):
        if exists(file) and not overwrite:
            raise RetintError(f"{file} exists: add --overwrite, or give another --out")
    # No folder is made yet: what follows may fail, and would leave it empty.
    place = next((path for path in (out, *out.parents) if exists(path)), None)
    if place is None:  # of a drive
        raise RetintError(f"{out} cannot be written: {out.anchor} is not there")
    if not place.is_dir():
        raise RetintError(f"{out} cannot be written: {place} is a file: give another --out")
    if not os.access(place, os.W_OK | os.X_OK):
        raise RetintError(
            f"{out} cannot be written: {place} may not be written into: give another --out"
        )


def write_files(out: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder, each whole or not at all.

    Raises:
        RetintError: if they cannot be written.
    """
    with written(out):
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with whole_file(out / name) as beside:
                beside.write_bytes(content)
    return [out / name for name in contents]
