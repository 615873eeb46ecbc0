"""What can be measured: models, the baselines, and pictures that any other system has coloured."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from retint import lab
from retint.colorizer import Colorizer
from retint.errors import RetintError
from retint.merge import Coloring, merge
from retint.model import open_model
from retint.photo import SUFFIXES, read_photo
from retint.photo.names import COLORED
from retint.photo.picture import to_8_bit
from retint.places import HERE

Pixels = NDArray[np.uint8]

_SHAPE_TOLERANCE = 0.02  # of the aspect ratio: resizing rounds


@dataclass(frozen=True)
class JudgedPicture:
    """A square cut of a colour photograph.

    Attributes:
        name: path below the folder of photographs, without its ending.
        shape: height and width of the whole photograph, pixels.
        truth: (S, S, 3).
        grey: (S, S), sRGB grey of the truth's lightness; all that a model gets to see.
        file: of the photograph; None if it is a part of another, such as an archive.
    """

    name: str
    shape: tuple[int, int]
    truth: Pixels
    grey: Pixels
    file: Path | None = None

    @classmethod
    def cut(cls, name: str, pixels: Pixels, size: int, file: Path | None = None) -> JudgedPicture:
        """Cut it out of a colour photograph, (H, W, 3)."""
        truth = square(Image.fromarray(pixels), size)
        nothing = np.zeros((1, 1, 2), np.float32)
        grey = merge(truth, Coloring(nothing, nothing))[:, :, 0]
        return cls(name, (pixels.shape[0], pixels.shape[1]), truth, grey, file)


class System(Protocol):
    """Something that colours test pictures."""

    name: str

    def color(self, picture: JudgedPicture) -> Pixels:
        """Colour a test picture; (S, S, 3)."""
        ...


class Grey:
    """Baseline: no colour at all."""

    name = "grey"

    def color(self, picture: JudgedPicture) -> Pixels:
        """See `System`."""
        return np.repeat(picture.grey[:, :, None], 3, axis=2)


class MeanColor:
    """Baseline: the same ab everywhere, the mean of a training set; kept in gamut.

    Args:
        ab: in ab units.
        source: says whose mean it is.
    """

    name = "mean colour"

    def __init__(self, ab: tuple[float, float], source: str) -> None:
        self.source = source
        offset = np.array(ab, np.float32)[None, None]
        self._coloring = Coloring(np.zeros_like(offset), offset)

    def color(self, picture: JudgedPicture) -> Pixels:
        """See `System`."""
        return merge(picture.grey, self._coloring)


class ModelSystem:
    """A model, through everything that `retint colorize` does."""

    def __init__(self, name: str, colorizer: Colorizer, seed: int | None = None) -> None:
        self.name = name
        self.mean_ab: tuple[float, float] | None = colorizer.model.card.get("mean_ab")
        self.sees: int = colorizer.model.card["size"]
        self._colorizer, self._seed = colorizer, seed

    def color(self, picture: JudgedPicture) -> Pixels:
        """See `System`."""
        return self._colorizer.colorize_pixels(picture.grey, seed=self._seed)


class AgedInput:
    """A model that sees the picture as an old print would show it.

    Its colours are judged on the clean lightness, so that the table tells what age does to them.
    """

    def __init__(self, name: str, colorizer: Colorizer, seed: int | None = None) -> None:
        self.name = f"{name}, aged input"
        self._colorizer, self._seed = colorizer, seed

    def color(self, picture: JudgedPicture) -> Pixels:
        """See `System`."""
        colored = self._colorizer.colorize_pixels(self.seen(picture), seed=self._seed)
        return in_colors_of(colored, picture)

    def seen(self, picture: JudgedPicture) -> Pixels:
        """Grey that the model gets to see, (S, S); a picture ages in the same way every time."""
        from retint.training.degrade import aged_grey  # PyTorch, which the other systems do without

        return aged_grey(picture.truth, zlib.crc32(os.fsencode(picture.name)))


class FolderSystem:
    """Whole photographs coloured elsewhere, one picture for each, named like it.

    Args:
        folder: `a/b-color.png` in it belongs to the photograph `a/b.jpg`; `a/b.png` does without.

    Raises:
        RetintError: if two pictures may be meant for one photograph.
    """

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._folder = folder
        files = (file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
        plain: dict[str, Path] = {}
        results: dict[str, Path] = {}
        for file in sorted(files):
            name = file.relative_to(folder).with_suffix("").as_posix()
            photograph = name.removesuffix(COLORED)
            found = plain if photograph == name else results
            other = found.setdefault(photograph, file)
            if other is not file:
                raise RetintError(
                    f"{other} and {file} may both be the colouring of {photograph}: remove one"
                )
        self._files = plain | results  # results lie beside the photographs that they were made of

    def check(self, picture: JudgedPicture) -> None:
        """Tell early that a test picture has no colouring here that can be measured.

        Raises:
            RetintError: as `color` would.
        """
        self._whole(picture)

    def color(self, picture: JudgedPicture) -> Pixels:
        """See `System`.

        Raises:
            RetintError: if there is no such picture but the photograph itself, or it has another
                aspect ratio.
        """
        return square(Image.fromarray(self._whole(picture)).convert("RGB"), len(picture.truth))

    def _whole(self, picture: JudgedPicture) -> Pixels:
        """The whole photograph's colouring, (H, W) or (H, W, 3)."""
        file = self._files.get(picture.name)
        wanted = "every photograph needs its colouring, named like it"
        if file is None:
            raise RetintError(f"{self._folder} has no picture called {picture.name}: {wanted}")
        if picture.file is not None and HERE.is_same(file, picture.file):
            raise RetintError(f"{file} is the photograph itself: {wanted}")
        pixels = to_8_bit(read_photo(file).pixels)
        ratio = (pixels.shape[0] / pixels.shape[1]) / (picture.shape[0] / picture.shape[1])
        if abs(ratio - 1) > _SHAPE_TOLERANCE:
            raise RetintError(
                f"{file} is {pixels.shape[1]} x {pixels.shape[0]}, the photograph "
                f"{picture.shape[1]} x {picture.shape[0]}: colour the whole photograph"
            )
        return pixels


