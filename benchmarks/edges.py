"""How well colours follow edges when the network's coarse ab are put onto a larger photograph.

    python benchmarks/edges.py PHOTOS [--match REGEX] [--limit N]

The ab of a colour photograph, averaged down to a fourth and to a sixteenth of its size, stand for a
network's perfect answer (retint's networks see a photograph at a fourth of its size, if that has a
short side of 1024, and answer at a fourth of that). They are put back by several ways that see only
the lightness, and compared with the truth, in ab units:

- edges: mean distance within 8 pixels of strong edges, where ab of the truth change by more than 3
  a pixel and L does within 2 pixels, too (after a blur of 1 pixel);
- all: mean distance over the picture;
- halo: by how much a and b leave, near edges, the range that they have within 4 pixels in truth.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from retint import lab
from retint.merge import fit_coloring
from retint.pictures import decode, find_pictures, spread
from retint.tables import Table

Float = NDArray[Any]  # float32

STEP = 4  # from the photograph to what a network sees, and from that to its answer
SIZES = (STEP, STEP * STEP)  # of ab: so many times smaller than the photograph
STRONG = 3.0  # ab units, or L, a pixel
BAND = 8  # pixels


def plain(interpolation: int) -> Callable[[Float, Float], Float]:
    """Enlarging that does not look at the lightness."""

    def enlarge(lightness: Float, ab: Float) -> Float:
        return cv2.resize(ab, lightness.shape[::-1], interpolation=interpolation)

    return enlarge


def joint_bilateral(lightness: Float, ab: Float, reach: int = 2) -> Float:
    """Kopf et al. 2007, "Joint Bilateral Upsampling": sigmas of 1 cell and 10 L."""
    rows, columns = ab.shape[:2]
    small = shrink(lightness, lightness.shape[0] // rows)
    places = np.indices(lightness.shape, np.float32) + 0.5
    y, x = (
        p * n / s - 0.5 for p, n, s in zip(places, (rows, columns), lightness.shape, strict=True)
    )
    total, weights = np.zeros((*lightness.shape, 2), np.float32), np.full_like(lightness, 1e-9)
    for down, right in np.ndindex(2 * reach + 1, 2 * reach + 1):
        row, column = np.rint(y) + down - reach, np.rint(x) + right - reach
        cell = (
            row.clip(0, rows - 1).astype(np.intp),
            column.clip(0, columns - 1).astype(np.intp),
        )
        far = ((row - y) ** 2 + (column - x) ** 2) / 2
        weight = np.exp(-far - (lightness - small[cell]) ** 2 / (2 * 10**2))
        total += weight[:, :, None] * ab[cell]
        weights += weight
    return total / weights[:, :, None]


def guided_filter(lightness: Float, ab: Float, radius: int = 2, edge: float = 1.0) -> Float:
    """He and Sun 2015, "Fast Guided Filter", at the size that the network sees."""
    seen = shrink(lightness, STEP)

    def box(image: Float) -> Float:
        side = 2 * radius + 1
        return cv2.blur(image, (side, side), borderType=cv2.BORDER_REFLECT)

    ab = cv2.resize(ab, seen.shape[::-1])
    mean = box(seen)[:, :, None]
    variance = box(seen * seen)[:, :, None] - mean * mean
    slope = (box(seen[:, :, None] * ab) - mean * box(ab)) / (variance + edge**2)
    return lines(lightness, box(slope), box(box(ab) - slope * mean))


def retint(lightness: Float, ab: Float) -> Float:
    """What `retint.merge` does, before it looks at the gamut."""
    coloring = fit_coloring(shrink(lightness, STEP), ab)
    return lines(lightness, coloring.slope, coloring.offset)


WAYS: dict[str, Callable[[Float, Float], Float]] = {
    "nearest": plain(cv2.INTER_NEAREST),
    "bilinear": plain(cv2.INTER_LINEAR),
    "bicubic": plain(cv2.INTER_CUBIC),
    "joint bilateral": joint_bilateral,
    "fast guided filter": guided_filter,
    "retint": retint,
}


def lines(lightness: Float, slope: Float, offset: Float) -> Float:
    """Evaluate `slope * L + offset`, of small maps, at the photograph's size."""
    size = lightness.shape[::-1]
    enlarged: Float = cv2.resize(slope, size) * lightness[:, :, None] + cv2.resize(offset, size)
    return enlarged


