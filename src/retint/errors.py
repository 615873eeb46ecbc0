"""The one kind of error that retint raises for what its user can mend; and lack of memory."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OF_MEMORY = (
    *("bad_alloc", "bad allocation", "failed to allocate", "cannot allocate", "unable to allocate"),
    *("insufficient memory", "out of memory", "can't start new thread", "failed to map segment"),
    "could not import name",  # imagecodecs, of a library of its own that cannot be mapped
)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of OSErrors that say that a disk, or a person's share of it, is full."""

_MENDS_OF_WRITING = {
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "choose a folder that is yours"),
    **dict.fromkeys(NO_ROOM, "make room, or choose another folder"),
}


class RetintError(Exception):
    """Bad input, a missing file, an impossible request.

    The message is one line that says what is wrong, where, and how to mend it. The command line
    prints it and exits with 1; Python callers catch it. Anything else that escapes is a bug.
    """


def exists_line(target: Path) -> str:
    """What is told where a result would replace a file."""
    return f"{target} exists: add --overwrite to replace it, or name another with -o"


def first_line(error: BaseException) -> str:
    """What an error says, without the file that it names; if that is nothing, what it is."""
    text = str(getattr(error, "strerror", None) or error)
    return (text.strip().splitlines() or [repr(error)])[0]


@contextmanager
def written(place: Path, *kinds: type[Exception]) -> Iterator[None]:
    """Turn what writing raises into one line that names the file or folder.

    Args:
        place: what is written.
        kinds: of errors beside OSError.

    Raises:
        RetintError: if it cannot be written.
    """
    expected: tuple[type[Exception], ...] = (OSError, *kinds)
    try:
        yield
    except expected as error:
        mend = _MENDS_OF_WRITING.get(getattr(error, "errno", None) or 0)
        line = f"{place} cannot be written: {first_line(error)}"
        raise RetintError(f"{line}: {mend}" if mend else line) from error


def last_line(error: BaseException) -> str:
    r"""The same of an error that begins with headlines, as PyTorch's of weights and Ray's do.

    >>> last_line(RuntimeError("Errors in loading:\n  a size differs"))
    'a size differs'
    >>> last_line(RuntimeError())
    'RuntimeError()'
    """
    return (str(error).strip().splitlines() or [repr(error)])[-1].strip()


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left; each library has its own way."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _OF_MEMORY)
