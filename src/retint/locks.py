"""Files that one process at a time may hold."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retint.errors import RetintError


@contextmanager
def locked(path: Path, taken: str) -> Iterator[None]:
    """Keep other processes off a file, which is made if need be; a kill lets go of it, too.

    Windows and some network file systems have no such locks: there, nobody is kept off.

    Raises:
        RetintError: with `taken`, if another process has it.
        OSError: if the file cannot be opened.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RetintError(taken) from error
        except OSError:
            pass
        yield
