"""Packages that only some commands need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from retint.errors import RetintError


@contextmanager
def needs_extra(command: str, extra: str = "train") -> Iterator[None]:
    """Tell who lacks an extra's packages, such as PyTorch, how to get them."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").startswith("retint"):
            raise  # a module of ours: no installation mends that
        raise RetintError(
            f"retint {command} needs the {extra} extra: run 'make install' in the clone, or "
            f"pip install '.[{extra}]' there"
        ) from error
