"""Photographs as files: pixels and what belongs to them, read and written without loss."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from retint.errors import RetintError

Pixels = NDArray[Any]
"""uint8 or uint16."""

SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".ppm": "PPM",
    ".pgm": "PPM",
}
"""Endings of the files that are read and written, and Pillow's names of their formats."""

_MOST_PIXELS = 500_000_000  # beyond that, a file is more likely an attack than a scan
_ORIENTATION = 0x0112
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95, "method": 4},
    "TIFF": {"compression": "tiff_lzw"},
    "PNG": {"compress_level": 4},
}
Image.MAX_IMAGE_PIXELS = None  # the limit is checked here, with a message of its own


@dataclass(frozen=True)
class Photo:
    """A decoded photograph.

    Attributes:
        pixels: sRGB, (H, W) or (H, W, 3), uint8 or uint16, upright.
        format: Pillow's name of the file format, such as "JPEG".
        alpha: (H, W) of the same dtype, or None.
        exif: EXIF without the orientation, which is applied to the pixels, or None.
        dpi: pixels per inch, horizontal and vertical, or None.
        icc_profile: of the file that was read; colours are converted to sRGB.
    """

    pixels: Pixels
    format: str
    alpha: Pixels | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    icc_profile: bytes | None = None


def read_photo(source: Path | bytes) -> Photo:
    """Decode a photograph file, or its bytes.

    Raises:
        RetintError: if the file is missing, damaged, too large, or no photograph.
    """
    name = "the picture" if isinstance(source, bytes) else str(source)
    with _named_errors(name):
        data = source if isinstance(source, bytes) else _read_bytes(source)
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise RetintError(
                    f"{name} has {image.width} x {image.height} pixels, more than retint takes: "
                    "scale it down or cut it up"
                )
            image.load()
            return _to_photo(image, data)


def write_photo(photo: Photo, path: Path, *, overwrite: bool = False) -> None:
    """Write a photograph, whole or not at all, in the format that the file's name says.

    Raises:
        RetintError: if the file exists and `overwrite` is not set, or cannot be written.
    """
    format_ = SUFFIXES.get(path.suffix.lower())
    if format_ is None:
        known = ", ".join(sorted(SUFFIXES))
        raise RetintError(f"{path}: no picture format ends in '{path.suffix}': use one of {known}")
    if path.exists() and not overwrite:
        raise RetintError(f"{path} exists: add --overwrite to replace it, or choose another -o")
    beside = path.with_name(f".{path.name}.{uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(encode_photo(photo, format_))
        os.replace(beside, path)  # noqa: PTH105 - rename, atomically
    except OSError as error:
        raise RetintError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # the folder itself may be what is wrong
            beside.unlink(missing_ok=True)


def encode_photo(photo: Photo, format_: str | None = None) -> bytes:
    """Bytes of a photograph file; in the photo's own format by default.

    16 bits are kept in PNG and TIFF and become 8 in the other formats.
    """
    format_ = format_ or photo.format
    if photo.pixels.dtype == np.uint16 and format_ in ("PNG", "TIFF"):
        return _encode_16_bit(photo, ".png" if format_ == "PNG" else ".tiff")
    pixels, alpha = _to_8_bit(photo.pixels), photo.alpha
    image = Image.fromarray(pixels)
    if alpha is not None and format_ in ("PNG", "WEBP", "TIFF"):
        image.putalpha(Image.fromarray(_to_8_bit(alpha)))
    options = dict(_SAVE_OPTIONS.get(format_, {}))
    if photo.exif:
        options["exif"] = photo.exif
    if photo.dpi:
        options["dpi"] = photo.dpi
    if pixels.ndim == 3:
        options["icc_profile"] = _srgb_profile()
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def output_path(source: Path, sample: int | None = None) -> Path:
    """Name of the coloured picture beside its source: photo-color.jpg, or photo-color-2.jpg."""
    number = "" if sample is None else f"-{sample}"
    return source.with_name(f"{source.stem}-color{number}{source.suffix}")


def is_output(file: Path) -> bool:
    """Whether `file` is named as a colouring of a photograph beside it."""
    stem, marker, number = file.stem.rpartition("-color")
    if not marker or (number and not number.removeprefix("-").isdecimal()):
        return False
    return file.with_name(stem + file.suffix).is_file()


def describe_photo(path: Path) -> dict[str, str]:
    """What `retint info` says of a photograph.

    Raises:
        RetintError: if it cannot be read.
    """
    photo = read_photo(path)
    height, width = photo.pixels.shape[:2]
    facts = {
        "file": str(path),
        "format": photo.format,
        "size": f"{width} x {height}",
        "depth": f"{photo.pixels.dtype.itemsize * 8} bits",
        "colour": "grey" if _is_grey(photo.pixels) else "in colours",
        "alpha": "yes" if photo.alpha is not None else "no",
    }
    if photo.dpi:
        facts["dpi"] = " x ".join(f"{value:g}" for value in photo.dpi)
    if photo.icc_profile:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(photo.icc_profile))
        facts["icc profile"] = ImageCms.getProfileDescription(profile).strip()
    return facts


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise RetintError(f"{path} is a folder where a photograph is wanted")
    data = path.read_bytes()
    if not data:
        raise RetintError(f"{path} is empty: copy it again from its source")
    return data


