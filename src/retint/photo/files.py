"""Photographs as files, read and written without loss; whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from retint.errors import RetintError, first_line, lacks_memory, written
from retint.photo import pillow
from retint.photo.formats import FORMATS, enable_heif, format_of
from retint.photo.metadata import xmp_bytes
from retint.photo.picture import Photo, Pixels
from retint.photo.profiles import description
from retint.photo.provenance import read_provenance
from retint.whole import exists, partial_path, whole_file

QUALITY = 95
"""Of JPEG, WebP, AVIF and HEIF unless another is asked for."""

_MOST_PIXELS = 500_000_000  # beyond that, a file is more likely an attack than a scan
_MOST_OF_PAGES = 2_000_000_000  # pixels, together
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HEIF_KINDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
# Pillow's guard stays for the rest of the program, but not below what is taken here, and without
# its warning: what it warns of is refused here in a line. A program that allows more keeps that.
if Image.MAX_IMAGE_PIXELS is not None and Image.MAX_IMAGE_PIXELS < _MOST_PIXELS:
    Image.MAX_IMAGE_PIXELS = _MOST_PIXELS
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class _UnfitError(RetintError):
    """A format cannot hold a photograph."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}: choose another format, such as png or tiff")


def read_photo(source: Path | str | bytes) -> Photo:
    """Decode a photograph file, or its bytes.

    Raises:
        RetintError: if the file is missing, damaged, too large, or no photograph.
    """
    source = Path(source) if isinstance(source, str) else source
    with _named_errors(_name_of(source)), _opened(source) as stream:
        _check_sizes(_sizes(stream))
        stream.seek(0)
        if _is_tiff(stream):
            from retint.photo import tiff

            photo = tiff.decode(stream)
        else:
            photo = pillow.decode(stream)
        for page in (photo, *photo.pages):
            _check_pixels(page.pixels)
        if isinstance(source, bytes):
            return photo
        if not FORMATS[photo.format].metadata:
            photo = replace(photo, xmp=_read_sidecar(source))
        return replace(photo, modified=source.stat().st_mtime_ns)


def read_sizes(source: Path | str | bytes) -> list[tuple[int, int]]:
    """Width and height of every page of a photograph file or its bytes, without decoding.

    Raises:
        RetintError: if the file is missing or no photograph.
    """
    source = Path(source) if isinstance(source, str) else source
    with _named_errors(_name_of(source)), _opened(source) as stream:
        return _sizes(stream)


