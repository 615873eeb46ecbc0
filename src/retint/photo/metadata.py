"""What files carry beside pixels: EXIF, XMP and IPTC, from one format to the other."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any

from PIL import Image

ORIENTATION = 0x0112
BELOW = (0x8769, 0x8825)  # tags of the EXIF and GPS directories
RESOLUTION = (0x011A, 0x011B, 0x0128)  # horizontal, vertical, their unit
INCH = 2  # as a unit of resolution
_MOST_DPI = 65_536  # beyond what JPEG can say
_SWAPPED = {  # when a picture is turned by a quarter: resolutions; width and height
    0x011A: 0x011B,
    0x011B: 0x011A,
    0xA002: 0xA003,
    0xA003: 0xA002,
}
_INTEROPERABILITY = 0xA005  # a place in the file that was read
_IPTC_RESOURCE = 0x0404  # of Photoshop's image resources
_XMP_ORIENTATION = (  # as an attribute and as an element
    rb"""\stiff:Orientation\s*=\s*(["'])\d+\1""",
    rb"<tiff:Orientation>\s*\d+\s*</tiff:Orientation>",
)
# What tells of the picture; the other tags of a TIFF directory tell how its file is laid out.
_TELLING = {
    *(0x010D, 0x010E, 0x010F, 0x0110),  # document, description, make, model
    *RESOLUTION,
    *(0x011D, 0x0131, 0x0132, 0x013B, 0x013C),  # page, software, date, artist, computer
    *(0x4746, 0x4749, 0x8298),  # rating, copyright
    *range(0x9C9B, 0x9CA0),  # title, comment, author, keywords, subject as Windows writes them
}


class _Text(str):
    """Text of EXIF, a character for each of its bytes, which are most often UTF-8.

    So Pillow reads it; but when writing, it puts a question mark for all that is not ASCII.
    """

    __slots__ = ()

    def encode(self, encoding: str = "", errors: str = "") -> bytes:  # noqa: ARG002
        """The bytes, whatever encoding Pillow asks for."""
        return str.encode(self, "latin-1", "replace")


def exif_bytes(
    main: Mapping[int, Any], below: Mapping[int, Mapping[int, Any]], orientation: int
) -> tuple[bytes | None, bool]:
    """EXIF to keep, once `orientation` is applied to the pixels; None where nothing is left.

    Tags whose values cannot be written, such as texts that are stored as numbers, are left out.

    Args:
        main: tags of the main directory; those that do not tell of the picture are left out.
        below: the EXIF and GPS directories, by their tags.
        orientation: 1 to 8; from 5 on, width and height change places.

    Returns:
        EXIF, and whether tags of it were left out for that.
    """
    swapped = _SWAPPED if orientation >= 5 else {}
    kept = {
        swapped.get(tag, tag): _with_text(value) for tag, value in main.items() if tag in _TELLING
    }
    kept_below = {
        directory: {
            swapped.get(tag, tag): _with_text(value)
            for tag, value in below.get(directory, {}).items()
            if tag != _INTEROPERABILITY
        }
        for directory in BELOW
    }
    packed, is_sound = _packed(kept, kept_below)
    if is_sound:
        return packed, False
    sound = {tag: value for tag, value in kept.items() if _packed({tag: value}, {})[1]}
    sound_below = {
        directory: {
            tag: value for tag, value in values.items() if _packed({}, {directory: {tag: value}})[1]
        }
        for directory, values in kept_below.items()
    }
    return _packed(sound, sound_below)[0], True


def with_resolution(exif: bytes | None, dpi: tuple[float, float]) -> bytes | None:
    """EXIF that says a resolution, for formats that have no other place for it."""
    main, below = directories(exif) if exif else ({}, {})
    return exif_bytes({**main, **resolution_tags(dpi)}, below, 1)[0]


def resolution_tags(dpi: tuple[float, float]) -> dict[int, Any]:
    """The tags that say a resolution."""
    return dict(zip(RESOLUTION, (*dpi, INCH), strict=True))


def _packed(
    main: Mapping[int, Any], below: Mapping[int, Mapping[int, Any]]
) -> tuple[bytes | None, bool]:
    """EXIF, None where there are no tags; and whether all can be written."""
    exif = Image.Exif()
    try:
        exif.update(main)
        exif.update({directory: values for directory, values in below.items() if values})
        return (exif.tobytes() if len(exif) else None), True
    except MemoryError:
        raise
    except Exception:  # Pillow raises many kinds
        return None, False


def directories(exif: bytes) -> tuple[dict[int, Any], dict[int, dict[int, Any]]]:
    """Tags of the main directory, and the EXIF and GPS directories by their tag.

    Texts encode as the bytes that they were, so that they can be written again.
    """
    parsed = Image.Exif()
    parsed.load(exif)
    below = {
        directory: {tag: _with_text(value) for tag, value in parsed.get_ifd(directory).items()}
        for directory in BELOW
        if directory in parsed
    }
    return {tag: _with_text(value) for tag, value in parsed.items() if tag not in below}, below


def _with_text(value: Any) -> Any:
    if isinstance(value, tuple):  # of one, in directories that are not the main one
        return tuple(map(_with_text, value))
    return _Text(value) if isinstance(value, str) else value


def orientation_of(value: Any) -> int:
    """The orientation that a tag says, 1 to 8: 1, upright, where it says anything else."""
    return int(value) if value in range(1, 9) else 1


def dpi_of(horizontal: float, vertical: float) -> tuple[float, float] | None:
    """A resolution in pixels per inch, None where it can be none of a photograph."""
    sound = all(0 < value < _MOST_DPI for value in (horizontal, vertical))
    return (horizontal, vertical) if sound else None


def turned_dpi(dpi: tuple[float, float] | None, orientation: int) -> tuple[float, float] | None:
    """A resolution, once `orientation` is applied to the pixels."""
    return dpi[::-1] if dpi and orientation >= 5 else dpi


def xmp_bytes(xmp: Any) -> bytes | None:
    """XMP to keep, once the orientation is applied to the pixels."""
    if not xmp:
        return None
    packet = xmp.encode() if isinstance(xmp, str) else bytes(xmp)
    for pattern in _XMP_ORIENTATION:
        packet = re.sub(pattern, b"", packet)
    return packet


def iptc_of_jpeg(image: Image.Image) -> bytes | None:
    """IPTC records of a JPEG file, which keeps them among Photoshop's image resources."""
    resources = image.info.get("photoshop")
    found = resources.get(_IPTC_RESOURCE) if isinstance(resources, dict) else None
    return bytes(found) if found else None


def iptc_segment(iptc: bytes) -> bytes:
    """The APP13 segment of a JPEG file that holds IPTC records."""
    resource = struct.pack(">4sHHI", b"8BIM", _IPTC_RESOURCE, 0, len(iptc)) + iptc
    body = b"Photoshop 3.0\0" + resource + b"\0" * (len(iptc) % 2)
    return struct.pack(">HH", 0xFFED, len(body) + 2) + body if len(body) < 65534 else b""
