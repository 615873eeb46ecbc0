"""Thousands of photographs in one process: memory, open files and threads come to rest."""

import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faults.rounds import rounds
from retint import Colorizer
from retint.errors import RetintError

_PHOTOGRAPHS = rounds(300, 5_000)
_GROWTH = 25 << 20  # bytes between the middle and the end, by chance
_SIZES = ((360, 400), (401, 297), (384, 384), (233, 550))  # 150 kept ones would show
_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP")


def resident():
    """Bytes of memory that the process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def photograph(number):
    random = np.random.default_rng(number)
    size = _SIZES[number % len(_SIZES)]
    stream = io.BytesIO()
    picture = Image.fromarray(random.integers(0, 255, (8, 8), np.uint8)).resize(size)
    space = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a:b xmlns:a="urn:%d"/></x:xmpmeta>' % number
    options = {"xmp": space} if number % 4 in (0, 3) else {}
    picture.save(stream, _FORMATS[number % 4], **options)
    return stream.getvalue()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells it so")
def test_memory_files_and_threads_come_to_rest():
    colorizer = Colorizer()
    seen = []
    for number in range(_PHOTOGRAPHS):
        data = photograph(number)
        colorizer(data, seed=number if number % 3 == 0 else None, detail=64)
        if number % 10 == 0:  # what cannot be read leaves nothing behind, either
            with pytest.raises(RetintError):
                colorizer(data[: len(data) // 2])
        if (number + 1) % (_PHOTOGRAPHS // 4) == 0:
            seen.append((resident(), open_files(), threading.active_count()))
    _, half, _, end = seen  # the first quarter warms up
    assert end[0] - half[0] < _GROWTH, seen
    # Fewer is well: what other tests left open is collected some time.
    assert end[1] <= half[1], seen
    assert end[2] <= half[2], seen