def write_photo(
    photo: Photo, path: Path, *, overwrite: bool = False, quality: int = QUALITY
) -> None:
    """Write a photograph, whole or not at all, in the format that the file's name says.

    The file gets the time at which the photograph was changed last, if that is known. What XMP a
    format cannot hold goes into a file beside it, whose name has .xmp added.

    Raises:
        RetintError: if the file exists and `overwrite` is not set, or cannot be written.
    """
    format_ = format_of(path)
    if exists(path) and not overwrite:
        raise RetintError(f"{path} exists: give overwrite=True to replace it, or another name")
    with written(path, _UnfitError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as beside:
            with beside.open("xb+") as stream, _written_short():
                _encode(photo, format_.name, stream, quality)
            if photo.modified is not None:
                os.utime(beside, ns=(photo.modified, photo.modified))
            if not format_.metadata:
                _write_sidecar(path, photo.xmp)


def sidecar_of(path: Path) -> Path:
    """Where the XMP of a file lies whose format cannot hold it, as darktable names it."""
    return path.with_name(f"{path.name}.xmp")


def encode_photo(photo: Photo, format_name: str | None = None, quality: int = QUALITY) -> bytes:
    """Bytes of a photograph file; in the photo's own format by default.

    16 bits are kept in PNG, TIFF and JPEG 2000 and become 8 in the other formats; of pages beyond
    the first, only TIFF keeps any.
    """
    stream, name = io.BytesIO(), format_name or photo.format
    try:
        _encode(photo, name, stream, quality)
    except OSError as error:  # of encoders: memory is no disk that could be full
        raise _UnfitError(f"{name} cannot hold it ({first_line(error)})") from error
    return stream.getvalue()


def losses(photo: Photo, path: Path) -> list[str]:
    """What a photograph has that a file of this name will not hold, in words."""
    format_ = format_of(path)
    texts = {"comment"} if format_.name == "JPEG" else set()
    parts = {
        "further pages": photo.pages and not format_.pages,
        "transparency": photo.alpha is not None and not format_.alpha,
        "16 bits": photo.pixels.dtype == np.uint16 and not format_.deep,
        "EXIF": photo.exif and not format_.metadata,
        "IPTC records": photo.iptc and format_.name not in ("JPEG", "TIFF"),
        "comments": photo.texts.keys() - texts and format_.name != "PNG",
        "resolution": photo.dpi and not format_.resolution,
    }
    return [name for name, is_lost in parts.items() if is_lost]


def with_pages_of(photo: Photo, format_name: str) -> Photo:
    """The photograph with those of its pages that a format can hold."""
    return photo if FORMATS[format_name].pages else replace(photo, pages=())


def describe_photo(path: Path) -> dict[str, str]:
    """What `retint info` says of a photograph.

    Raises:
        RetintError: if it cannot be read.
    """
    from retint.tone import kind_of  # late: it needs this package

    photo = read_photo(path)
    height, width = photo.pixels.shape[:2]
    facts = {
        "file": str(path),
        "format": photo.format,
        "size": f"{width} x {height}",
        "depth": f"{photo.pixels.dtype.itemsize * 8} bits",
        "colour": str(kind_of(photo.pixels)),
        "alpha": "yes" if photo.alpha is not None else "no",
    }
    if photo.pages:
        facts["pages"] = str(1 + len(photo.pages))
    if photo.dpi:
        facts["dpi"] = " x ".join(f"{value:g}" for value in photo.dpi)
    if photo.icc_profile:
        facts["icc profile"] = description(photo.icc_profile)
    of_pages = (read_provenance(page.xmp) for page in (photo, *photo.pages))
    for name, value in next(filter(None, of_pages), {}).items():
        facts[f"inferred: {name.replace('_', ' ')}"] = value
    carried = {"EXIF": photo.exif, "XMP": photo.xmp, "IPTC": photo.iptc}
    if any(carried.values()):
        facts["metadata"] = ", ".join(name for name, value in carried.items() if value)
    return facts


def _read_sidecar(path: Path) -> bytes | None:
    with suppress(OSError):
        return xmp_bytes(sidecar_of(path).read_bytes())
    return None


def _write_sidecar(path: Path, xmp: bytes | None) -> None:
    """Before the picture itself, so that there is none without it; another's is never replaced."""
    sidecar = sidecar_of(path)
    if sidecar.exists():
        found = sidecar.read_bytes()
        # Without provenance, retint's own is the photograph's: it has nothing to lose.
        if found != xmp and not read_provenance(found):
            raise RetintError(f"{sidecar} exists and is not of retint: move it away")
    if xmp is None:
        sidecar.unlink(missing_ok=True)
        return
    # Under a name of the picture's, so that what a killed process leaves goes with it.
    with whole_file(sidecar, beside=partial_path(path)) as beside:
        beside.write_bytes(xmp)


@contextmanager
def _written_short() -> Iterator[None]:
    """Say what NumPy, which gives no number, means by "9 requested and 1 written"."""
    try:
        yield
    except OSError as error:
        if error.strerror:
            raise
        raise OSError(error.errno, f"the disk may be full: {error}") from error


def _encode(photo: Photo, format_name: str, stream: IO[bytes], quality: int) -> None:
    longest, most = max(photo.pixels.shape[:2]), FORMATS[format_name].longest_side
    if most is not None and longest > most:
        raise _UnfitError(f"{longest} pixels on a side are more than {format_name} holds")
    try:
        if format_name == "TIFF":
            from retint.photo import tiff

            tiff.encode(photo, stream)
            return
        if format_name == "HEIF":
            enable_heif()
        pillow.encode(photo, format_name, stream, quality)
    except (RetintError, OSError, MemoryError):
        raise
    except Exception as error:  # each encoder has errors of its own
        if lacks_memory(error):
            raise MemoryError from error
        raise _UnfitError(f"{format_name} cannot hold it ({first_line(error)})") from error


@contextmanager
def _opened(source: Path | bytes) -> Iterator[IO[bytes]]:
    """The file, or the bytes, if they may be a photograph at all."""
    if isinstance(source, Path) and source.is_dir():
        raise RetintError("it is a folder where a photograph is wanted")
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
        start = stream.read(12)
        if not start:
            raise RetintError("it is empty: copy it again from its source")
        if start.startswith(b"%PDF"):
            raise RetintError("it is a PDF: save its pages as TIFF or PNG first")
        if start[4:8] == b"ftyp" and start[8:12] in _HEIF_KINDS:
            enable_heif()
        stream.seek(0)
        yield stream


def _name_of(source: Path | bytes) -> str:
    return "the picture" if isinstance(source, bytes) else str(source)


def _is_tiff(stream: IO[bytes]) -> bool:
    start = stream.read(4)
    stream.seek(0)
    return start in _TIFF_STARTS


def _sizes(stream: IO[bytes]) -> list[tuple[int, int]]:
    """Width and height of every page, without decoding."""
    if _is_tiff(stream):
        from retint.photo import tiff

        return tiff.sizes(stream)
    with Image.open(stream) as image:
        return [image.size]


def _check_sizes(sizes: Sequence[tuple[int, int]]) -> None:
    for width, height in sizes:
        if width * height > _MOST_PIXELS:
            raise RetintError(
                f"it has {width} x {height} pixels, more than retint takes: scale it down or cut "
                "it up"
            )
    if sum(width * height for width, height in sizes) > _MOST_OF_PAGES:
        raise RetintError(f"its {len(sizes)} pages are more than retint takes: cut it up")


def _check_pixels(pixels: Pixels) -> None:
    """See that what a decoder made of a damaged file is a picture at all."""
    shape_fits = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    if not shape_fits or not pixels.size or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"{pixels.dtype} pixels {pixels.shape}")


@contextmanager
def _named_errors(name: str) -> Iterator[None]:
    """Turn what decoders raise into one line that names the file."""
    try:
        yield
    except RetintError as error:
        raise RetintError(f"{name}: {error}") from error
    except UnidentifiedImageError as error:
        raise RetintError(
            f"{name} is not a picture that retint can read: save it as PNG, TIFF or JPEG"
        ) from error
    except Image.DecompressionBombError as error:
        line = "has more pixels than retint takes: scale it down or cut it up"
        raise RetintError(f"{name} {line}") from error
    except FileNotFoundError as error:
        raise RetintError(f"{name} does not exist") from error
    except Exception as error:  # each decoder has errors of its own
        if lacks_memory(error):
            raise MemoryError from error
        # Of the disk, but for "invalid argument": damaged files name places that there are not.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise RetintError(f"{name} cannot be read: {error.strerror}") from error
        line = first_line(error)
        raise RetintError(
            f"{name} cannot be read ({line}): it may be damaged, copy it again from its source"
        ) from error