def in_colors_of(colored: Pixels, picture: JudgedPicture) -> Pixels:
    """The picture at its own lightness, in the colours of another of its size, (S, S, 3)."""
    ab = lab.rgb_to_lab(colored.astype(np.float32) / 255)[:, :, 1:]
    return merge(picture.grey, Coloring(np.zeros_like(ab), ab))


def square(image: Image.Image, size: int) -> Pixels:
    """Cut the largest square out of the middle and resize it, bicubic: (size, size, 3)."""
    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC))


def open_systems(
    targets: list[str], seed: int | None = None, *, aged: bool = False
) -> list[System]:
    """Systems of the command line: names of models, .onnx files, run folders, picture folders.

    With `aged`, every model comes a second time, seeing aged pictures.

    Raises:
        RetintError: if one is none of these.
    """
    systems: list[System] = []
    for target in targets:
        folder = Path(target)
        if folder.is_dir() and not (folder / "recipe.yaml").exists():
            systems.append(FolderSystem(folder.resolve()))
            continue
        name, colorizer = _open_model(target)
        systems.append(ModelSystem(name, colorizer, seed))
        if aged:
            systems.append(AgedInput(name, colorizer, seed))
    return systems


def _open_model(target: str) -> tuple[str, Colorizer]:
    path = Path(target)
    if path.is_dir():
        return path.resolve().name, Colorizer(target)
    return (path.stem if path.suffix == ".onnx" else target), Colorizer(target)


def mean_color_beside(systems: Sequence[System]) -> MeanColor:
    """The mean colour of the training set of the first model that knows it, or of the default."""
    for system in systems:
        if isinstance(system, ModelSystem) and system.mean_ab:
            return MeanColor(system.mean_ab, f"the training set of {system.name}")
    return MeanColor(open_model("default").card["mean_ab"], "the training set of default")
