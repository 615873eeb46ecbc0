"""How steady the colours of films are, against colouring every frame by itself.

    python benchmarks/video.py [PHOTOS] [--model NAME|FILE] [--frames 24]

Clips are made from photographs: a pan, a zoom, a still with grain, and a cut. Their motion is
known, so each frame's ab can be compared, at every pixel, with those that the frame before gives
to the same place: the mean distance is the flicker. Colourfulness stands beside it, because grey
does not flicker. Of the cut: how far the first frame after it is from its colours by itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track

from retint import Colorizer
from retint.evaluation.metrics import colorfulness
from retint.evaluation.protocol import lab_of
from retint.photo import SUFFIXES
from retint.tables import Table
from retint.video import FilmOptions, Painter

SAMPLES = Path(__file__).parent.parent / "samples"
HEIGHT, WIDTH = 256, 384
GRAIN = 8  # standard deviation, of 255

Picture = NDArray[Any]


@dataclass(frozen=True)
class View:
    """A frame's window in its photograph: where it lies, 0 to 1, and its share of the size."""

    x: float
    y: float
    share: float

    def map(self, photo: Picture) -> Picture:
        """Matrix (2, 3) from pixels of the frame to those of the photograph."""
        height, width = photo.shape
        rows = min(height, width * HEIGHT / WIDTH) * self.share
        columns = rows * WIDTH / HEIGHT
        left, top = (width - columns) * self.x, (height - rows) * self.y
        return np.array([[columns / WIDTH, 0, left], [0, rows / HEIGHT, top]])

    def frame(self, photo: Picture) -> Picture:
        """Pixels of the frame."""
        return warp(photo, self.map(photo))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, nargs="?", default=SAMPLES)
    parser.add_argument("--model", default="default")
    parser.add_argument("--frames", type=int, default=24)
    arguments = parser.parse_args()

    paths = sorted(p for p in arguments.photos.iterdir() if p.suffix.lower() in SUFFIXES)
    photos = [np.asarray(Image.open(path).convert("L")) for path in paths]
    colorizer = Colorizer(arguments.model)
    steps = np.linspace(0, 1, arguments.frames)
    kinds = {
        "pan": [View(0.1 + 0.8 * step, 0.5, 0.7) for step in steps],
        "zoom": [View(0.5, 0.5, 0.9 - 0.4 * step) for step in steps],
        "still with grain": [View(0.5, 0.5, 0.8) for _ in steps],
        "still": [View(0.5, 0.5, 0.8) for _ in steps],
    }
    rows = []
    for kind, views in kinds.items():
        grain = GRAIN if "grain" in kind else 0
        figures = [measure(colorizer, photo, views, grain) for photo in track(photos, kind)]
        rows.append(row(kind, np.mean(figures, axis=0)))

    console = Console(width=120)
    console.print(f"{arguments.model}, {len(photos)} photographs of {arguments.photos}")
    header = (
        "ab between frames",
        "each by itself",
        "steady",
        "lower by",
        "colour / each by itself",
    )
    console.print(Table(header, rows).rich())
    leaks = [leak(colorizer, one, two) for one, two in pairwise([*photos, photos[0]])]
    console.print(f"ab after a cut, from those of the frame by itself: at most {max(leaks):.2f}")


def measure(
    colorizer: Colorizer, photo: Picture, views: Sequence[View], grain: float
) -> tuple[float, ...]:
    """Flicker and colourfulness, by frames themselves and steady."""
    random = np.random.default_rng(0)
    frames = [with_grain(view.frame(photo), grain, random) for view in views]
    painter = Painter(colorizer.model, FilmOptions())
    alone = [colorizer(frame) for frame in frames]
    steady = [painter.paint(frame)[0] for frame in frames]
    maps = [view.map(photo) for view in views]
    return (
        flicker(alone, maps),
        flicker(steady, maps),
        float(np.mean([colorfulness(frame / 255) for frame in alone])),
        float(np.mean([colorfulness(frame / 255) for frame in steady])),
    )


def row(kind: str, figures: Picture) -> list[str]:
    """A row of the table."""
    alone, steady, colors_alone, colors_steady = figures
    lower = f"{100 * (1 - steady / alone):.0f}%" if alone else "-"
    return [kind, f"{alone:.3f}", f"{steady:.3f}", lower, f"{colors_steady / colors_alone:.3f}"]


def flicker(frames: Sequence[Picture], maps: Sequence[Picture]) -> float:
    """Mean distance of the ab of frames to those before them at the same place."""
    found = []
    inside = np.ones((HEIGHT, WIDTH), np.float32)
    abs_ = [lab_of(frame)[:, :, 1:].astype(np.float32) for frame in frames]
    for (before, old), (now, new) in pairwise(zip(abs_, maps, strict=True)):
        # From a pixel of this frame to the photograph, and from there to the frame before.
        moved = np.linalg.inv(square(old)) @ square(new)
        seen = warp(inside, moved[:2]) > 0.999
        distance = np.linalg.norm(warp(before, moved[:2]) - now, axis=2)
        found.append(float(distance[seen].mean()))
    return float(np.mean(found))


def leak(colorizer: Colorizer, one: Picture, two: Picture) -> float:
    """Largest distance in ab of a frame after a cut to the same frame by itself."""
    painter = Painter(colorizer.model, FilmOptions())
    view = View(0.5, 0.5, 0.8)
    painter.paint(view.frame(one))
    first, _ = painter.paint(view.frame(two))
    distance = lab_of(first) - lab_of(colorizer(view.frame(two)))
    return float(np.linalg.norm(distance[:, :, 1:], axis=2).max())


def with_grain(frame: Picture, grain: float, random: np.random.Generator) -> Picture:
    """The frame with noise of its own."""
    noisy = frame + random.normal(0, grain, frame.shape)
    return np.clip(noisy, 0, 255).round().astype(np.uint8)


def warp(picture: Picture, matrix: Picture) -> Picture:
    """A frame whose pixels lie in `picture` where `matrix` says."""
    warped: Picture = cv2.warpAffine(
        picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    return warped


def square(matrix: Picture) -> Picture:
    """A (2, 3) matrix as (3, 3)."""
    return np.vstack((matrix, (0, 0, 1)))


if __name__ == "__main__":
    main()
