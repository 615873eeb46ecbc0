"""All formats but TIFF, by Pillow; their 16 bits, which it cannot hold, by others."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import IO, Any, cast

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo, putchunk

from retint.errors import RetintError
from retint.photo.formats import FORMATS
from retint.photo.metadata import (
    BELOW,
    INCH,
    ORIENTATION,
    RESOLUTION,
    dpi_of,
    exif_bytes,
    iptc_of_jpeg,
    iptc_segment,
    orientation_of,
    turned_dpi,
    with_resolution,
    xmp_bytes,
)
from retint.photo.picture import Photo, Pixels, is_grey, scaled_to_16_bit, to_8_bit, upright
from retint.photo.profiles import color_space, from_srgb, to_srgb

_PNG_HEADER = 33  # bytes of the signature and IHDR
_PNG_XMP = "XML:com.adobe.xmp"
_PNG_METADATA = (_PNG_XMP, "Raw profile type exif")  # texts that are kept as what they hold
_METRE = 39.37  # inches
_CODESTREAM = b"\xff\x4f\xff\x51"  # of JPEG 2000, 42 bytes before the depth


def decode(stream: IO[bytes]) -> Photo:
    """Decode a file that Pillow knows."""
    with Image.open(stream) as image:
        format_ = "JPEG" if image.format == "MPO" else (image.format or "")
        if format_ not in FORMATS:
            raise RetintError(f"{format_ or 'such'} pictures are not supported: save it as PNG")
        if format_ != "JPEG" and getattr(image, "is_animated", False):
            raise RetintError("an animation is no photograph: save its pictures one by one")
        depth = _depth(image, stream)
        image.load()
        main, below, damaged = _directories(image)
        # Of HEIF it is applied.
        orientation = 1 if format_ == "HEIF" else orientation_of(main.get(ORIENTATION))
        icc_profile = image.info.get("icc_profile")
        pixels, alpha = _pixels(image, stream, icc_profile, depth)
        exif, left_out = exif_bytes(main, below, orientation)
        return Photo(
            upright(pixels, orientation),
            format_,
            None if alpha is None else upright(alpha, orientation),
            exif=exif,
            exif_damaged=damaged or left_out,
            xmp=xmp_bytes(image.info.get("xmp") or image.info.get(_PNG_XMP)),
            iptc=iptc_of_jpeg(image),
            icc_profile=icc_profile,
            dpi=turned_dpi(_dpi(image, main), orientation),
            texts=_texts(image),
        )


def encode(photo: Photo, format_name: str, stream: IO[bytes], quality: int) -> None:
    """Encode a photograph in the format of that name."""
    format_ = FORMATS[format_name]
    pixels, icc_profile = photo.pixels, None
    if pixels.ndim == 3 and format_.metadata:
        pixels, icc_profile = from_srgb(pixels, photo.icc_profile)
    alpha = photo.alpha if format_.alpha else None
    if pixels.dtype == np.uint16 and format_.deep:
        whole = pixels if alpha is None else np.dstack((pixels, alpha))
        if format_name == "PNG":
            stream.write(_deep_png(whole, photo, icc_profile))
        elif format_name == "PPM":
            reversed_ = whole[:, :, ::-1] if whole.ndim == 3 else whole  # OpenCV begins with blue
            stream.write(cv2.imencode(".pnm", reversed_)[1].tobytes())
        else:
            from imagecodecs import jpeg2k_encode

            stream.write(jpeg2k_encode(whole, level=0, codecformat="jp2"))
        return
    image = Image.fromarray(to_8_bit(pixels))
    if alpha is not None:
        image.putalpha(Image.fromarray(to_8_bit(alpha)))
    options: dict[str, Any] = dict(format_.options)
    if format_.quality:
        options["quality"] = quality
    exif = photo.exif
    if photo.dpi and format_name in ("WEBP", "AVIF", "HEIF"):
        exif = with_resolution(exif, photo.dpi)
    if format_.metadata:
        found = {"exif": exif, "xmp": photo.xmp, "icc_profile": icc_profile}
        options |= {key: value for key, value in found.items() if value}
    if format_.resolution and photo.dpi:
        options["dpi"] = photo.dpi
    if format_name == "JPEG":
        options["extra"] = iptc_segment(photo.iptc) if photo.iptc else b""
        options["comment"] = photo.texts.get("comment", "").encode()
    if format_name == "PNG":
        options.pop("xmp", None)
        options["pnginfo"] = _png_texts(photo)
    encoded = io.BytesIO()  # on a full disk, Pillow does not notice that the end is missing
    image.save(encoded, format_name, **options)
    stream.write(encoded.getbuffer())


def _pixels(
    image: Image.Image, stream: IO[bytes], icc_profile: bytes | None, depth: int
) -> tuple[Pixels, Pixels | None]:
    """Pixels in sRGB, and alpha."""
    if depth > 8:
        pixels, alpha = _deep_pixels(cast(str, image.format), stream, depth)
    elif image.mode.startswith(("I", "F")):
        raise RetintError("its channels have neither 8 nor 16 bits: save it as PNG with 16")
    else:
        alpha = None
        if image.has_transparency_data:
            image = image.convert("RGBA")
            alpha = np.asarray(image.getchannel("A"))
        if image.mode == "CMYK" and icc_profile:
            pixels = np.asarray(image)
        else:
            pixels = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    spread = image.mode in ("P", "RGBA")  # over three channels, though it may be grey
    if spread and icc_profile and color_space(icc_profile) == "gray":
        pixels = _narrowed(pixels)
    if icc_profile:
        pixels = to_srgb(pixels, icc_profile)
    if spread:
        pixels = _narrowed(pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 4:  # of a press, with a profile that does not fit
        pixels = np.asarray(image.convert("RGB"))
    return pixels, alpha


def _narrowed(pixels: Pixels) -> Pixels:
    """One channel of three that are equal."""
    return pixels[:, :, 0] if pixels.ndim == 3 and is_grey(pixels) else pixels


def _depth(image: Image.Image, stream: IO[bytes]) -> int:
    """Bits a channel; Pillow shows 8 of some files that have 16."""
    stream.seek(0)
    if image.format == "PNG":
        return stream.read(25)[24]  # in IHDR, the first chunk of any PNG
    if image.format == "JPEG2000":
        data = stream.read()  # boxes of any length may precede it
        start = data.find(_CODESTREAM)
        return (data[start + 42] & 0x7F) + 1 if start >= 0 else 8
    if image.format == "PPM":
        most = cast(Any, image).tile[0].args[-1]
        if image.mode == "RGB" and isinstance(most, int) and most & (most + 1) == 0:
            return most.bit_length()
        return 16 if image.mode.startswith("I") else 8
    return 8


def _deep_pixels(format_name: str, stream: IO[bytes], depth: int) -> tuple[Pixels, Pixels | None]:
    """16 bits a channel, whatever the file has, and alpha."""
    stream.seek(0)
    if format_name == "PPM":
        with Image.open(stream) as image:
            if image.mode != "RGB":
                return np.asarray(image).astype(np.uint16), None
        stream.seek(0)
        data = np.frombuffer(stream.read(), np.uint8)
        pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))[:, :, ::-1]
    else:
        import imagecodecs  # late: 8 bits need not wait for it

        read = imagecodecs.png_decode if format_name == "PNG" else imagecodecs.jpeg2k_decode
        pixels = np.asarray(read(stream.read()))
    if pixels.dtype != np.uint16 or depth > 16:
        raise ValueError("neither 8 nor 16 bits a channel")
    if depth < 16:
        pixels = scaled_to_16_bit(pixels, depth)
    alpha = None
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        alpha = pixels[:, :, -1].copy()
        pixels = pixels[:, :, :-1]
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    return np.ascontiguousarray(pixels), alpha


def _directories(
    image: Image.Image,
) -> tuple[Mapping[int, Any], Mapping[int, Mapping[int, Any]], bool]:
    """EXIF: the main directory, and those below it; whether there is some that cannot be read."""
    main: Mapping[int, Any] = {}
    try:
        exif = image.getexif()
        main = dict(exif)
        return main, {tag: exif.get_ifd(tag) for tag in BELOW}, False
    except MemoryError:
        raise
    except Exception:  # Pillow raises many kinds
        return main, {}, True


def _dpi(image: Image.Image, exif: Mapping[int, Any]) -> tuple[float, float] | None:
    dpi = image.info.get("dpi")
    horizontal, vertical, unit = RESOLUTION
    if dpi is None and exif.get(unit) == INCH:  # of WebP, AVIF and HEIF
        dpi = exif.get(horizontal, 0), exif.get(vertical, 0)
    # PNG knows whole pixels a metre: 300 dpi come back as 299.9994.
    try:
        return dpi_of(round(float(dpi[0]), 1), round(float(dpi[1]), 1)) if dpi else None
    except (TypeError, ValueError):  # it is no number
        return None


def _texts(image: Image.Image) -> dict[str, str]:
    if image.format == "JPEG":
        comment = image.info.get("comment", b"")
        return {"comment": _decoded(comment)} if comment else {}
    if image.format == "PNG":
        texts = cast(Any, image).text
        return {key: str(value) for key, value in texts.items() if key not in _PNG_METADATA}
    return {}


def _decoded(text: bytes) -> str:
    """Of programs that say no encoding."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _png_texts(photo: Photo) -> PngInfo:
    info = PngInfo()
    for keyword, text in photo.texts.items():
        info.add_itxt(keyword, text)
    if photo.xmp:
        info.add_itxt(_PNG_XMP, photo.xmp.decode("utf-8", "replace"))
    return info


def _deep_png(pixels: Pixels, photo: Photo, icc_profile: bytes | None) -> bytes:
    """16 bits with the chunks that Pillow writes for 8."""
    import imagecodecs

    encoded = imagecodecs.png_encode(pixels)
    chunks = io.BytesIO()
    if icc_profile:
        compressed = cast(bytes, imagecodecs.zlib_encode(icc_profile))
        putchunk(chunks, b"iCCP", b"ICC Profile\0\0", compressed)
    if photo.dpi:
        per_metre = (round(value * _METRE) for value in photo.dpi)
        putchunk(chunks, b"pHYs", struct.pack(">IIB", *per_metre, 1))
    if photo.exif:
        putchunk(chunks, b"eXIf", photo.exif.removeprefix(b"Exif\0\0"))
    for kind, data, *_ in _png_texts(photo).chunks:
        putchunk(chunks, kind, data)
    return bytes(encoded[:_PNG_HEADER] + chunks.getvalue() + encoded[_PNG_HEADER:])
