"""ICC profiles: into sRGB for the work, and back into the photograph's own."""

from __future__ import annotations

import io
import struct
from functools import cache

import numpy as np
from PIL import ImageCms

from retint.photo.picture import Pixels

_SPACES = {"RGB ": "rgb", "GRAY": "gray", "CMYK": "cmyk"}  # as ICC and imagecodecs name them
_CHANNELS = {"rgb": 3, "gray": 1, "cmyk": 4}
_BAND = 1 << 22  # values converted at a time, so that no second whole picture is held


def to_srgb(pixels: Pixels, icc_profile: bytes) -> Pixels:
    """Convert pixels of a profile to sRGB.

    Args:
        pixels: (H, W) or (H, W, 3 or 4), uint8 or uint16.
        icc_profile: says what they mean; one that does not fit the pixels tells nothing.

    Returns:
        the dtype that was given: (H, W) of a grey profile, (H, W, 3) of others; the pixels
        themselves where the profile does not fit.
    """
    space = color_space(icc_profile)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if space is None or _CHANNELS[space] != channels or _is_srgb(icc_profile):
        return pixels
    converted = _transform(pixels, icc_profile, srgb_profile(), space, "rgb")
    if converted is None:
        return pixels
    return converted[:, :, 1].copy() if space == "gray" else converted


def from_srgb(pixels: Pixels, icc_profile: bytes | None) -> tuple[Pixels, bytes]:
    """Convert sRGB pixels (H, W, 3) into a profile, and give the profile to be written.

    It is sRGB where the profile is none of RGB: a grey photograph's, or a press's.
    """
    if icc_profile is None or color_space(icc_profile) != "rgb":
        return pixels, srgb_profile()
    if _is_srgb(icc_profile):
        return pixels, icc_profile
    converted = _transform(pixels, srgb_profile(), icc_profile, "rgb", "rgb")
    return (pixels, srgb_profile()) if converted is None else (converted, icc_profile)


def color_space(icc_profile: bytes) -> str | None:
    """rgb, gray or cmyk; None of a profile that is damaged or of another space."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
    except (OSError, ImageCms.PyCMSError):
        return None
    return _SPACES.get(f"{profile.profile.xcolor_space:4}")


def description(icc_profile: bytes) -> str:
    """The profile's name of itself."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
        return ImageCms.getProfileDescription(profile).strip()
    except (OSError, ImageCms.PyCMSError):
        return "damaged"


@cache
def srgb_profile() -> bytes:
    """The sRGB profile that is written."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # The date in the header is the moment it was made; without it, equal pictures are equal files.
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    return bytes(profile)


def _is_srgb(icc_profile: bytes) -> bool:
    return description(icc_profile).lower().startswith("srgb")


def _transform(
    pixels: Pixels, source: bytes, target: bytes, space: str, target_space: str
) -> Pixels | None:
    """Converted pixels, or None where the profiles allow no conversion."""
    from imagecodecs import CmsError, cms_transform

    height, width = pixels.shape[:2]
    result = np.empty((height, width, _CHANNELS[target_space]), pixels.dtype)
    step = max(1, _BAND // max(1, width))
    try:
        for top in range(0, height, step):
            band = np.ascontiguousarray(pixels[top : top + step])
            result[top : top + step] = cms_transform(
                band, source, target, colorspace=space, outcolorspace=target_space
            )
    except CmsError:
        return None
    return result
