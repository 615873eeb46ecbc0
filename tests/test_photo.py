"""Files as archives have them: every format comes back as it was, with all that it carries."""

import io
import os
import struct
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tifffile
from imagecodecs import cms_profile, jpeg8_encode
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from commands import retint_here
from retint.errors import RetintError
from retint.photo import encode_photo, losses, read_photo, write_photo
from retint.photo.provenance import Provenance, read_provenance, stamped

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    b'syntax-ns#"><rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    b'tiff:Orientation="6" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="print"/>'
    b"</rdf:RDF></x:xmpmeta>"
)
_SCAN = (
    b'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    b'Iptc4xmpExt:DigitalSourceType="negative"'
)
IPTC = b"\x1c\x02\x05\x00\x05title"


@pytest.fixture
def colour(colour_photo):
    return colour_photo[:96, :144]


@pytest.fixture
def deep(colour):
    return np.random.default_rng(0).integers(0, 65536, colour.shape).astype(np.uint16)


@pytest.fixture
def grey(colour_photo):
    return Image.fromarray(colour_photo[:200, :300]).convert("L")


def by_pillow(pixels, format_, mode="RGB", **options):
    stream = io.BytesIO()
    image = Image.fromarray(pixels).convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(stream, format_, **options)
    return stream.getvalue()


def by_tifffile(pixels, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def exif_with_orientation(orientation):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Leica"
    exif[0x8769] = {0x9003: "1938:01:02 03:04:05", 0xA002: 144, 0xA003: 96}
    return exif


@pytest.mark.parametrize(
    ("format_", "mode", "options"),
    [
        ("JPEG", "L", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "CMYK", {}),
        ("PNG", "1", {}),
        ("PNG", "P", {}),
        ("PNG", "LA", {}),
        ("PNG", "RGBA", {}),
        ("TIFF", "P", {}),
        ("TIFF", "1", {"compression": "group4"}),
        ("TIFF", "CMYK", {}),
        ("WEBP", "RGBA", {}),
        ("AVIF", "RGB", {}),
        ("HEIF", "RGB", {}),
        ("JPEG2000", "RGB", {}),
        ("BMP", "L", {}),
        ("PPM", "L", {}),
    ],
)
def test_a_format_is_read_and_written_back(colour, format_, mode, options):
    if format_ == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    data = by_pillow(colour, format_, mode, **options)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("L")).astype(float)
    photo = read_photo(data)
    again = read_photo(encode_photo(photo))
    assert photo.format == again.format == format_
    assert (photo.alpha is not None) == mode.endswith("A")
    for pixels in (photo.pixels, again.pixels):
        luma = np.asarray(Image.fromarray(pixels).convert("L"))
        assert np.abs(luma - expected).mean() < 2


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "lzw", "predictor": True},
        {"compression": "deflate"},
        {"tile": (32, 48)},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"planarconfig": "separate"},
    ],
    ids=str,
)
@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_however_it_is_laid_out(deep, options, bits):
    pixels = deep if bits == 16 else (deep >> 8).astype(np.uint8)
    stored = np.moveaxis(pixels, -1, 0) if "planarconfig" in options else pixels
    data = by_tifffile(stored.copy(), photometric="rgb", resolution=(600, 600), **options)
    photo = read_photo(data)
    again = read_photo(encode_photo(photo))
    assert (photo.pixels == pixels).all()
    assert (again.pixels == pixels).all()
    assert again.dpi == (600, 600)
    assert again.pixels.dtype == pixels.dtype