@contextmanager
def _named_errors(name: str) -> Iterator[None]:
    """Turn what decoders raise into one line that names the file."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise RetintError(f"{name} is not a picture that retint can read") from error
    except FileNotFoundError as error:
        raise RetintError(f"{name} does not exist") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise RetintError(f"{name} cannot be read ({reason}): the file may be damaged") from error


def _to_photo(image: Image.Image, data: bytes) -> Photo:
    format_ = {"MPO": "JPEG"}.get(image.format or "", image.format or "")
    if format_ not in SUFFIXES.values():
        raise RetintError(f"{format_ or 'this'} pictures are not supported: save it as PNG or TIFF")
    exif = image.getexif()
    orientation = exif.get(_ORIENTATION, 1)
    deep = image.mode.startswith(("I", "F")) or _is_deep(image, data)
    upright = image if deep else ImageOps.exif_transpose(image)  # before the tag is gone
    exif.pop(_ORIENTATION, None)
    dpi = image.info.get("dpi")
    facts: dict[str, Any] = {
        "format": format_,
        "exif": exif.tobytes() if len(exif) else None,
        "dpi": (float(dpi[0]), float(dpi[1])) if dpi else None,
        "icc_profile": image.info.get("icc_profile"),
    }
    if deep:
        pixels, alpha = _decode_16_bit(data)
        if orientation != 1:
            pixels = _upright(pixels, orientation)
            alpha = None if alpha is None else _upright(alpha, orientation)
        return Photo(pixels, alpha=alpha, **facts)
    image = upright
    alpha_8 = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha_8 = np.asarray(image.getchannel("A"))
    grey = image.mode in ("1", "L", "LA") or (image.mode == "P" and _is_grey_palette(image))
    if facts["icc_profile"] and not grey:
        image = _to_srgb(image, facts["icc_profile"])
    return Photo(np.asarray(image.convert("L" if grey else "RGB")), alpha=alpha_8, **facts)


def _is_deep(image: Image.Image, data: bytes) -> bool:
    """Whether Pillow shows 8 bits of a file that has 16."""
    if image.format == "PNG":
        return bool(data[24] == 16)  # the bit depth in IHDR, the first chunk of any PNG
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(258, (8,))
        return bool(max(bits if isinstance(bits, tuple) else (bits,)) == 16)
    return False


def _decode_16_bit(data: bytes) -> tuple[Pixels, Pixels | None]:
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise ValueError("neither 8 nor 16 bits a channel")
    if decoded.ndim == 2:
        return decoded, None
    alpha = decoded[:, :, 3].copy() if decoded.shape[2] == 4 else None
    return np.ascontiguousarray(decoded[:, :, 2::-1]), alpha


def _encode_16_bit(photo: Photo, suffix: str) -> bytes:
    pixels = photo.pixels if photo.pixels.ndim == 2 else photo.pixels[:, :, ::-1]
    if photo.alpha is not None and pixels.ndim == 3:
        pixels = np.dstack((pixels, photo.alpha))
    done, encoded = cv2.imencode(suffix, np.ascontiguousarray(pixels))
    if not done:
        raise OSError("the encoder failed")
    return encoded.tobytes()


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Apply an EXIF orientation, 2 to 8."""
    if orientation >= 5:
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _to_srgb(image: Image.Image, icc_profile: bytes) -> Image.Image:
    alpha_free = image if image.mode in ("RGB", "CMYK") else image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
        converted = ImageCms.profileToProfile(
            alpha_free, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except ImageCms.PyCMSError:  # a profile that does not fit its picture tells nothing
        return alpha_free
    return converted or alpha_free


@cache
def _srgb_profile() -> bytes:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # The date in the header is the moment it was made; without it, equal pictures are equal files.
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    return bytes(profile)


def _is_grey_palette(image: Image.Image) -> bool:
    return _is_grey(np.asarray(image.convert("RGB")))


def _is_grey(pixels: Pixels) -> bool:
    return pixels.ndim == 2 or bool((pixels == pixels[:, :, :1]).all())


def _to_8_bit(pixels: Pixels) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return pixels.astype(np.uint8, copy=False)
