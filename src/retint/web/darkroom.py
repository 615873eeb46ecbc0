"""Photographs that the page shows: small while a person tries colours, whole in the end.

What the model says is kept for a while, so that another strength need not ask it again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from numpy.typing import NDArray

from retint.colorizer import Colorizer, View, complete
from retint.errors import RetintError
from retint.hints import Hint
from retint.merge import Coloring, merge
from retint.photo import Photo, encode_photo
from retint.photo.picture import shrunk, to_8_bit
from retint.tone import Kind, kind_of
from retint.web.names import result_name
from retint.web.service import Result, Service, Wish

SIDE = 1600  # pixels: the long side of pictures that are shown small
_QUALITY = 90  # of pictures that are only shown
_PHOTOGRAPHS = 1000  # remembered at a time
_BEFORE = 48  # photographs kept as they are, small, as JPEG files
_SMALL = 16  # photographs kept decoded, small: at most 8 MB each
_COLORINGS = 48  # kept: 1.4 MB each, panoramas more

Pixels = NDArray[Any]


@dataclass(frozen=True)
class Photograph:
    """A photograph that somebody gave to the page.

    Attributes:
        id: names it in addresses; nobody else can guess it.
        path: where it lies.
        name: that its owner gave it; never used as a path.
        width: in pixels.
        height: in pixels.
        kind: what it has of colours.
    """

    id: str
    path: Path
    name: str
    width: int
    height: int
    kind: Kind


@dataclass(frozen=True)
class _Small:
    """A photograph, small and without its tone; and what the network sees of it."""

    pixels: Pixels
    view: View


class Darkroom:
    """Shows and colours photographs that lie on disk; all methods but `find` take their turn.

    Args:
        service: colours them.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._photographs: OrderedDict[str, Photograph] = OrderedDict()
        self._before: OrderedDict[str, bytes] = OrderedDict()
        self._small = lru_cache(_SMALL)(self._make_small)
        self._colorings = lru_cache(_COLORINGS)(self._make_coloring)

    async def take(self, path: Path) -> Photograph:
        """Remember a photograph.

        Raises:
            BusyError: if too many wait.
            RetintError: if it cannot be read, or is too large.
        """
        taken = await self._service.run(self._take, path)
        self._photographs[taken.id] = taken
        while len(self._photographs) > _PHOTOGRAPHS:
            self._photographs.popitem(last=False)
        return taken

    def find(self, id_: str) -> Photograph | None:
        """A photograph that was taken, if it is still there."""
        found = self._photographs.get(id_)
        return found if found and found.path.exists() else None

    async def before(self, photograph: Photograph, *, whole: bool) -> bytes:
        """The photograph as it is, as a JPEG file."""
        return await self._service.run(self._show_before, photograph, whole)

    async def after(self, photograph: Photograph, wish: Wish, side: int) -> bytes:
        """The photograph coloured, as a JPEG file whose long side has at most so many pixels."""
        return await self._service.run(self._show_after, photograph, wish, side)

    async def whole(self, photograph: Photograph, wish: Wish) -> bytes:
        """The photograph coloured, in all its pixels, as a JPEG file."""
        shown = replace(wish, format_name="JPEG", quality=_QUALITY)
        return (await self.file(photograph, shown))[0].data

    async def file(self, photograph: Photograph, wish: Wish) -> tuple[Result, str]:
        """What `retint colorize` writes of the photograph, and the name of the file."""
        data = await self._service.run(_bytes_of, photograph.path)
        result = await self._service.colorize(data, replace(wish, recolor=True))
        return result, result_name(photograph.name, result.suffix)

    def _read(self, path: Path) -> Photo:
        return self._service.read(_bytes_of(path))

    def _take(self, path: Path) -> Photograph:
        pixels = self._read(path).pixels
        height, width = pixels.shape[:2]
        taken = Photograph(uuid4().hex, path, path.name, width, height, kind_of(pixels))
        self._keep_before(taken, pixels)
        return taken

    def _show_before(self, photograph: Photograph, whole: bool) -> bytes:
        if whole:
            return _jpeg(self._read(photograph.path).pixels)
        kept = self._before.get(photograph.id)
        return kept or self._keep_before(photograph, self._read(photograph.path).pixels)

    def _keep_before(self, photograph: Photograph, pixels: Pixels) -> bytes:
        shown = self._before[photograph.id] = _jpeg(to_8_bit(shrunk(pixels, SIDE)))
        while len(self._before) > _BEFORE:
            self._before.popitem(last=False)
        return shown

    def _show_after(self, photograph: Photograph, wish: Wish, side: int) -> bytes:
        options = complete(wish.options)
        how = self._service.colorizer(wish.model), options["keep_tone"], options["detail"]
        coloring = self._colorings(photograph, *how, options["seed"], tuple(options["hints"]))
        pixels = self._small(photograph, *how).pixels
        return _jpeg(to_8_bit(shrunk(merge(pixels, coloring, options["strength"]), side)))

    def _make_small(
        self, photograph: Photograph, colorizer: Colorizer, keep_tone: bool, detail: int | None
    ) -> _Small:
        photo = self._read(photograph.path)
        pixels, view = colorizer.view(photo.pixels, keep_tone=keep_tone, detail=detail)
        return _Small(to_8_bit(shrunk(pixels, SIDE)), view)

    def _make_coloring(
        self,
        photograph: Photograph,
        colorizer: Colorizer,
        keep_tone: bool,
        detail: int | None,
        seed: int | None,
        hints: tuple[Hint, ...],
    ) -> Coloring:
        view = self._small(photograph, colorizer, keep_tone, detail).view
        return colorizer.coloring(view, seed, hints)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RetintError("the photograph was removed meanwhile: drop it again") from error


def _jpeg(pixels: Pixels) -> bytes:
    return encode_photo(Photo(pixels, "JPEG"), quality=_QUALITY)
