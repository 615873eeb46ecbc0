"""Colour hints: colours that a person asks for at places of a photograph."""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retint import lab
from retint.errors import RetintError, first_line
from retint.photo import read_photo

_SPOT = 3  # pixels of the network's input around a hint's place; it learnt from spots of 0 to 4
_STROKE_CELLS = 256  # strokes are read as cells, so many on the picture's short side at most
# Share of a cell that paint has to cover: thin lines on large pictures count, rounding does not.
_PAINTED = 1e-3

_REACH = 0.6  # of the short side: how far a hint reaches over an even surface
_EDGE = 9.0  # a step of L between neighbouring cells that ends its reach

_HINT = re.compile(r"(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*#?([0-9a-fA-F]{6})")


@dataclass(frozen=True)
class Hint:
    """A wish: this colour at this place.

    Attributes:
        x: pixels from the left of the photograph, as it is shown.
        y: pixels from its top.
        color: sRGB bytes. Hue and chroma count; lightness stays the photograph's own, and chroma
            that sRGB cannot show at that lightness is cut.
        radius: of the square that has the colour, pixels of the photograph; None for a spot of
            the size that the network knows best.
    """

    x: int
    y: int
    color: tuple[int, int, int]
    radius: float | None = None

    def __post_init__(self) -> None:
        """Raises `RetintError` if the colour is none."""
        if len(self.color) != 3 or not all(0 <= value <= 255 for value in self.color):
            raise RetintError(f"hint color {self.color}: give three numbers from 0 to 255")


def parse_hint(text: str) -> Hint:
    """Read a hint written as `x,y,#rrggbb`.

    >>> parse_hint("120, 80, #3060c0")
    Hint(x=120, y=80, color=(48, 96, 192), radius=None)

    Raises:
        RetintError: if it is written otherwise.
    """
    match = _HINT.fullmatch(text.strip())
    if match is None:
        raise RetintError(f"hint '{text}': write it as x,y,#rrggbb, such as 120,80,#3060c0")
    red, green, blue = bytes.fromhex(match[3])
    return Hint(int(match[1]), int(match[2]), (red, green, blue))


def read_hints(path: Path, size: tuple[int, int]) -> list[Hint]:
    """Read hints from a file: a picture of strokes, or a .txt file with a line for each.

    Args:
        path: the file; lines are as `parse_hint` takes them, or comments that begin with #.
        size: height and width of the photograph.

    Raises:
        RetintError: if it cannot be read, holds no hints, or one is written wrongly.
    """
    hints = _read_lines(path) if path.suffix.lower() == ".txt" else _read_strokes(path, size)
    if not hints:
        raise RetintError(
            f"{path} holds no hints: paint opaque strokes, or write lines as x,y,#rrggbb"
        )
    return hints


def _read_lines(path: Path) -> list[Hint]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RetintError(f"{path} cannot be read as hints: {first_line(error)}") from error
    return [parse_hint(line) for line in lines_of_hints(text, str(path))]


def lines_of_hints(text: str, name: str) -> list[str]:
    """Lines of a text file that are hints, as `parse_hint` takes them; comments are left out.

    Args:
        text: of the file.
        name: of the file, for errors.

    Raises:
        RetintError: if a hint is written wrongly.
    """
    found = []
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        if line and not line.startswith("#"):
            try:
                parse_hint(line)
            except RetintError as error:
                raise RetintError(f"{name}, line {number}: {error}") from error
            found.append(line)
    return found


def _read_strokes(path: Path, size: tuple[int, int]) -> list[Hint]:
    """Read hints from a picture that is transparent but for strokes of colour.

    Args:
        path: a picture with alpha, of the photograph's size.
        size: height and width of the photograph.

    Raises:
        RetintError: if it cannot be read, has no alpha, or another size.
    """
    strokes = read_photo(path)
    height, width = strokes.pixels.shape[:2]
    if strokes.alpha is None:
        raise RetintError(f"{path} has no transparency: paint the hints on a transparent layer")
    if (height, width) != size:
        raise RetintError(
            f"{path} is {width} x {height}, the photograph {size[1]} x {size[0]}: paint the hints "
            "on a layer of the photograph's size"
        )
    pixels: NDArray[Any] = np.atleast_3d(strokes.pixels)
    most = np.iinfo(pixels.dtype).max
    painted = (strokes.alpha > most / 2).astype(np.float32)
    cell = max(1.0, min(size) / _STROKE_CELLS)
    grid = (max(1, round(width / cell)), max(1, round(height / cell)))
    colors = pixels.astype(np.float32) * (255 / most) * painted[:, :, None]
    share = cv2.resize(painted, grid, interpolation=cv2.INTER_AREA)
    sums = np.atleast_3d(cv2.resize(colors, grid, interpolation=cv2.INTER_AREA))
    hints = []
    for row, column in np.argwhere(share > _PAINTED):
        red, green, blue = np.broadcast_to(sums[row, column] / share[row, column], 3).round()
        x, y = (column + 0.5) * width / grid[0], (row + 0.5) * height / grid[1]
        hints.append(Hint(int(x), int(y), (int(red), int(green), int(blue)), cell / 2))
    return hints


