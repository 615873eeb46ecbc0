"""Files of a report of figures: whole, and never in place of others unasked."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from retint.errors import RetintError


def check_free(out: Path, *, overwrite: bool) -> None:
    """Tell early that a report would be overwritten.

    Raises:
        RetintError: if so.
    """
    if (out / "results.json").exists() and not overwrite:
        raise RetintError(f"{out} holds a report: add --overwrite, or give another --out")


def write_files(out: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder, each beside its place first.

    Raises:
        RetintError: if they cannot be written.
    """
    written = []
    beside = out
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            beside = out / f".{name}.{uuid4().hex}.partial"
            beside.write_bytes(content)
            written.append(beside.replace(out / name))
    except OSError as error:
        raise RetintError(f"{out} cannot be written: {error.strerror}") from error
    finally:
        if beside != out:
            with suppress(OSError):  # the folder itself may be what is wrong
                beside.unlink(missing_ok=True)
    return written