def test_every_page_of_a_tiff(colour, tmp_path):
    pages = [colour, 255 - colour, colour[::-1, :50].copy()]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in pages:
            file.write(page, photometric="rgb")
        file.write(colour[::4, ::4].copy(), photometric="rgb", subfiletype=1)  # a thumbnail
    write_photo(read_photo(tmp_path / "a.tif"), tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        written = [page.asarray() for page in file.pages]
    assert [page.tolist() for page in written] == [page.tolist() for page in pages]


def test_white_is_zero_and_twelve_bits(colour):
    lightness = colour[:, :, 1].copy()
    inverted = by_tifffile(255 - lightness, photometric="miniswhite")
    assert (read_photo(inverted).pixels == lightness).all()
    twelve = (lightness.astype(np.uint16) << 4) | 15
    photo = read_photo(by_tifffile(twelve, photometric="minisblack", bitspersample=12))
    assert photo.pixels.dtype == np.uint16
    assert np.abs(photo.pixels / 65535 - twelve / 4095).max() < 1e-4


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "HEIF"])
@pytest.mark.parametrize("bits", [8, 16])
def test_what_a_file_carries_survives_and_is_upright(colour, format_, bits):
    if format_ == "HEIF":
        pytest.importorskip("pillow_heif")
    exif = exif_with_orientation(6)
    exif[0x011A], exif[0x011B], exif[0x0128] = 300, 150, 2
    source = by_pillow(colour, "JPEG", exif=exif, xmp=XMP, dpi=(300, 150))
    photo = read_photo(source)
    photo = replace(photo, iptc=IPTC)
    if bits == 16:
        photo = replace(photo, pixels=photo.pixels.astype(np.uint16) * 257)
    written = encode_photo(photo, format_)
    again = read_photo(written)
    assert again.pixels.shape == (144, 96, 3)
    kept = Image.Exif()
    kept.load(again.exif)
    assert kept[0x010F] == "Leica"
    assert 0x0112 not in kept
    directory = kept.get_ifd(0x8769)
    assert directory[0x9003] == "1938:01:02 03:04:05"
    assert (directory[0xA002], directory[0xA003]) == (96, 144)
    assert again.dpi == (150, 300)
    assert b'dc:format="print"' in again.xmp
    assert b"Orientation" not in again.xmp
    if format_ in ("JPEG", "TIFF"):
        assert again.iptc == IPTC
    assert again.pixels.dtype.itemsize * 8 == (bits if format_ in ("PNG", "TIFF") else 8)
    with Image.open(io.BytesIO(written)) as image:  # another reader sees the same
        assert image.size == (96, 144)
        assert image.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_exif_that_is_not_ascii_survives(colour, format_):
    exif = exif_with_orientation(1)
    exif[0x013B] = "J__rgen"
    exif[0x8769] |= {0xA430: "J__rgen"}
    exif[0x8825] = {0x12: "J__rgen"}
    name = "Jürgen".encode()
    data = exif.tobytes().replace(b"J__rgen", name)  # Pillow itself would write question marks
    written = encode_photo(read_photo(by_pillow(colour, "JPEG", exif=data)), format_)
    again = encode_photo(read_photo(written), "JPEG")
    assert written.count(name) == again.count(name) == 3


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF"])
def test_all_that_exif_tells_survives(colour, format_):
    exif = exif_with_orientation(1)
    exif[0x010E], exif[0x0131] = "A bridge", "scanner"
    exif[0x0132] = "1938"  # not as the standard wants it
    exif[0x4746], exif[0x4749], exif[0x9C9C] = 4, 75, "Brücke".encode("utf-16-le")
    data = by_pillow(colour, "JPEG", exif=exif)
    kept = Image.Exif()
    kept.load(read_photo(encode_photo(read_photo(data), format_)).exif)
    assert {tag: kept.get(tag) for tag in exif if tag not in (0x0112, 0x8769)} == {
        tag: value for tag, value in exif.items() if tag not in (0x0112, 0x8769)
    }


def test_exif_of_a_bigtiff(colour, monkeypatch):
    exif = exif_with_orientation(1)
    exif[0x8825] = {1: "N"}
    photo = read_photo(by_pillow(colour, "JPEG", exif=exif))
    monkeypatch.setattr("retint.photo.tiff._CLASSIC_LIMIT", 0)
    written = encode_photo(photo, "TIFF")
    assert written.startswith(b"II+")
    kept = Image.Exif()
    kept.load(read_photo(written).exif)
    assert kept.get_ifd(0x8769)[0x9003] == "1938:01:02 03:04:05"
    assert kept.get_ifd(0x8825) == {1: "N"}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_come_back_in_the_profile_they_came_in(colour, dtype):
    profile = cms_profile("adobergb")
    pixels = colour.astype(dtype) * (257 if dtype == np.uint16 else 1)
    data = by_tifffile(pixels, photometric="rgb", iccprofile=profile)
    photo = read_photo(data)
    assert np.abs(photo.pixels.astype(int) - pixels).mean() > 1  # they are sRGB now
    again = encode_photo(photo)
    with tifffile.TiffFile(io.BytesIO(again)) as file:
        written = file.pages[0].asarray().astype(float)
        assert file.pages[0].iccprofile == profile
    unit = 257 if dtype == np.uint16 else 1
    assert np.median(np.abs(written - pixels)) <= unit  # but for what sRGB cannot show


