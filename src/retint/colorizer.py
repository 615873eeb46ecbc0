"""Photo + model + seed -> photo: the glue between photographs, networks and merging."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retint import __version__
from retint.errors import RetintError
from retint.hints import Hint, check_hints, hint_map
from retint.merge import (
    Coloring,
    check_strength,
    chroma_limits,
    fit_coloring,
    merge,
    seen_lightness,
)
from retint.model import Model, open_model
from retint.photo import Photo, encode_photo, output_path, read_photo, write_photo
from retint.photo.picture import to_8_bit
from retint.photo.provenance import Provenance, now, stamped
from retint.tone import Kind, kind_of, without_tone

_MOST_HINTS_NAMED = 20

Picture = TypeVar("Picture", str, Path, bytes, Image.Image, NDArray[Any])


class Options(TypedDict, total=False):
    """How a photograph is to be coloured.

    Keys:
        seed: which of the possible colourings; None, the default, for the most likely one.
        strength: gain on the colours, 1 by default; 0 is grey.
        hints: colours wanted at places, of the first page where there are more, for a model that
            takes hints, as the default does.
        keep_tone: take the lightness of a toned print as it is; by default the tone is taken out
            first (see `retint.tone`).
        detail: short side of what the network sees, pixels; None, the default, for the size that it
            learnt from. More finds smaller things, and sees less of what they belong to.
    """

    seed: int | None
    strength: float
    hints: Sequence[Hint]
    keep_tone: bool
    detail: int | None


_DEFAULTS = Options(seed=None, strength=1.0, hints=(), keep_tone=False, detail=None)


def complete(options: Options) -> Options:
    """All options: those that were left out have their defaults.

    Raises:
        TypeError: if one has a name that there is not.
    """
    for name in options.keys() - _DEFAULTS.keys():
        raise TypeError(f"there is no option '{name}': use {', '.join(_DEFAULTS)}")
    return {**_DEFAULTS, **options}


@dataclass(frozen=True)
class View:
    """What a network sees of a photograph.

    Attributes:
        lightness: (h, w) float32, L in [0, 100].
        size: height and width of the photograph, pixels.
        toned: whether it is a toned print.
    """

    lightness: NDArray[Any]
    size: tuple[int, int]
    toned: bool


class Colorizer:
    """Colours many photographs with one opened model.

    Args:
        model: a name of `retint models`, an .onnx file, a run folder, or an opened model.
        providers: ONNX Runtime providers to compute with, such as `["CUDA"]`; the CPU if None.
        provenance: write into the metadata of files that their colours were inferred, and how.

    Attributes:
        model: the opened model.
        provenance: whether it is written.
        date: written as that of the colouring, ISO 8601; if None, the time it is then.

    Raises:
        RetintError: if there is no such model or provider.
    """

    def __init__(
        self,
        model: str | Path | Model = "default",
        providers: Sequence[str] | None = None,
        *,
        provenance: bool = True,
    ) -> None:
        # Made while the model is opened: with one photograph, that is a sixth of the whole time.
        threading.Thread(target=_prepare_limits).start()
        self.model = model if isinstance(model, Model) else open_model(model, providers)
        self.provenance = provenance
        self.date: str | None = None

    def __call__(
        self, image: Picture, *, overwrite: bool = False, **options: Unpack[Options]
    ) -> Picture:
        """Colour a picture; give back the type that was given.

        Args:
            image: a path (photo.jpg is left alone; photo-color.jpg is written beside it and its
                path given back), the bytes of an encoded picture, a PIL image, which comes back as
                RGB with 8 bits, RGBA if it has transparency, or sRGB pixels as uint8 or uint16,
                (H, W) or (H, W, 3), which come back as (H, W, 3). Profile and orientation are
                heeded in files and their bytes alone.
            overwrite: replace a file of the output's name.
            options: see `Options`.

        Raises:
            RetintError: if the picture cannot be read or the result not be written; and as `check`.
            TypeError: if `image` is of another type or dtype; and as `check`.
        """
        if isinstance(image, str | Path):
            target = output_path(Path(image))
            photo = self.colorize_photo(read_photo(Path(image)), **options)
            write_photo(photo, target, overwrite=overwrite)
            written: Any = str(target) if isinstance(image, str) else target
            return written  # type: ignore[no-any-return]
        if isinstance(image, bytes):
            return encode_photo(self.colorize_photo(read_photo(image), **options))
        if isinstance(image, Image.Image):
            result = Image.fromarray(self.colorize_pixels(_pixels_of(image), **options))
            if image.has_transparency_data:
                result.putalpha(image.convert("RGBA").getchannel("A"))
            return result
        if isinstance(image, np.ndarray):
            return self.colorize_pixels(image, **options)
        raise TypeError(f"a path, bytes, PIL image or NumPy array is wanted, not {type(image)}")

    def colorize_photo(
        self, photo: Photo, *, keep: Collection[int] = (), **options: Unpack[Options]
    ) -> Photo:
        """Colour a decoded photograph with its pages; what belongs to it stays.

        Args:
            photo: the photograph.
            keep: numbers of the pages, from 0, that stay as they are.
            options: see `Options`.

        Raises:
            RetintError, TypeError: as `check`.
        """
        self.check(photo, keep=keep, **options)
        wanted = complete(options)
        pages = []
        for number, page in enumerate((photo, *photo.pages)):
            pages.append(page if number in keep else self._colorize_page(page, wanted))
            wanted["hints"] = ()
        return replace(pages[0], pages=tuple(pages[1:]))

    def check(
        self, photo: Photo, *, keep: Collection[int] = (), **options: Unpack[Options]
    ) -> None:
        """See whether `colorize_photo` would take the options, and colour nothing.

        Raises:
            RetintError: if there are hints and the first page keeps its colours, or the model
                takes none; if a hint lies outside that page; or if seed, strength or detail are
                out of their ranges.
            TypeError: if a hint is no `Hint`.
        """
        wanted = complete(options)
        if wanted["hints"] and 0 in keep:
            raise RetintError(
                "hints are for the first page, which has colours already: leave them out, or "
                "replace its colours with recolor"
            )
        self._check(wanted, photo.pixels.shape[:2])

    def _check(self, options: Options, size: tuple[int, int]) -> None:
        seed, hints = options["seed"], options["hints"]
        if seed is not None and seed < 0:
            raise RetintError(f"seed {seed}: give a whole number from 0, or None")
        _check_detail(options["detail"])
        check_strength(options["strength"])
        if hints and not self.model.takes_hints:
            name = self.model.card["name"]
            raise RetintError(f"model '{name}' takes no hints: use one that does, like 'default'")
        check_hints(hints, size)

    def _colorize_page(self, page: Photo, options: Options) -> Photo:
        pixels, toned = self._colorize(page.pixels, options)
        xmp = stamped(page.xmp, self._how(toned, options)) if self.provenance else page.xmp
        return replace(page, pixels=pixels, xmp=xmp)

    def colorize_pixels(self, pixels: NDArray[Any], **options: Unpack[Options]) -> NDArray[Any]:
        """Colour sRGB pixels, (H, W) or (H, W, 3), uint8 or uint16; see `__call__`."""
        return self._colorize(pixels, complete(options))[0]

    def _colorize(self, pixels: NDArray[Any], options: Options) -> tuple[NDArray[Any], bool]:
        """The coloured pixels, and whether they were those of a toned print."""
        pixels, view = self.view(pixels, keep_tone=options["keep_tone"], detail=options["detail"])
        coloring = self.coloring(view, options["seed"], options["hints"])
        return merge(pixels, coloring, options["strength"]), view.toned

    def view(
        self, pixels: NDArray[Any], *, keep_tone: bool = False, detail: int | None = None
    ) -> tuple[NDArray[Any], View]:
        """The pixels that are to be coloured, tone taken out, and what the network sees of them."""
        shape_fits = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
        if not shape_fits or pixels.dtype not in (np.uint8, np.uint16) or pixels.size == 0:
            raise TypeError(
                "pixels must be uint8 or uint16, (H, W) or (H, W, 3), "
                f"not {pixels.dtype} {pixels.shape}"
            )
        _check_detail(detail)
        toned = kind_of(pixels) is Kind.TONED
        if toned and not keep_tone:
            pixels = without_tone(pixels)
        height, width = pixels.shape[:2]
        lightness = seen_lightness(pixels, *self.model.input_size(height, width, detail))
        return pixels, View(lightness, (height, width), toned)

    def coloring(self, view: View, seed: int | None = None, hints: Sequence[Hint] = ()) -> Coloring:
        """Ask the model; `retint.merge.merge` puts its colours onto the pixels, at any strength."""
        self._check(complete(Options(seed=seed, hints=hints)), view.size)
        wanted = hint_map(hints, view.size, view.lightness.shape) if hints else None
        return fit_coloring(view.lightness, self.model.predict(view.lightness, seed, wanted))

    def _how(self, toned: bool, options: Options) -> Provenance:
        card, seed, hints = self.model.card, options["seed"], options["hints"]
        few = len(hints) <= _MOST_HINTS_NAMED
        places = (f"{hint.x},{hint.y},#{bytes(hint.color).hex()}" for hint in hints)
        return Provenance(
            tool=f"retint {__version__}",
            model=f"{card['name']} {card['version']}",
            weights=self.model.sha256,
            seed="none" if seed is None else str(seed),
            strength=f"{options['strength']:g}",
            hints=(" ".join(places) if few else f"{len(hints)} of them") or "none",
            detail="the model's" if options["detail"] is None else str(options["detail"]),
            tone=("kept" if options["keep_tone"] else "taken out") if toned else "none",
            date=self.date or now(),
        )


def _check_detail(detail: int | None) -> None:
    if detail is not None and not detail >= 1:  # nor is a NaN
        raise RetintError(f"detail {detail}: give pixels from 1, or None")


def _pixels_of(image: Image.Image) -> NDArray[Any]:
    """(H, W) or (H, W, 3) uint8; Pillow itself cuts 16 bits off at 255."""
    if image.mode.startswith("I;16"):
        return to_8_bit(np.asarray(image).astype(np.uint16))
    if image.mode in ("I", "F"):
        raise TypeError(f"PIL images of mode {image.mode} have no fixed range: give a NumPy array")
    return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))


def _prepare_limits() -> None:
    with suppress(Exception):  # lack of memory, which is told where the limits are needed
        chroma_limits()


@cache
def _default() -> Colorizer:
    return Colorizer()


def colorize(image: Picture, *, overwrite: bool = False, **options: Unpack[Options]) -> Picture:
    """Colour one picture with the default model; see `Colorizer.__call__`.

    >>> colorize(np.full((40, 60), 128, np.uint8)).shape
    (40, 60, 3)
    """
    return _default()(image, overwrite=overwrite, **options)
