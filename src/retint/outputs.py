"""Files of a report of figures: whole, and never in place of others unasked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from retint.errors import RetintError, written
from retint.whole import whole_file


def check_free(out: Path, *, overwrite: bool) -> None:
    """Tell early that a report would be overwritten.

    Raises:
        RetintError: if so.
    """
    there = os.path.exists(out / "results.json")  # noqa: PTH110 - of too long a name it is False
    if there and not overwrite:
        raise RetintError(f"{out} holds a report: add --overwrite, or give another --out")


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
