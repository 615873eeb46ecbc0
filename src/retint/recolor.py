"""Photographs that have colours already: whole, or some of their pages, they stay as they are."""

from __future__ import annotations

from retint.photo import Photo
from retint.photo.provenance import read_provenance
from retint.tone import Kind, kind_of


def coloured_pages(photo: Photo) -> tuple[int, ...]:
    """Numbers, from 0, of the pages that have colours of their own.

    None has in a file that says of its colours that retint inferred them: they can be made anew.
    """
    if read_provenance(photo.xmp):
        return ()
    pages = enumerate((photo, *photo.pages))
    return tuple(number for number, page in pages if kind_of(page.pixels) is Kind.COLOURED)


def all_coloured(photo: Photo, coloured: tuple[int, ...]) -> bool:
    """Whether nothing is left to colour."""
    return len(coloured) > len(photo.pages)
