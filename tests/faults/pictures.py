"""Small pictures of every format that retint reads, and ways to damage them."""

from __future__ import annotations

import io
import zlib
from functools import cache

import cv2
import numpy as np
import tifffile
from hypothesis import strategies as st
from imagecodecs import jpeg2k_encode, png_encode
from PIL import Image, ImageCms, PngImagePlugin

from retint.photo import encode_photo, read_photo

_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    b'syntax-ns#"><rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    b'tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)
_IPTC = b"\x1c\x02\x05\x00\x05title"
_APP13 = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0a" + _IPTC
_NUMBERS = (0, 1, 2, 3, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


@cache
def pictures() -> dict[str, bytes]:
    """Whole pictures by name, with all that they can carry."""
    grey = Image.linear_gradient("L").resize((24, 16))
    colour = Image.merge("RGB", (grey, grey.transpose(Image.Transpose.ROTATE_180), grey))
    clear = colour.copy()
    clear.putalpha(grey)
    deep = np.asarray(colour).astype(np.uint16) * 257
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Leica"
    exif[0x8769] = {0x9003: "1938:01:02 03:04:05", 0xA002: 24, 0xA003: 16}
    exif[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0)}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    carried = {"exif": exif.tobytes(), "icc_profile": profile, "dpi": (300, 300)}
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "scanned", zip=True)
    texts.add_itxt("XML:com.adobe.xmp", _XMP.decode())
    found = {
        "grey.jpg": _saved(grey, "JPEG", comment=b"scanned", **carried),
        "colour.jpg": _saved(
            colour,
            "JPEG",
            progressive=True,
            xmp=_XMP,
            extra=b"\xff\xed" + (len(_APP13) + 2).to_bytes(2, "big") + _APP13,
            **carried,
        ),
        "inks.jpg": _saved(colour.convert("CMYK"), "JPEG"),
        "grey.png": _saved(grey, "PNG", pnginfo=texts, **carried),
        "clear.png": _saved(clear, "PNG"),
        "palette.png": _saved(colour.quantize(16), "PNG", transparency=3),
        "line.png": _saved(grey.convert("1"), "PNG"),
        "deep.png": png_encode(deep),
        "line.tif": _saved(grey.convert("1"), "TIFF", compression="group4"),
        "lossy.tif": _saved(colour, "TIFF", compression="jpeg"),
        "palette.tif": _saved(colour.quantize(16), "TIFF"),
        "inks.tif": _saved(colour.convert("CMYK"), "TIFF", compression="packbits"),
        "deep.tif": _tiff(deep, compression="deflate", predictor=True, photometric="rgb"),
        "tiles.tif": _tiff(np.asarray(colour), tile=(16, 16), bigtiff=True, photometric="rgb"),
        "pages.tif": _tiff(
            np.asarray(deep)[None, :, :, 0].repeat(3, 0), byteorder=">", photometric="minisblack"
        ),
        "clear.webp": _saved(clear, "WEBP", lossless=True, xmp=_XMP, **_without(carried, "dpi")),
        "colour.webp": _saved(colour, "WEBP"),
        "clear.avif": _saved(clear, "AVIF", xmp=_XMP, **_without(carried, "dpi")),
        "colour.jp2": _saved(colour, "JPEG2000"),
        "deep.jp2": jpeg2k_encode(deep, level=0, codecformat="jp2"),
        "deep.j2k": jpeg2k_encode(deep, level=0, codecformat="j2k"),
        "grey.bmp": _saved(grey, "BMP"),
        "palette.bmp": _saved(colour.quantize(16), "BMP"),
        "grey.pgm": _saved(grey, "PPM"),
        "colour.ppm": _saved(colour, "PPM"),
        "deep.ppm": cv2.imencode(".pnm", deep)[1].tobytes(),
        "plain.ppm": b"P3 3 2 255\n" + b"255 0 0  0 255 0  0 0 255\n" * 2,
    }
    found["grey.tif"] = encode_photo(read_photo(found["grey.jpg"]), "TIFF")
    try:
        import pillow_heif
    except ImportError:
        return found
    pillow_heif.register_heif_opener()
    return {**found, "colour.heic": _saved(colour, "HEIF", xmp=_XMP, **_without(carried, "dpi"))}


@st.composite
def damaged_pictures(draw: st.DrawFn) -> bytes:
    """One of `pictures` after a few changes: of bytes, of numbers, of length, of order."""
    names = sorted(pictures())
    data = bytearray(pictures()[draw(st.sampled_from(names))])
    for _ in range(draw(st.integers(1, 4))):
        place = draw(_place(len(data)))
        change = draw(st.sampled_from(("byte", "number", "cut", "drop", "twice", "graft")))
        if change == "byte":
            data[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
        elif change == "number":
            width = draw(st.sampled_from((1, 2, 4)))
            number = draw(st.sampled_from(_NUMBERS)) % (1 << 8 * width)
            order = draw(st.sampled_from(("big", "little")))
            data[place : place + width] = number.to_bytes(width, order)
        elif change == "cut":
            del data[max(place, 8) :]
        else:
            length = draw(st.integers(1, 64))
            if change == "drop":
                del data[place : place + length]
            elif change == "twice":
                data[place:place] = data[place : place + length]
            else:
                other = pictures()[draw(st.sampled_from(names))]
                start = draw(_place(len(other)))
                data[place:place] = other[start : start + length]
    return _with_right_sums(bytes(data)) if draw(st.booleans()) else bytes(data)


def _place(length: int) -> st.SearchStrategy[int]:
    """Of a byte; as often in the first 200, where headers are, as anywhere."""
    last = max(0, length - 1)
    return st.one_of(st.integers(0, min(last, 200)), st.integers(0, last))


def _with_right_sums(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what is in them, so that they are looked into."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    mended, at = bytearray(data), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        mended[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(mended[: len(data)])


def _saved(image: Image.Image, format_: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def _tiff(pixels: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def _without(options: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in options.items() if key != name}
