"""TIFF by tifffile: 1 to 16 bits, tiles, all common compressions, every page, BigTIFF."""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import IO, Any, cast

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffPage, TiffWriter

from retint.errors import RetintError
from retint.photo.metadata import (
    BELOW,
    INCH,
    ORIENTATION,
    RESOLUTION,
    directories,
    dpi_of,
    exif_bytes,
    orientation_of,
    resolution_tags,
    turned_dpi,
    xmp_bytes,
)
from retint.photo.picture import Photo, Pixels, scaled_to_16_bit, upright
from retint.photo.profiles import from_srgb, to_srgb

_XMP, _IPTC, _ICC = 700, 33723, 34675
_KEPT_COMPRESSIONS = ("NONE", "LZW", "ADOBE_DEFLATE", "PACKBITS", "ZSTD")
_SAME = {"DEFLATE": "ADOBE_DEFLATE"}  # an old number of the same
_PREDICTED = ("LZW", "ADOBE_DEFLATE", "ZSTD")
_CENTIMETRE = 3  # as a unit of resolution
_REDUCED, _MASK = 1, 4  # kinds of pages that are no pictures of their own
_BEGINNINGS = {  # of files, by tifffile's byte order and whether they are BigTIFF
    ("<", False): b"II*\0\0\0\0\0",
    ("<", True): b"II+\0\x08\0\0\0" + b"\0" * 8,
    (">", False): b"MM\0*\0\0\0\0",
    (">", True): b"MM\0+\0\x08\0\0" + b"\0" * 8,
}
_MOST_SHORT = 65_535
_BESIDE = 1  # from the tags of the EXIF and GPS directories to unused ones
_CLASSIC_LIMIT = 3_900_000_000  # bytes; larger files are BigTIFF
_MOST_PAGES = 10_000
_MOST_CHANNELS = 8
_JPEG = b"\xff\xd8"  # that files begin with
# Numbers of compressions: of those that unpack to no more than their share of a page (none, CCITT,
# LZW, deflate, PackBits, LZMA, Zstandard), and of those that pack pictures with sizes of their own
# (JPEG, JPEG 2000, WebP, PNG).
_PLAIN = {1, 2, 3, 4, 5, 8, 32771, 32773, 32946, 34925, 34926, 50000}
_JPEGS = (6, 7, 33007, 34892)  # as RGB; other YCbCr tifffile gives as it is
_PICTURES = {6, 7, 33003, 33004, 33005, 33007, 34712, 34892, 34927, 34933, 50001}
logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what matters is raised


def decode(stream: IO[bytes]) -> Photo:
    """Decode every page; the first carries the others."""
    with TiffFile(stream) as file:
        photos = [_read_page(page, stream) for page in list(_pages(file))]
    if not photos:
        raise ValueError("no picture in it")
    return replace(photos[0], pages=tuple(photos[1:]))