def test_a_grey_profile_is_heeded(colour):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (8, 1))
    data = by_tifffile(ramp, photometric="minisblack", iccprofile=cms_profile("gray", gamma=1.8))
    photo = read_photo(data)
    linear = (ramp[0] / 255) ** 1.8
    srgb = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    assert photo.pixels.ndim == 2
    assert np.abs(photo.pixels[0] - srgb * 255).max() < 1.5


@pytest.mark.parametrize("mode", ["P", "RGBA"])
def test_grey_of_three_channels_keeps_its_lightness_in_a_profile(grey, mode):
    profile = cms_profile("adobergb")
    pixels = np.asarray(grey)
    data = by_pillow(pixels, "PNG", mode, icc_profile=profile)
    photo = read_photo(data)
    coloured = replace(photo, pixels=np.dstack([photo.pixels] * 3), alpha=None)
    with Image.open(io.BytesIO(encode_photo(coloured))) as written:
        assert written.info["icc_profile"] == profile
        assert np.abs(np.asarray(written).astype(int) - pixels[:, :, None]).mean() < 0.5


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".jp2"])
def test_sixteen_bits_survive(tmp_path, suffix):
    ramp = np.linspace(0, 65535, 6000).astype(np.uint16).reshape(60, 100)
    Image.fromarray(ramp).save(tmp_path / f"a{suffix}")
    photo = read_photo(tmp_path / f"a{suffix}")
    assert (photo.pixels == ramp).all()
    write_photo(photo, tmp_path / f"b{suffix}")
    assert (read_photo(tmp_path / f"b{suffix}").pixels == ramp).all()


def test_sixteen_bits_behind_many_boxes_of_jpeg_2000(deep):
    stream = io.BytesIO()
    Image.fromarray(deep[:, :, 1].copy()).save(stream, "JPEG2000")
    data, at = stream.getvalue(), stream.getvalue().index(b"jp2c") - 4
    box = struct.pack(">I4s", 8 + 5000, b"free") + bytes(5000)
    assert (read_photo(data[:at] + box + data[at:]).pixels == deep[:, :, 1]).all()


@pytest.mark.parametrize("bits", [12, 16])
def test_deep_ppm_and_pgm(deep, tmp_path, bits):
    for pixels in (deep >> (16 - bits), deep[:, :, 1] >> (16 - bits)):
        data = cv2.imencode(".pnm", pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1].tobytes()
        photo = read_photo(data.replace(b"65535", str(2**bits - 1).encode(), 1))
        assert photo.pixels.shape == pixels.shape
        assert np.abs(photo.pixels / 65535 - pixels / (2**bits - 1)).max() < 1e-4
        assert (read_photo(encode_photo(photo)).pixels == photo.pixels).all()


def test_a_palette_of_one_bit_and_resolutions_that_are_no_fractions(colour):
    bits = colour[:, :, 1] > 128
    palette = (320, "H", 6, (0, 65535, 0, 0, 0, 65535), True)  # black and magenta
    data = by_tifffile(bits, photometric="minisblack", resolution=(300, 300), extratags=[palette])
    for tag in (282, 283):
        data = data.replace(struct.pack("<HHI", tag, 5, 1), struct.pack("<HHI", tag, 11, 1))
    black_is_zero = struct.pack("<HHIH", 262, 3, 1, 1)
    photo = read_photo(data.replace(black_is_zero, struct.pack("<HHIH", 262, 3, 1, 3)))
    assert (photo.pixels == bits[:, :, None] * np.array((255, 0, 255))).all()
    assert photo.dpi is None


def test_a_palette_of_eight_bits(colour):
    indices = colour[:, :, 1] >> 4
    palette = np.tile(np.arange(0, 256, 17, dtype=np.uint16).repeat(16), (3, 1))
    data = by_tifffile(indices << 4, photometric="palette", colormap=palette)
    assert (read_photo(data).pixels == (indices * 17)[:, :, None]).all()


def test_orientations_that_there_are_not_turn_nothing(colour):
    photo = read_photo(by_pillow(colour, "JPEG", exif=exif_with_orientation(9)))
    assert photo.pixels.shape == colour.shape


def test_a_result_of_an_old_png_is_not_turned_again(colour):
    exif = exif_with_orientation(6).tobytes()
    texts = PngInfo()  # as ImageMagick wrote EXIF before PNG had a place for it
    texts.add_text("Raw profile type exif", f"\nexif\n{len(exif):8}\n{exif.hex()}\n")
    photo = read_photo(by_pillow(colour, "PNG", pnginfo=texts))
    assert photo.pixels.shape == (144, 96, 3)
    assert (read_photo(encode_photo(photo)).pixels == photo.pixels).all()


