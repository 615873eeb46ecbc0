"""What results are called: as the command calls them, whatever way they come."""

from __future__ import annotations

from pathlib import Path

from retint.photo import SUFFIXES, output_path


def result_name(name: str, suffix: str) -> str:
    """Name of a coloured photograph.

    Args:
        name: that the client gave the photograph, perhaps with folders, which are left out.
        suffix: the usual ending of the result's format.

    >>> result_name("album/cat.jpeg", ".jpg"), result_name("cat.jpeg", ".png")
    ('cat-color.jpeg', 'cat-color.png')
    """
    source = Path(Path(name.replace("\\", "/")).name or "photo")
    fits = SUFFIXES.get(source.suffix.lower()) == SUFFIXES[suffix]
    return output_path(source, suffix=None if fits else suffix).name