def check_hints(hints: Sequence[Hint], size: tuple[int, int]) -> None:
    """See that hints lie inside a photograph.

    Args:
        hints: to be seen.
        size: height and width of the photograph.

    Raises:
        RetintError: if one does not.
        TypeError: if one is no `Hint`.
    """
    for hint in hints:
        if not isinstance(hint, Hint):
            raise TypeError(f"hints must be like retint.Hint(120, 80, (48, 96, 192)), not {hint!r}")
        if not (0 <= hint.x < size[1] and 0 <= hint.y < size[0]):
            raise RetintError(
                f"hint {hint.x},{hint.y} lies outside the photograph: it has "
                f"{size[1]} x {size[0]} pixels"
            )


def hint_map(
    hints: Sequence[Hint], size: tuple[int, int], network_size: tuple[int, int]
) -> NDArray[np.float32]:
    """Hints as a network sees them, (h, w, 3): a, b in ab units, and 1 where there is a hint.

    Args:
        hints: inside the photograph; later ones cover earlier ones.
        size: height and width of the photograph.
        network_size: height and width (h, w) of the network's input.
    """
    rows, columns = network_size
    scales = rows / size[0], columns / size[1]
    painted = np.zeros((rows, columns, 3), np.float32)
    srgb = np.array([hint.color for hint in hints], np.float64).reshape(-1, 3) / 255
    for hint, (_, a, b) in zip(hints, lab.rgb_to_lab(srgb), strict=True):
        centre = (hint.y + 0.5) * scales[0], (hint.x + 0.5) * scales[1]
        reach = [_SPOT + 0.5 if hint.radius is None else hint.radius * scale for scale in scales]
        (top, left), (bottom, right) = (
            [int(c - r) if c > r else 0 for c, r in zip(centre, reach, strict=True)],
            [int(np.ceil(c + r)) for c, r in zip(centre, reach, strict=True)],
        )
        painted[top:bottom, left:right] = (a, b, 1)
    return painted


def keep_hints(
    ab: NDArray[np.float32], hints: NDArray[np.float32], lightness: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Give hints the colours that were asked for, and what belongs to them its share.

    What the network's answer lacks at a hint is added there and around it, less with the distance
    along the picture, in which edges of lightness count much (a geodesic distance, as in Levin et
    al. 2004, "Colorization using Optimization", in spirit). A place belongs to its nearest hint.

    Args:
        ab: the network's answer, (h / k, w / k, 2), ab units.
        hints: as `hint_map` gives them, (h, w, 3).
        lightness: (h, w), L in [0, 100].
    """
    rows, columns = ab.shape[:2]
    share = _shrink(hints[:, :, 2], (columns, rows))
    wanted = _shrink(hints[:, :, :2] * hints[:, :, 2:], (columns, rows))
    hinted = share > 0
    lacking = np.zeros_like(ab)
    lacking[hinted] = wanted[hinted] / share[hinted][:, None] - ab[hinted]
    distance, nearest = _geodesic(_shrink(lightness, (columns, rows)), np.argwhere(hinted))
    near = np.exp(-(distance**2))[:, :, None].astype(np.float32)
    moved: NDArray[np.float32] = ab + near * lacking[nearest[..., 0], nearest[..., 1]]
    return moved


def _shrink(image: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)


def _geodesic(
    lightness: NDArray[np.float32], places: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Distance (h, w) of every cell to the nearest of `places` (n, 2), and which that is.

    Distances of 1 are where a hint fades. Dijkstra's algorithm; the grid is a small one.
    """
    rows, columns = lightness.shape
    step = 1 / (_REACH * min(rows, columns))
    values = lightness.tolist()
    distance = np.full((rows, columns), np.inf)
    nearest = np.zeros((rows, columns, 2), np.intp)
    queue = [(0.0, int(row), int(column), index) for index, (row, column) in enumerate(places)]
    heapq.heapify(queue)
    while queue:
        far, row, column, source = heapq.heappop(queue)
        if far >= distance[row, column]:
            continue
        distance[row, column] = far
        nearest[row, column] = places[source]
        for y, x in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if 0 <= y < rows and 0 <= x < columns:
                edge = (values[y][x] - values[row][column]) / _EDGE
                heapq.heappush(queue, (far + step + edge * edge, y, x, source))
    return distance, nearest
