"""Photo + model + seed -> photo: the glue between photographs, networks and merging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retint.errors import RetintError
from retint.hints import Hint, hint_map
from retint.merge import fit_coloring, lightness_of, merge
from retint.model import open_model
from retint.photo import Photo, encode_photo, output_path, read_photo, write_photo

Picture = TypeVar("Picture", str, Path, bytes, Image.Image, NDArray[Any])


class Colorizer:
    """Colours many photographs with one opened model.

    Args:
        model: a name of `retint models`, or the path of an .onnx file.
        providers: ONNX Runtime providers to compute with, such as `["CUDA"]`; the CPU if None.

    Raises:
        RetintError: if there is no such model or provider.
    """

    def __init__(
        self, model: str | Path = "default", providers: Sequence[str] | None = None
    ) -> None:
        self.model = open_model(model, providers)

    def __call__(
        self,
        image: Picture,
        *,
        seed: int | None = None,
        strength: float = 1.0,
        hints: Sequence[Hint] = (),
        overwrite: bool = False,
    ) -> Picture:
        """Colour a picture; give back the type that was given.

        Args:
            image: a path (photo.jpg is left alone; photo-color.jpg is written beside it and its
                path given back), the bytes of an encoded picture, a PIL image, or sRGB pixels as
                uint8 or uint16, (H, W) or (H, W, 3), which come back as (H, W, 3).
            seed: which of the possible colourings; None for the most likely one.
            strength: gain on the colours; 0 is grey.
            hints: colours wanted at places, for a model that takes hints, as the default does.
            overwrite: replace a file of the output's name.

        Raises:
            RetintError: if the picture cannot be read or the result not be written.
            TypeError: if `image` is of another type or dtype.
        """
        color: dict[str, Any] = {"seed": seed, "strength": strength, "hints": hints}
        if isinstance(image, str | Path):
            target = output_path(Path(image))
            photo = self.colorize_photo(read_photo(Path(image)), **color)
            write_photo(photo, target, overwrite=overwrite)
            written: Any = str(target) if isinstance(image, str) else target
            return written  # type: ignore[no-any-return]
        if isinstance(image, bytes):
            photo = read_photo(image)
            return encode_photo(self.colorize_photo(photo, **color))
        if isinstance(image, Image.Image):
            grey = image.mode in ("1", "L", "LA")
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
            result = Image.fromarray(self.colorize_pixels(pixels, **color))
            if image.has_transparency_data:
                result.putalpha(image.convert("RGBA").getchannel("A"))
            return result
        if isinstance(image, np.ndarray):
            return self.colorize_pixels(image, **color)
        raise TypeError(f"a path, bytes, PIL image or NumPy array is wanted, not {type(image)}")

    def colorize_photo(
        self,
        photo: Photo,
        *,
        seed: int | None = None,
        strength: float = 1.0,
        hints: Sequence[Hint] = (),
    ) -> Photo:
        """Colour a decoded photograph; everything but its pixels stays."""
        pixels = self.colorize_pixels(photo.pixels, seed=seed, strength=strength, hints=hints)
        return replace(photo, pixels=pixels)

    def colorize_pixels(
        self,
        pixels: NDArray[Any],
        *,
        seed: int | None = None,
        strength: float = 1.0,
        hints: Sequence[Hint] = (),
    ) -> NDArray[Any]:
        """Colour sRGB pixels, (H, W) or (H, W, 3), uint8 or uint16; see `__call__`."""
        shape_fits = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
        if not shape_fits or pixels.dtype not in (np.uint8, np.uint16) or pixels.size == 0:
            raise TypeError(
                "pixels must be uint8 or uint16, (H, W) or (H, W, 3), "
                f"not {pixels.dtype} {pixels.shape}"
            )
        if hints and not self.model.takes_hints:
            name = self.model.card["name"]
            raise RetintError(f"model '{name}' takes no hints: use one that does, like 'default'")
        height, width = pixels.shape[:2]
        rows, columns = self.model.input_size(height, width)
        smaller = rows * columns < height * width
        small = cv2.resize(
            pixels,
            (columns, rows),
            interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC,
        )
        lightness = lightness_of(small)
        wanted = hint_map(hints, (height, width), (rows, columns)) if hints else None
        coloring = fit_coloring(lightness, self.model.predict(lightness, seed, wanted))
        return merge(pixels, coloring, strength)


@cache
def _default() -> Colorizer:
    return Colorizer()


def colorize(
    image: Picture,
    *,
    seed: int | None = None,
    strength: float = 1.0,
    hints: Sequence[Hint] = (),
    overwrite: bool = False,
) -> Picture:
    """Colour one picture with the default model; see `Colorizer.__call__`.

    >>> colorize(np.full((40, 60), 128, np.uint8)).shape
    (40, 60, 3)
    """
    return _default()(image, seed=seed, strength=strength, hints=hints, overwrite=overwrite)
