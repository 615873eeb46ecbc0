"""Mutated pictures of every format: read, or refused in one line; in bounded time and memory.

They go through `retint.photo` and through the HTTP service, both in processes of their own, so that
a decoder that crashes is a finding and no end of the tests. What was found is kept, as small files
of our own making, in findings/.
"""

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, Phase, given, settings
from imagecodecs import jpeg2k_encode
from PIL import Image

from faults.decoder import READ, REFUSED, Decoder
from faults.pictures import damaged_pictures, pictures
from faults.rounds import WHOLE, rounds
from serving import command, connect, served

FINDINGS = sorted((Path(__file__).parent / "findings").iterdir())
_RDF = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + _RDF, b"</rdf:RDF></x:xmpmeta>"
_PHASES = [Phase.generate, Phase.shrink]


def fuzzed(examples):
    """The same examples each time in the quick part, others each time in the whole."""
    return settings(
        max_examples=examples,
        derandomize=not WHOLE,
        database=None,
        phases=_PHASES,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def decoder():
    with Decoder() as decoder:
        yield decoder


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    with command("serve", "--data", folder) as (_, address), connect(address) as client:
        yield client


@pytest.mark.parametrize("name", sorted(pictures()))
def test_the_pictures_that_are_mutated_are_good(decoder, name):
    assert decoder.take(pictures()[name]) == (READ, "")


def test_mutated_pictures_are_read_or_refused(decoder):
    @fuzzed(rounds(600, 100_000))
    @given(damaged_pictures())
    def take(data):
        kind, detail = decoder.take(data)
        assert kind in (READ, REFUSED), detail

    take()


def test_mutated_pictures_over_http(client):
    @fuzzed(rounds(100, 10_000))
    @given(damaged_pictures())
    def post(data):
        answer = client.post("/v1/colorize?recolor=true", content=data)
        assert answer.status_code in (200, 422), answer.text
        assert answer.status_code == 200 or answer.json()["error"].count("\n") == 0

    post()
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.name)
def test_what_was_found_is_refused_in_one_line(decoder, client, path):
    kind, detail = decoder.take(path.read_bytes())
    assert kind == REFUSED, detail
    assert detail.count("\n") == 0
    assert client.post("/v1/colorize", content=path.read_bytes()).status_code == 422


def saved(format_, size=(24, 16), **options):
    stream = io.BytesIO()
    Image.linear_gradient("L").resize(size).save(stream, format_, **options)
    return stream.getvalue()


def with_xmp(middle, format_="WEBP"):
    return saved(format_, xmp=_XMP[0] + middle + _XMP[1])


def laughing():
    """XML whose entities stand for a thousand million words."""
    lines = [b'<!ENTITY l0 "lol">']
    lines += [b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10)]
    return saved("WEBP", xmp=b"<!DOCTYPE l [" + b"".join(lines) + b"]><l>&l9;</l>")


@pytest.mark.parametrize(
    "data",
    [
        with_xmp(b" " * 300_000),
        with_xmp(b"<a>" * 20_000 + b"</a>" * 20_000),
        with_xmp(b"".join(b'<a%d:b xmlns:a%d="u%d"/>' % (n, n, n) for n in range(10_000))),
        laughing(),
        saved("WEBP", xmp=b'<?xml version="1.0" encoding="gbk"?><a/>'),
        saved("WEBP", xmp=b'<?xml version="1.0" encoding="none"?><a/>'),
    ],
    ids=["blank", "deep", "prefixes", "entities", "gbk", "encoding"],
)
def test_metadata_that_would_take_for_ever(decoder, data):
    assert decoder.take(data)[0] in (READ, REFUSED)


def test_prefixes_of_one_photograph_do_not_get_into_another():
    from retint.photo.provenance import Provenance, stamped

    how = Provenance(*("x" for _ in Provenance.__dataclass_fields__))
    before = stamped(None, how)
    stamped(_XMP[0] + b'<mine:a xmlns:mine="urn:retint:provenance:1:"/>' + _XMP[1], how)
    assert stamped(None, how) == before


def tile(payload, compression):
    """A TIFF of 16 x 16 pixels around a tile that says something else."""
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        data=iter([payload]),
        shape=(16, 16),
        dtype="uint8",
        tile=(16, 16),
        compression=compression,
        photometric="minisblack",
    )
    return stream.getvalue()


def many_pages():
    """A small TIFF of 30 pages that unpack to 12,000 megapixels."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as file:
        for _ in range(30):
            file.write(
                data=iter([b"none"]),
                shape=(20_000, 20_000),
                dtype="uint8",
                photometric="minisblack",
                tile=(20_000, 20_000),
                compression="deflate",
            )
    return stream.getvalue()


def huge_png():
    """A PNG that promises 40,000 x 40,000 pixels."""
    data = bytearray(saved("PNG"))
    data[16:24] = struct.pack(">II", 40_000, 40_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


BOMBS = {
    "JPEG in TIFF": lambda: tile(saved("JPEG", (9000, 9000), quality=1), "jpeg"),
    "JPEG 2000 in TIFF": lambda: tile(
        jpeg2k_encode(np.zeros((9000, 9000), np.uint8), level=0, codecformat="j2k"), "jpeg2000"
    ),
    "deflate in TIFF": lambda: tile(zlib.compress(bytes(200_000_000)), "adobe_deflate"),
    "pages": many_pages,
    "size": huge_png,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_small_files_that_unpack_to_much(bomb):
    """Refused before the memory is taken."""
    from retint.errors import RetintError
    from retint.photo import read_photo

    data = bomb()
    tracemalloc.start()
    try:
        with pytest.raises(RetintError):
            read_photo(data)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_all_pages_count_for_the_limit_of_the_service(tmp_path):
    pages = [Image.new("L", (900, 900), 128)] * 3
    stream = io.BytesIO()
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    with served(tmp_path, most_pixels=2_000_000) as client:
        answer = client.post("/v1/colorize", content=stream.getvalue())
        assert answer.status_code == 422
        assert "900 x 900 and 900 x 900 pixels and more pages" in answer.json()["error"]


@pytest.mark.parametrize(
    ("data", "format_"),
    [
        (saved("JPEG", xmp=_XMP[0] + b"<a>" + b"x" * 65_200 + b"</a>" + _XMP[1]), None),
        (with_xmp(b"<a>" + b"x" * 70_000 + b"</a>"), "jpeg"),
        (saved("PNG", (70_000, 1)), "jpeg"),
        (saved("PNG", (1, 20_000)), "webp"),
    ],
    ids=["xmp", "xmp of another", "wide", "tall"],
)
def test_what_the_format_cannot_hold_is_said_with_the_mend(client, data, format_):
    options = {"format": format_} if format_ else {}
    answer = client.post("/v1/colorize", params=options, content=data)
    assert answer.status_code == 422
    assert "choose another format, such as png or tiff" in answer.json()["error"]
    assert client.post("/v1/colorize?format=png", content=data).status_code == 200
