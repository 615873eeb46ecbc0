"""A decoded photograph and what belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]
"""uint8 or uint16."""


@dataclass(frozen=True)
class Photo:
    """A decoded photograph.

    Attributes:
        pixels: sRGB, (H, W) or (H, W, 3), uint8 or uint16, upright.
        format: Pillow's name of the file format, such as "JPEG".
        alpha: (H, W) of the same dtype, or None.
        exif: EXIF without the orientation, which is applied to the pixels, or None.
        exif_damaged: whether EXIF, or tags of it, were left out for that.
        xmp: XMP packet without the orientation, or None.
        iptc: IPTC records (IIM), or None.
        icc_profile: of the file that was read; pixels are converted to sRGB, and back into an RGB
            profile when they are written.
        dpi: pixels per inch, horizontal and vertical, or None.
        texts: comments that JPEG and PNG keep outside EXIF, by keyword.
        compression: of a TIFF file, as tifffile names it, or None.
        modified: when the file was changed last, nanoseconds since 1970, or None.
        pages: the further pages of a TIFF file.
    """

    pixels: Pixels
    format: str
    alpha: Pixels | None = None
    exif: bytes | None = None
    exif_damaged: bool = False
    xmp: bytes | None = None
    iptc: bytes | None = None
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    compression: str | None = None
    modified: int | None = None
    pages: tuple[Photo, ...] = ()


def to_8_bit(pixels: Pixels) -> NDArray[np.uint8]:
    """Round 16 bits to 8; 8 bits stay."""
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return pixels.astype(np.uint8, copy=False)


def scaled_to_16_bit(pixels: Pixels, depth: int) -> Pixels:
    """Pixels of `depth` bits, in uint16, spread over all of it."""
    most = (1 << depth) - 1
    return ((pixels.astype(np.uint32) * 65535 + most // 2) // most).astype(np.uint16)


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Apply an EXIF orientation, 1 to 8."""
    if orientation >= 5:
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def shrunk(pixels: Pixels, side: int) -> Pixels:
    """Pixels with the long side at most `side`; a photograph that is small enough stays."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small: Pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return small


def is_grey(pixels: Pixels) -> bool:
    """Whether red, green and blue are equal everywhere."""
    return pixels.ndim == 2 or bool((pixels == pixels[:, :, :1]).all())
