"""What lies where: all that planning and the journal ask of folders, and write into them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePath

from retint.errors import RetintError, first_line
from retint.locks import locked
from retint.photo import LOOKED_AT
from retint.whole import exists, remove_partial_files

State = tuple[int, int]
"""What changes when a file does: its size, and the time of the change or what stands for it."""


class Places:
    """Folders of this machine; `retint.scale.urls` knows those at URLs, too.

    What cannot be looked at, as its name is too long or a folder may not be entered, counts as not
    there: reading or writing it says why. Path.exists() and the like raise before Python 3.14.

    Attributes:
        at_once: how many lines the journal is best given at a time.
    """

    at_once = 1

    def is_folder(self, path: Path) -> bool:
        """Whether there is a folder of this name."""
        return os.path.isdir(path)  # noqa: PTH112

    def exists(self, path: Path) -> bool:
        """Whether there is anything of this name."""
        return exists(path)

    def state(self, path: Path) -> State | None:
        """What changes when the file does; None if it is gone."""
        try:
            status = path.stat()
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns

    def is_same(self, one: Path, other: Path) -> bool:
        """Whether both are names of one file that exists."""
        try:
            return one.samefile(other)
        except OSError:
            return False

    def inside(self, path: Path, folder: Path) -> PurePath:
        """A path below a folder, as seen from there."""
        return path.relative_to(folder)

    def photographs(self, folder: Path, out: Path | None, problems: list[str]) -> list[Path]:
        """Photographs below a folder, sorted, but for those in `out`."""
        return sorted(_walk(folder, out, problems, {folder.resolve()}))

    def remove_partial_files(self, paths: Iterable[Path]) -> None:
        """Remove what killed runs left half written of these files."""
        remove_partial_files(paths)

    def remove(self, path: Path) -> None:
        """Remove a file, if there is one.

        Raises:
            RetintError: if that fails.
        """
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise RetintError(f"{path} cannot be replaced: {first_line(error)}") from error

    @contextmanager
    def held(self, path: Path) -> Iterator[None]:
        """Keep other runs off a journal for as long as this lasts, where that can be had.

        Raises:
            RetintError: if another run holds it.
        """
        with ExitStack() as stack:
            # Where nothing can be written, the run goes on without; writing says why.
            with suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                taken = f"another run is at work in {path.parent}: wait for its end, or stop it"
                stack.enter_context(locked(path, taken))
            yield

    def read(self, path: Path) -> bytes:
        """All that was appended to a file; nothing if there is none."""
        return path.read_bytes() if self.exists(path) else b""

    def append(self, path: Path, lines: bytes) -> None:
        """Add lines to a file, which is made with the first; they are on the disk at the end.

        So that no power cut leaves a result, which is, without its line in the journal.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())

    def cut(self, path: Path, size: int) -> None:
        """Take off what a killed run left unfinished at the end of a file."""
        os.truncate(path, size)


HERE = Places()
"""This machine's."""


def _walk(folder: Path, out: Path | None, problems: list[str], seen: set[Path]) -> Iterator[Path]:
    """Photographs below a folder, through symbolic links but never twice through the same."""
    try:
        with os.scandir(folder) as found:
            # Links last: a folder goes by its own name, whatever order the disk has.
            names = [name for _, name in sorted((one.is_symlink(), one.name) for one in found)]
    except OSError as error:
        problems.append(f"{folder} cannot be read: {error.strerror}")
        return
    if names and not os.access(folder, os.X_OK):
        problems.append(f"{folder} cannot be read: it may not be entered")
        return
    for entry in map(folder.joinpath, names):
        if HERE.is_folder(entry):
            place = entry.resolve()
            if out is not None and place == out.resolve():
                continue  # results of an earlier run are no photographs
            if place in seen:
                if entry.is_symlink():
                    problems.append(f"{entry} leads to a folder that is coloured already")
                continue
            seen.add(place)
            yield from _walk(entry, out, problems, seen)
        elif entry.suffix.lower() in LOOKED_AT and not entry.name.startswith("."):
            yield entry
