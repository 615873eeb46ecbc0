"""Files and folders that appear whole under their names, or not at all.

They are written beside their places, under names that say so, and renamed at the end. Such a name
is short and plain text, however long and odd the file's own is: names have at most 255 bytes, and
some are no text.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

_PARTIAL = ".retint-partial"


@contextmanager
def whole_file(path: Path, *, sole: bool = False, beside: Path | None = None) -> Iterator[Path]:
    """Give the path to write a file under; rename it when the block ends, remove it if that fails.

    A file that has the name already is replaced; who may not do that asks before. The folder has
    to exist. The file has the permissions of a new one.

    Args:
        path: of the file.
        sole: nobody else writes this file at the time; what a killed process left of it is
            written over. Else several may write it, the last of them wins, and what killed ones
            left stays until `remove_partial_files`.
        beside: what it is written under, in the same folder, if not a name of its own.

    Raises:
        OSError: if it cannot be renamed; and what the block raises.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = Path(folder) / "table.csv"
    ...     with whole_file(target) as beside:
    ...         _ = beside.write_text("1,2,3")
    ...     target.read_text()
    '1,2,3'
    """
    beside = beside or partial_path(path, sole=sole)
    try:
        yield beside
        replace_whole(beside, path)
    except BaseException:
        with suppress(OSError):  # the folder itself may be what is wrong
            beside.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    r"""Write a text file, which one process alone writes at the time, whole or not at all.

    Bytes in names of files that are no text are written as `\udce9`.

    Raises:
        OSError: if it cannot be written.
    """
    with whole_file(path, sole=True) as beside:
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")


def exists(path: Path) -> bool:
    """Whether there is anything of this name.

    False where one may not look, or the name is too long: there, `Path.exists` raises.
    """
    return os.path.exists(path)  # noqa: PTH110


@contextmanager
def whole_folder(path: Path, *, sole: bool = False) -> Iterator[Path]:
    """Make an empty folder to fill; rename it when the block ends, remove it if that fails.

    A folder that has the name already, and is not empty, is not replaced: the renaming fails.

    Args:
        path: of the folder; the folders above it are made, too, and go with it if that fails.
        sole: nobody else makes this folder at the time; what a killed process left is removed.

    Raises:
        OSError: if it cannot be made or renamed; and what the block raises.
    """
    beside = partial_path(path, sole=sole)
    if sole:
        shutil.rmtree(beside, ignore_errors=True)
    made = [folder for folder in beside.parents if not exists(folder)]
    try:
        beside.mkdir(parents=True)
        yield beside
        beside.rename(path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        for folder in made:
            with suppress(OSError):  # it is not empty any more
                folder.rmdir()
        raise


def partial_path(path: Path, *, sole: bool = False) -> Path:
    """What a file or folder is written under, beside its place: a new name; if `sole`, the same."""
    name = _prefix(path) + ("sole" if sole else uuid4().hex)
    return path.with_name(name + _PARTIAL)


def replace_whole(beside: Path, path: Path) -> None:
    """Rename a finished file, once it is on the disk: else a power cut could leave it empty.

    Raises:
        OSError: if it cannot be renamed, or the disk is full after all.
    """
    with beside.open("rb+") as stream:
        os.fsync(stream.fileno())
    os.replace(beside, path)  # noqa: PTH105 - rename, atomically


def remove_partial_files(paths: Iterable[Path]) -> None:
    """Remove what killed processes left half written of these files, which nobody writes now.

    What may not be removed stays: it is in nobody's way, and writing says why.
    """
    prefixes: dict[Path, set[str]] = {}
    for path in paths:
        prefixes.setdefault(path.parent, set()).add(_prefix(path))
    for folder, wanted in prefixes.items():
        for file in folder.glob(f".*{_PARTIAL}"):
            if file.name[: len(next(iter(wanted)))] in wanted:
                with suppress(OSError):
                    file.unlink()


def _prefix(path: Path) -> str:
    return f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}-"