def shrink(image: Float, factor: int) -> Float:
    """Averages of squares of `factor` pixels a side."""
    size = image.shape[1] // factor, image.shape[0] // factor
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def change(channels: Float) -> Float:
    """Length of the gradient of (H, W, C), a pixel."""
    blurred = cv2.GaussianBlur(channels, (0, 0), 1)
    slopes = (cv2.Sobel(blurred, cv2.CV_32F, *order) / 8 for order in ((1, 0), (0, 1)))
    squares = np.atleast_3d(sum(slope**2 for slope in slopes))
    length: Float = np.sqrt(squares.sum(axis=2))
    return length


def near_edges(photograph: Float) -> NDArray[np.bool_]:
    """Where, in Lab (H, W, 3), an edge of both lightness and ab is near."""
    lightness = (change(photograph[:, :, 0]) > STRONG).astype(np.uint8)
    edges = (change(photograph[:, :, 1:]) > STRONG) & (cv2.dilate(lightness, np.ones((5, 5))) > 0)
    if not edges.any():
        return edges
    distance = cv2.distanceTransform((~edges).astype(np.uint8), cv2.DIST_L2, 5)
    near: NDArray[np.bool_] = distance <= BAND
    return near


def measure(photograph: Float, near: NDArray[np.bool_]) -> list[list[list[float]]]:
    """Errors near edges and of all, and halos, of Lab (H, W, 3), by size and by way."""
    lightness, truth = photograph[:, :, 0], np.ascontiguousarray(photograph[:, :, 1:])
    around = np.ones((9, 9), np.uint8)
    least, most = cv2.erode(truth, around), cv2.dilate(truth, around)
    table = []
    for size in SIZES:
        results = [way(lightness, shrink(truth, size)) for way in WAYS.values()]
        errors = [np.linalg.norm(result - truth, axis=2) for result in results]
        halos = [(result - result.clip(least, most))[near] for result in results]
        table.append(
            [
                [float(error[near].mean()), float(error.mean()), float(np.abs(halo).sum(1).mean())]
                for error, halo in zip(errors, halos, strict=True)
            ]
        )
    return table


def photographs(source: Path, match: str, limit: int) -> Iterator[Float]:
    """Lab, (H, W, 3) float32, of sides that all sizes of ab divide."""
    pictures = [picture for picture in find_pictures(source) if re.search(match, picture.name)]
    for picture in spread(pictures, limit):
        pixels = decode(picture, lambda image: image)
        if not isinstance(pixels, str):
            height, width = (side // SIZES[-1] * SIZES[-1] for side in pixels.shape[:2])
            yield lab.rgb_to_lab(pixels[:height, :width].astype(np.float32) / 255)


def main() -> None:
    """Measure and print a table for each size of ab."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--match", default="", help="only pictures whose names have this in them")
    parser.add_argument("--limit", type=int, default=100, help="photographs, spread over all")
    arguments = parser.parse_args()
    figures = [
        measure(photograph, near)
        for photograph in photographs(arguments.photos, arguments.match, arguments.limit)
        if (near := near_edges(photograph)).mean() > 0.005
    ]
    console = Console(width=100)
    for size, means in zip(SIZES, np.mean(figures, axis=0), strict=True):
        bilinear = means[list(WAYS).index("bilinear")][0]
        rows = [
            [way, *(f"{value:.2f}" for value in row), f"{row[0] / bilinear - 1:+.0%}"]
            for way, row in zip(WAYS, means, strict=True)
        ]
        console.print(f"\nab at 1/{size} of the size, {len(figures)} photographs")
        console.print(Table(["", "edges", "all", "halo", "edges to bilinear"], rows).rich())


if __name__ == "__main__":
    main()