def directory_of(*tags):
    """EXIF of tags: number, type, count, and a value of four bytes."""
    entries = b"".join(struct.pack("<HHI4s", *tag) for tag in tags)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("format_", ["PNG", "WEBP"])
@pytest.mark.parametrize(
    ("exif", "kept"),
    [
        (b"Exif\0\0this is no TIFF", {}),
        (directory_of((0x010F, 2, 4, b"abc"), (0x013B, 11, 1, b"\0\0\0?")), {0x010F: "abc"}),
        (directory_of((0x010F, 2, 4, b"abc"), (0x011A, 2, 4, b"300")), {0x010F: "abc"}),
    ],
    ids=["no EXIF", "number for a text", "text for a number"],
)
def test_exif_that_is_damaged_is_left_out_and_told(colour, tmp_path, format_, exif, kept):
    path = tmp_path / f"a.{format_.lower()}"
    path.write_bytes(by_pillow(colour, format_, "L", exif=exif))
    done = retint_here("colorize", path, "-o", tmp_path / "b.tif")
    assert done.returncode == 0, done.stderr
    assert "EXIF that is damaged is left out" in done.stderr
    with Image.open(tmp_path / "b.tif") as written:
        assert {tag: written.getexif().get(tag) for tag in (0x010F, 0x013B) if tag in kept} == kept


def test_a_place_of_gps_that_there_cannot_be_costs_no_orientation(colour):
    turned = directory_of((0x0112, 3, 1, b"\6\0\0\0"), (0x8825, 9, 1, b"\xff\xff\xff\xff"))
    photo = read_photo(by_pillow(colour, "PNG", exif=turned))
    assert photo.exif_damaged
    assert (photo.pixels == np.rot90(colour, -1)).all()


def test_odd_tags_of_a_tiff_stop_nothing(colour):
    odd = [(0x013B, "f", 1, 0.5, True), (0x0128, "s", 0, "inches", True)]
    photo = read_photo(by_tifffile(colour, photometric="rgb", extratags=odd))
    assert photo.exif_damaged
    assert (read_photo(encode_photo(photo)).pixels == colour).all()


@pytest.mark.parametrize(
    ("suffix", "lost"),
    [
        (".jpg", []),
        (".png", []),
        (".tif", ["comments"]),
        (".webp", ["comments"]),
        (".bmp", ["comments"]),
        (".jp2", ["comments", "resolution"]),
        (".ppm", ["comments", "resolution"]),
    ],
)
def test_comments_and_resolution_are_kept_or_lost_with_a_word(colour, tmp_path, suffix, lost):
    photo = read_photo(by_pillow(colour, "JPEG", comment=b"print 7", dpi=(300, 300)))
    path = tmp_path / f"a{suffix}"
    write_photo(photo, path)
    again = read_photo(path)
    assert losses(photo, path) == lost
    assert (again.texts != photo.texts) == ("comments" in lost)
    assert (again.dpi != photo.dpi) == ("resolution" in lost)
    png = replace(photo, texts={"Title": "print 7"})
    assert ("comments" in losses(png, path)) == (suffix != ".png")


def test_comments_are_utf_8_or_latin_1(colour):
    for encoding in ("utf-8", "latin-1"):
        data = by_pillow(colour, "JPEG", comment="Brücke".encode(encoding))
        assert read_photo(data).texts == {"comment": "Brücke"}


def test_what_loses_nothing_stays_as_it_was_compressed(colour):
    for compression in ("deflate", "adobe_deflate", "lzw", "zstd", "packbits"):
        data = by_tifffile(colour, photometric="rgb", compression=compression)
        with tifffile.TiffFile(io.BytesIO(encode_photo(read_photo(data)))) as file:
            written = file.pages[0].compression.name.lower()
        assert written.removeprefix("adobe_") == compression.removeprefix("adobe_")


def test_a_print_in_inks_over_luma(colour):
    inks = 255 - np.dstack((colour, np.full_like(colour[:, :, 0], 255)))
    data = jpeg8_encode(255 - inks, colorspace="CMYK", outcolorspace="YCCK", level=95)
    assert np.abs(read_photo(data).pixels.astype(int) - colour).mean() < 3


