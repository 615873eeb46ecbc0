"""Reading and writing over a network: tried again for a while, and errors that name the URL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from retint.errors import RetintError, first_line

_PAUSES = (1.0, 5.0)  # seconds before the second and the third attempt

Result = TypeVar("Result")


def steadily(work: Callable[[], Result]) -> Result:
    """Do what may fail for a moment, up to three times."""
    for pause in _PAUSES:
        try:
            return work()
        except (
            RetintError,
            FileNotFoundError,
            FileExistsError,
            PermissionError,
            IsADirectoryError,
        ):
            raise  # it will not get better
        except Exception:  # each driver has errors of its own
            time.sleep(pause)
    return work()


@contextmanager
def named_errors(url: Path, done: str) -> Iterator[None]:
    """Turn what drivers raise into one line that names the URL."""
    try:
        yield
    except RetintError:
        raise
    except FileNotFoundError as error:
        raise RetintError(f"{url} does not exist") from error
    except Exception as error:  # each driver has errors of its own
        cause = first_line(error)
        raise RetintError(f"{url} cannot be {done} ({cause}): mend that and call again") from error
