"""Files that the page is made of, as they lie in the package."""

from __future__ import annotations

from importlib import resources


def static_bytes(name: str) -> bytes:
    """Contents of a file in `static/`."""
    return (resources.files("retint.web") / "static" / name).read_bytes()


def static_text(name: str) -> str:
    """Text of a file in `static/`."""
    return static_bytes(name).decode()