def test_a_new_stamp_takes_the_place_of_one_that_others_wrote_anew():
    first, second = (Provenance(*[word] * 9) for word in ("first", "second"))
    once = stamped(XMP.replace(b'dc:format="print"', _SCAN), first)
    end = b"</rdf:RDF>"
    element = b'<rdf:Description rdf:about=""><retint:tool>first</retint:tool></rdf:Description>'
    rated = once.replace(b' retint:tool="first"', b' xmlns:xmp="urn:xmp" xmp:Rating="5"')
    rated = rated.replace(end, element + end)  # as exiftool writes it
    assert read_provenance(rated)["tool"] == "first"
    twice = stamped(rated, second)
    assert b"first" not in twice
    assert b'Rating="5"' in twice
    found = read_provenance(twice)
    assert (found["tool"], found["original_source_type"]) == ("second", "negative")


@pytest.mark.parametrize("suffix", [".bmp", ".pgm", ".jp2"])
def test_xmp_lies_beside_a_file_that_cannot_hold_it(colour, tmp_path, suffix):
    photo = read_photo(by_pillow(colour, "JPEG", xmp=XMP))
    path = tmp_path / f"a{suffix}"
    beside = tmp_path / f"a{suffix}.xmp"
    write_photo(photo, path)
    assert read_photo(path).xmp == beside.read_bytes() == photo.xmp
    write_photo(photo, path, overwrite=True)  # as without provenance: nothing is lost
    path.unlink()
    beside.write_bytes(XMP + b" ")
    for other in (photo, replace(photo, xmp=None)):
        with pytest.raises(RetintError, match="move it away"):  # it may be another program's
            write_photo(other, path)
    assert list(tmp_path.iterdir()) == [beside]


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".webp"])
def test_alpha_survives(colour, tmp_path, suffix):
    image = Image.fromarray(colour)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(tmp_path / "a.png")
    write_photo(read_photo(tmp_path / "a.png"), tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as written:
        assert (np.asarray(written.getchannel("A")) == np.asarray(image.getchannel("A"))).all()


def test_the_time_of_the_last_change_is_kept(grey, tmp_path):
    grey.save(tmp_path / "a.jpg")
    os.utime(tmp_path / "a.jpg", (1_000_000_000, 1_000_000_000))
    write_photo(read_photo(tmp_path / "a.jpg"), tmp_path / "b.jpg")
    assert (tmp_path / "b.jpg").stat().st_mtime == 1_000_000_000


def test_a_file_is_on_the_disk_before_it_has_its_name(grey, tmp_path, monkeypatch):
    done = []
    for name, do in (("fsync", os.fsync), ("replace", os.replace)):
        monkeypatch.setattr(
            os, name, lambda *given, name=name, do=do: (done.append(name), do(*given))
        )
    write_photo(read_photo(by_pillow(np.asarray(grey), "JPEG")), tmp_path / "a.jpg")
    assert done == ["fsync", "replace"]


def test_a_file_is_never_overwritten_unasked(grey, tmp_path):
    grey.save(tmp_path / "a.jpg")
    before = (tmp_path / "a.jpg").read_bytes()
    with pytest.raises(RetintError, match="give overwrite=True"):
        write_photo(read_photo(tmp_path / "a.jpg"), tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / "a.jpg"]


def test_what_cannot_be_read_is_said_clearly(colour):
    floats = by_tifffile(colour.astype(np.float32), photometric="rgb")
    with pytest.raises(RetintError, match="floating-point"):
        read_photo(floats)
    with pytest.raises(RetintError, match=r"YCbCr .* save it as RGB"):
        read_photo(by_tifffile(colour, photometric="ycbcr"))
    with pytest.raises(RetintError, match="neither 8 nor 16 bits"):
        read_photo(b"Pf\n2 1\n-1.0\n" + np.linspace(0, 1, 2).astype("<f4").tobytes())
    with pytest.raises(RetintError, match="PDF"):
        read_photo(b"%PDF-1.7 ...")
    frames = [Image.fromarray(colour), Image.fromarray(255 - colour)]
    stream = io.BytesIO()
    frames[0].save(stream, "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(RetintError, match="animation"):
        read_photo(stream.getvalue())


@pytest.mark.parametrize(("own", "then"), [(None, None), (10**9, 10**9), (1000, 500_000_000)])
def test_a_program_that_allows_pillow_more_keeps_that(own, then):
    code = (
        f"from PIL import Image; Image.MAX_IMAGE_PIXELS = {own};"
        "import retint.photo; print(Image.MAX_IMAGE_PIXELS)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(then)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "JPEG2000"])
def test_a_file_that_was_cut_off_is_never_half_a_photograph(colour, format_, share):
    data = by_pillow(colour, format_)
    with pytest.raises(RetintError, match=r"cannot be read|not a picture"):
        read_photo(data[: int(len(data) * share)])
