"""Photographs in, photographs out: opened models, a bounded queue before it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar, TypeVarTuple

from retint.colorizer import Colorizer, Options
from retint.errors import RetintError, lacks_memory
from retint.photo import FORMATS, QUALITY, Photo, encode_photo, read_photo, read_sizes
from retint.photo.provenance import read_provenance
from retint.recolor import all_coloured, what_to_color
from retint.web.settings import Settings

RETRY_AFTER = 5  # seconds; a guess at when a place is free again

Answer = TypeVar("Answer")
Given = TypeVarTuple("Given")


class BusyError(Exception):
    """As many requests wait as are allowed to."""


@dataclass(frozen=True)
class Wish:
    """How a photograph is to be coloured and given back.

    Attributes:
        options: of the colouring.
        format_name: of the result, as `retint.photo.FORMATS` names it; the photograph's if None.
        quality: of formats that have one, 1 to 100.
        recolor: colour photographs that have colours already, too.
        model: name of one of the service's; its first if None.
    """

    options: Options = field(default_factory=Options)
    format_name: str | None = None
    quality: int = QUALITY
    recolor: bool = False
    model: str | None = None


@dataclass(frozen=True)
class Result:
    """An encoded coloured photograph.

    Attributes:
        data: of the file.
        format_name: as `retint.photo.FORMATS` names it.
        width: in pixels.
        height: in pixels.
        provenance: what the file says of its colours.
    """

    data: bytes
    format_name: str
    width: int
    height: int
    provenance: dict[str, str]

    @property
    def suffix(self) -> str:
        """Usual ending of such files."""
        return FORMATS[self.format_name].suffixes[0]

    @property
    def media_type(self) -> str:
        """MIME type of such files."""
        name = {"JPEG2000": "jp2", "PPM": "x-portable-anymap", "HEIF": "heic"}
        return f"image/{name.get(self.format_name, self.format_name.lower())}"


class Service:
    """Colours encoded photographs.

    Args:
        colorizers: the opened models, each of a name of its own, the first for wishes that name
            none.
        settings: how many at a time, how large.

    Attributes:
        colorizers: by the models' names.
    """

    def __init__(self, colorizers: Sequence[Colorizer], settings: Settings) -> None:
        self.colorizers = {one.model.card["name"]: one for one in colorizers}
        self._settings = settings
        self._pool = ThreadPoolExecutor(settings.workers, "colouring")
        self._inside = 0
        self._counting = threading.Lock()

    @property
    def waiting(self) -> int:
        """Requests that have no worker yet."""
        return max(0, self._inside - self._settings.workers)

    def admit(self) -> None:
        """See that another request may come; to be asked before its photograph is received.

        Raises:
            BusyError: if too many wait.
        """
        with self._counting:
            self._admit()

    async def colorize(self, data: bytes, wish: Wish) -> Result:
        """Colour a photograph, or send it away at once.

        Raises:
            BusyError: if too many wait.
            RetintError: if it cannot be read, or is too large.
        """
        return await self.run(self.work, data, wish)

    async def run(self, work: Callable[[*Given], Answer], *given: *Given) -> Answer:
        """Do work in its turn, or send it away at once; what is cancelled before is not done.

        Raises:
            BusyError: if too many wait.
        """
        # Emptied when it is done or cancelled: the pool keeps what is cancelled until its turn.
        parcel = [given]
        with self._counting:
            self._admit()
            doing = self._pool.submit(lambda: work(*parcel.pop()))
            self._inside += 1
        doing.add_done_callback(lambda _: self._leave(parcel))
        # Who is cancelled cancels the work, which has no effect on such as has begun.
        return await asyncio.wrap_future(doing)

    def work(self, data: bytes, wish: Wish) -> Result:
        """Colour a photograph now.

        Raises:
            RetintError: if it cannot be read, or is too large.
        """
        try:
            return self._work(data, wish)
        except Exception as error:
            if not lacks_memory(error):
                raise
            line = "the picture needs more memory than there is: scale it down"
            raise RetintError(line) from error

    def _work(self, data: bytes, wish: Wish) -> Result:
        photo = self.read(data)
        format_name = wish.format_name or photo.format
        fitting, kept = what_to_color(photo, format_name, recolor=wish.recolor)
        if all_coloured(fitting, kept):
            raise RetintError("the picture has colours already: ask for recolor to colour it anew")
        colorizer = self.colorizer(wish.model)
        colored = colorizer.colorize_photo(fitting, keep=kept, **wish.options)
        rows, columns = colored.pixels.shape[:2]
        encoded = encode_photo(colored, format_name, wish.quality)
        return Result(encoded, format_name, columns, rows, read_provenance(colored.xmp))

    def colorizer(self, name: str | None) -> Colorizer:
        """The model of this name, the first if None.

        Raises:
            RetintError: if there is no such model here.
        """
        found = self.colorizers.get(next(iter(self.colorizers)) if name is None else name)
        if found is None:
            known = ", ".join(self.colorizers)
            raise RetintError(f"there is no model '{name}' here: use one of {known}")
        return found

    def read(self, data: bytes) -> Photo:
        """Decode a photograph now.

        Raises:
            RetintError: if it cannot be read, or is too large.
        """
        sizes = read_sizes(data)
        if sum(width * height for width, height in sizes) > self._settings.most_pixels:
            shown = " and ".join(f"{width} x {height}" for width, height in sizes[:2])
            raise RetintError(
                f"the picture has {shown} pixels{' and more pages' if len(sizes) > 2 else ''}, "
                f"more than the {self._settings.most_pixels} that this service takes: scale it down"
            )
        return read_photo(data)

    def close(self) -> None:
        """Finish what runs; what has not begun is cancelled."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _admit(self) -> None:
        if self._inside >= self._settings.workers + self._settings.waiting:
            raise BusyError

    def _leave(self, parcel: list[Any]) -> None:
        parcel.clear()
        with self._counting:
            self._inside -= 1


def model_facts(colorizer: Colorizer) -> dict[str, Any]:
    """What clients may want to know of the model."""
    names = ("name", "version", "description", "licence", "size")
    card = {name: colorizer.model.card.get(name) for name in names}
    return {**card, "sha256": colorizer.model.sha256, "takes_hints": colorizer.model.takes_hints}
