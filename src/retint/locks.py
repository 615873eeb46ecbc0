"""Files that one process at a time may hold."""

from __future__ import annotations

import sys
from typing import IO

from retint.errors import RetintError


def lock(file: IO[bytes], taken: str) -> None:
    """Keep other processes from an opened file until it is closed; a kill closes it, too.

    Raises:
        RetintError: with `taken`, if another has it.
        OSError: if its file system has no locks.
    """
    if sys.platform == "win32":  # has no such locks
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RetintError(taken) from error
