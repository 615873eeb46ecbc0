"""Photographs: pixels and all that belongs to them, as files and in memory."""

from retint.photo.files import (
    QUALITY,
    describe_photo,
    encode_photo,
    losses,
    read_photo,
    read_sizes,
    sidecar_of,
    with_pages_of,
    write_photo,
)
from retint.photo.formats import (
    FORMATS,
    GREY_MAP,
    LOOKED_AT,
    SUFFIXES,
    format_of,
    format_of_name,
    known_suffixes,
)
from retint.photo.names import is_output, output_path
from retint.photo.picture import Photo

__all__ = [
    "FORMATS",
    "GREY_MAP",
    "LOOKED_AT",
    "QUALITY",
    "SUFFIXES",
    "Photo",
    "describe_photo",
    "encode_photo",
    "format_of",
    "format_of_name",
    "is_output",
    "known_suffixes",
    "losses",
    "output_path",
    "read_photo",
    "read_sizes",
    "sidecar_of",
    "with_pages_of",
    "write_photo",
]
