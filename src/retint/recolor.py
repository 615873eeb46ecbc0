"""Photographs that have colours already: whole, or some of their pages, they stay as they are."""

from __future__ import annotations

from retint.photo import Photo, with_pages_of
from retint.photo.provenance import read_provenance
from retint.tone import Kind, kind_of


def what_to_color(
    photo: Photo, format_name: str, *, recolor: bool = False
) -> tuple[Photo, tuple[int, ...]]:
    """What a file of a format will hold of a photograph, and what of that keeps its colours.

    Pages that say of their colours that retint inferred them can be made anew.

    Args:
        photo: the photograph.
        format_name: of the result, as `retint.photo.FORMATS` names it.
        recolor: no page keeps its colours.

    Returns:
        The photograph without the pages that the format cannot hold; and numbers, from 0, of the
        pages that have colours of their own.
    """
    fitting = with_pages_of(photo, format_name)
    if recolor:
        return fitting, ()
    pages = enumerate((fitting, *fitting.pages))
    return fitting, tuple(number for number, page in pages if _has_own_colours(page))


def all_coloured(photo: Photo, kept: tuple[int, ...]) -> bool:
    """Whether nothing is left to colour."""
    return len(kept) > len(photo.pages)


def coloured_before(photo: Photo, kept: tuple[int, ...]) -> bool:
    """Whether a page that is to be coloured has colours of retint."""
    pages = enumerate((photo, *photo.pages))
    return any(number not in kept and read_provenance(page.xmp) for number, page in pages)


def _has_own_colours(page: Photo) -> bool:
    return not read_provenance(page.xmp) and kind_of(page.pixels) is Kind.COLOURED