def encode(photo: Photo, stream: IO[bytes]) -> None:
    """Write a photograph and its pages; the stream has to be readable, too."""
    pages = [photo, *photo.pages]
    big = sum(page.pixels.nbytes * 4 // 3 for page in pages) > _CLASSIC_LIMIT
    with TiffWriter(stream, bigtiff=big, byteorder="<") as file:
        for page in pages:
            _write_page(file, page, big=big)
    if any(map(_below, pages)):
        _append_exif(stream, pages, big=big)


def sizes(stream: IO[bytes]) -> list[tuple[int, int]]:
    """Width and height of every page."""
    with TiffFile(stream) as file:
        found = [(page.imagewidth, page.imagelength) for page in _pages(file)]
    if not all(isinstance(side, int) for size in found for side in size):
        raise ValueError("its width or height is no number")
    return found


def _pages(file: TiffFile) -> Iterator[TiffPage]:
    """Pages that are pictures of their own, and none twice: in damaged files they go round."""
    seen: set[int] = set()
    for page in file.pages:
        if page.offset in seen:
            raise ValueError("its pages go round")
        seen.add(page.offset)
        if len(seen) > _MOST_PAGES:
            raise RetintError(f"it has more than {_MOST_PAGES} pages: cut it up")
        if isinstance(page, TiffPage) and not int(page.subfiletype) & (_REDUCED | _MASK):
            yield page


def _read_page(page: TiffPage, stream: IO[bytes]) -> Photo:
    main = {tag.code: _as_read(tag.value) for tag in page.tags if tag.code not in RESOLUTION}
    below, damaged = _below_main(page, stream)
    orientation = orientation_of(main.get(ORIENTATION))
    dpi = _dpi(page)
    if dpi:
        main |= resolution_tags(dpi)
    icc_profile = _bytes_of(page, _ICC)
    compression = COMPRESSION(page.compression).name
    pixels, alpha = _pixels(page)
    if icc_profile:
        pixels = to_srgb(pixels, icc_profile)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = _without_black(pixels)
    exif, left_out = exif_bytes(main, below, orientation)
    return Photo(
        upright(pixels, orientation),
        "TIFF",
        None if alpha is None else upright(alpha, orientation),
        exif=exif,
        exif_damaged=damaged or left_out,
        xmp=xmp_bytes(_bytes_of(page, _XMP)),
        iptc=_bytes_of(page, _IPTC),
        icc_profile=icc_profile,
        dpi=turned_dpi(dpi, orientation),
        compression=_SAME.get(compression, compression),
    )


def _pixels(page: TiffPage) -> tuple[Pixels, Pixels | None]:
    """Grey, RGB or CMYK of 8 or 16 bits, and alpha."""
    kind = PHOTOMETRIC(page.photometric).name
    if page.dtype is not None and page.dtype.kind == "f":
        raise RetintError("floating-point pixels are not supported: save it with 16 bits a channel")
    if kind not in ("MINISBLACK", "MINISWHITE", "RGB", "PALETTE", "YCBCR", "SEPARATED"):
        raise RetintError(f"{kind} pixels are not supported: save it as RGB or grey")
    if kind == "YCBCR" and page.compression not in _JPEGS:
        raise RetintError("YCbCr pixels are not supported without JPEG: save it as RGB")
    if page.dtype not in (np.bool_, np.uint8, np.uint16):
        raise RetintError(f"{page.dtype} pixels are not supported: save it with 16 bits")
    if page.samplesperpixel > _MOST_CHANNELS or page.imagedepth != 1:
        raise ValueError(f"{page.samplesperpixel} channels, {page.imagedepth} deep")
    _check_parts(page)
    pixels = np.asarray(page.asarray())
    if page.planarconfig == 2 and page.samplesperpixel > 1:
        pixels = np.moveaxis(pixels, 0, -1)
    if kind == "PALETTE":
        colors = np.asarray(page.colormap)
        if colors.max() > 255:  # of some programs, it has 8 bits and not 16
            colors = colors >> 8
        colors = colors.astype(np.uint8)
        return colors[:, pixels.astype(np.intp)].transpose(1, 2, 0), None  # of 1 bit, it is bool
    depth = page.bitspersample
    if depth < 8:
        pixels = (pixels.astype(np.uint16) * 255 // ((1 << depth) - 1)).astype(np.uint8)
    elif 8 < depth < 16:
        pixels = scaled_to_16_bit(pixels, depth)
    channels = {"RGB": 3, "YCBCR": 3, "SEPARATED": 4}.get(kind, 1)
    alpha = None
    if pixels.ndim == 3:
        if pixels.shape[2] > channels and page.extrasamples[:1] and page.extrasamples[0] in (1, 2):
            alpha = pixels[:, :, channels].copy()
        pixels = pixels[:, :, 0] if channels == 1 else pixels[:, :, :channels]
        if alpha is not None and page.extrasamples[0] == 1:
            pixels = _unassociated(pixels, alpha)
    if kind == "MINISWHITE":
        pixels = np.iinfo(pixels.dtype).max - pixels
    return np.ascontiguousarray(pixels), alpha


def _check_parts(page: TiffPage) -> None:
    """See that no strip or tile unpacks to more than its share of the page."""
    if page.compression in _PLAIN:
        return
    if page.compression not in _PICTURES:
        name = COMPRESSION(page.compression).name
        raise RetintError(f"{name} compression is not supported: save it with LZW")
    height, width = page.chunks[:2]
    begin = page.jpegheader or b""  # what old JPEG in TIFF keeps apart from its scans
    file = page.parent.filehandle
    for segment in file.read_segments(page.dataoffsets, page.databytecounts):
        part = cast(tuple[bytes | None, int], segment)[0]
        if part is None:
            continue
        with Image.open(io.BytesIO(part if part.startswith(_JPEG) else begin + part)) as picture:
            if picture.width > width or picture.height > height:
                raise ValueError(f"a part of it has {picture.width} x {picture.height} pixels")


def _unassociated(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Pixels that had been multiplied by alpha."""
    most = np.iinfo(pixels.dtype).max
    share = np.maximum(alpha, 1).astype(np.float32) / most
    whole = pixels / (share if pixels.ndim == 2 else share[:, :, None])
    return np.minimum(whole + 0.5, most).astype(pixels.dtype)


def _without_black(inks: Pixels) -> Pixels:
    """RGB of CMYK that came with no profile: what each ink leaves of white."""
    most = np.iinfo(inks.dtype).max
    light = (most - inks).astype(np.uint32)
    return (light[:, :, :3] * light[:, :, 3:] // most).astype(inks.dtype)


def _below_main(page: TiffPage, stream: IO[bytes]) -> tuple[dict[int, dict[int, Any]], bool]:
    """The EXIF and GPS directories; whether there are some that cannot be read."""
    try:
        return {tag: _directory(page, tag, stream) for tag in BELOW if tag in page.tags}, False
    except MemoryError:
        raise
    except Exception:  # Pillow raises many kinds
        return {}, True


def _directory(page: TiffPage, tag: int, stream: IO[bytes]) -> dict[int, Any]:
    """The EXIF or GPS directory, whose tags tifffile gives names but not numbers."""
    file = page.parent
    directory = ImageFileDirectory_v2(_BEGINNINGS[file.byteorder, file.is_bigtiff], group=tag)
    stream.seek(page.tags[tag].valueoffset)
    directory.load(stream)
    return dict(directory)


def _as_read(value: Any) -> Any:
    """Text with a character for each byte, as Pillow reads it; tifffile decodes it."""
    return value.encode().decode("latin-1") if isinstance(value, str) else value


def _bytes_of(page: TiffPage, tag: int) -> bytes | None:
    found = page.tags.get(tag)
    if found is None:
        return None
    value = found.value
    if isinstance(value, tuple):  # IPTC written as a row of 32-bit numbers, as some programs do
        return np.array(value).astype(found.dataformat or "<u4").tobytes()
    return value if isinstance(value, bytes) else str(value).encode()


def _dpi(page: TiffPage) -> tuple[float, float] | None:
    horizontal_tag, vertical_tag, unit_tag = RESOLUTION
    if horizontal_tag not in page.tags or vertical_tag not in page.tags:
        return None
    unit = page.tags[unit_tag].value if unit_tag in page.tags else INCH
    factor = {INCH: 1.0, _CENTIMETRE: 2.54}.get(unit)
    values = [page.tags[tag].value for tag in (horizontal_tag, vertical_tag)]
    if factor is None or not all(isinstance(value, tuple) and len(value) == 2 for value in values):
        return None
    horizontal, vertical = (
        round(numerator / max(1, denominator) * factor, 2) for numerator, denominator in values
    )
    return dpi_of(horizontal, vertical)


def _write_page(file: TiffWriter, page: Photo, *, big: bool) -> None:
    pixels, icc_profile = page.pixels, None
    if pixels.ndim == 3:
        pixels, icc_profile = from_srgb(pixels, page.icc_profile)
    if page.alpha is not None:
        pixels = np.dstack((pixels, page.alpha))
    compression = page.compression if page.compression in _KEPT_COMPRESSIONS else "LZW"
    main, below = directories(page.exif) if page.exif else ({}, {})
    extra: list[Any] = [(_XMP, "B", len(page.xmp), page.xmp, True)] if page.xmp else []
    if page.iptc:
        extra.append((_IPTC, "B", len(page.iptc), page.iptc, True))
    extra += _extra_tags(main)
    # Where the directories will lie is not known yet, and their own tags tifffile refuses.
    extra += [(tag + _BESIDE, "Q" if big else "I", 1, 0, True) for tag in below]
    file.write(
        pixels,
        photometric="rgb" if page.pixels.ndim == 3 else "minisblack",
        planarconfig="contig" if pixels.ndim == 3 else None,
        extrasamples=None if page.alpha is None else ["unassalpha"],
        compression=None if compression == "NONE" else compression,
        predictor=compression in _PREDICTED,
        iccprofile=icc_profile,
        resolution=page.dpi,
        resolutionunit=INCH if page.dpi else None,
        software=False,
        metadata=None,
        extratags=extra,
    )


def _extra_tags(main: Mapping[int, Any]) -> Iterator[tuple[int, str, int, Any, bool]]:
    """Tags of the main directory, as tifffile takes them; resolutions it writes by itself."""
    for tag, value in main.items():
        if isinstance(value, str):
            yield tag, "s", 0, value.encode("latin-1"), True
        elif isinstance(value, bytes):
            yield tag, "B", len(value), value, True
        elif isinstance(value, int) and 0 <= value <= _MOST_SHORT and tag not in RESOLUTION:
            yield tag, "H", 1, value, True


def _append_exif(stream: IO[bytes], pages: Sequence[Photo], *, big: bool) -> None:
    """Write the EXIF and GPS directories behind the pages, which tifffile cannot, and link them."""
    stream.seek(0)
    with TiffFile(stream, mode="r+") as file:
        links = [page.tags for page in file.pages]  # type: ignore[union-attr]
    for page, tags in zip(pages, links, strict=True):
        for tag, values in _below(page).items():
            directory = ImageFileDirectory_v2(_BEGINNINGS["<", big], group=tag)
            for key, value in values.items():
                directory[key] = value
            place = stream.seek(0, 2)
            place += stream.write(b"\0" * (place % 2))  # directories begin at even places
            stream.write(directory.tobytes(place))
            link = tags[tag + _BESIDE]
            stream.seek(link.offset)
            stream.write(struct.pack("<H", tag))
            stream.seek(link.valueoffset)
            stream.write(struct.pack("<Q" if big else "<I", place))


def _below(page: Photo) -> dict[int, dict[int, Any]]:
    return directories(page.exif)[1] if page.exif else {}
