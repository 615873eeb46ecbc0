"""Small ab onto a large photograph: edge-aware, in gamut, strip by strip.

The ab of the network are coarse. At the size of its input they are sharpened along the edges of
lightness: a guided filter (He et al. 2013, "Guided Image Filtering") and back-projection (Irani and
Peleg 1991, "Improving Resolution by Image Registration") take turns, so that ab follow lightness
and still average to the network's answer. Above that size ab are a local linear function of
lightness, of which only the coefficients are enlarged (He and Sun 2015, "Fast Guided Filter").
`benchmarks/edges.py` measures this against other ways.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retint import lab
from retint.errors import RetintError

Float = NDArray[Any]  # float32
Pixels = NDArray[Any]  # uint8 or uint16

# Worked on at a time: few enough for the cache, many for two threads. Changes speed and memory,
# never the result.
STRIP_PIXELS = 131072
_THREADS = os.cpu_count() or 1
_STRONGEST = 10  # most chroma is at the edge of what sRGB shows long before
_RADIUS = 1  # of the windows, pixels of the network's input
_EDGE = 2.0  # lightness differences below this hardly count as edges
_DETAIL_EDGE = 40.0  # the same, for detail that the network has not seen: its colours are a guess
_ROUNDS = 12  # of sharpening
_CLEARINGS = 2  # rounds against the blur of enlarging
_LIGHTNESSES, _TURNS = 256, 1024  # cells of the table of chroma limits
_BISECTIONS = 12  # of the limits, which are below 256
_SPARE = np.float32(0.002)  # of a limit
_SIGN = np.int32(-(2**31))  # its bit, of a float32
_SLOPE = 3 * lab.JOIN**2  # of the line that goes on where a cube ends
_WHITE = 65535.0**2  # light of which the root is the last index of the tables by root
_XYZ_TO_LINEAR = (_WHITE * np.asarray(lab.RELATIVE_XYZ_TO_RGB)).tolist()
_DARK = 1e-7 * _WHITE  # so little light that it does not show; black, rounded, still has a root


@dataclass(frozen=True)
class Coloring:
    """What a network's ab say about a photograph of any size.

    `slope` and `offset` are (h, w, 2) float32: `ab = slope * L + offset`, at the network's size.
    """

    slope: Float
    offset: Float


def fit_coloring(lightness: Float, ab: Float) -> Coloring:
    """Sharpen ab along the edges of lightness, and tie what is finer still to lightness.

    Args:
        lightness: (h, w), L in [0, 100] as the network saw it.
        ab: (h / k, w / k, 2), the network's answer in ab units.
    """
    # One channel after the other: NumPy is slow where the last axis is short.
    lines = [_fit_channel(lightness, channel) for channel in cv2.split(ab)]
    slope, offset = (np.dstack(maps) for maps in zip(*lines, strict=True))
    return Coloring(slope, offset)


def sharpen(lightness: Float, ab: Float) -> Float:
    """Enlarge ab (h / k, w / k, 2) to lightness (h, w) so that edges of both coincide."""
    return np.dstack([_sharpen(lightness, channel) for channel in cv2.split(ab)])


def _fit_channel(lightness: Float, channel: Float) -> tuple[Float, Float]:
    """Slope and offset (h, w) of a or b, (h / k, w / k)."""
    sharp = _sharpen(lightness, channel)
    slope, _ = _fit_lines(lightness, sharp, _DETAIL_EDGE)
    # Where L is as it was for the network, the line must give the sharpened channel.
    offset = sharp - slope * lightness
    # Bilinear enlarging, averaged over a pixel, is this blur: what it takes away is added.
    weights = np.array([1, 6, 1], np.float32) / 8
    clear = offset
    for _ in range(_CLEARINGS):
        blurred = cv2.sepFilter2D(clear, -1, weights, weights, borderType=cv2.BORDER_REPLICATE)
        clear = clear + (offset - blurred)
    return slope, clear


def _sharpen(lightness: Float, channel: Float) -> Float:
    """Enlarge a or b (h / k, w / k) to lightness (h, w) so that edges of both coincide.

    In turns, it becomes what lightness says of its surroundings, and then is corrected so that its
    averages are those of the channel that was given.
    """
    rows, columns = channel.shape
    height, width = lightness.shape
    sharp: Float = cv2.resize(channel, (width, height), interpolation=cv2.INTER_LINEAR)
    for _ in range(_ROUNDS):
        slope, offset = _fit_lines(lightness, sharp, _EDGE)
        sharp = slope * lightness + offset
        lacking = channel - cv2.resize(sharp, (columns, rows), interpolation=cv2.INTER_AREA)
        sharp += cv2.resize(lacking, (width, height), interpolation=cv2.INTER_LINEAR)
    return sharp


def _fit_lines(lightness: Float, channel: Float, edge: float) -> tuple[Float, Float]:
    """Slope and offset (h, w) of a or b (h, w), linear in lightness in small windows around.

    Where lightness differs by less than `edge`, the channel is rather averaged.
    """
    mean_lightness, mean_channel = _box(lightness), _box(channel)
    covariance = _box(lightness * channel) - mean_lightness * mean_channel
    variance = _box(lightness * lightness) - mean_lightness * mean_lightness
    slope = covariance / (np.maximum(variance, 0) + np.float32(edge**2))
    return _box(slope), _box(mean_channel - slope * mean_lightness)


def merge(pixels: Pixels, coloring: Coloring, strength: float = 1.0) -> Pixels:
    """Colour a photograph, keeping its lightness.

    Colours that sRGB cannot show lose chroma, at the same lightness and hue, never lightness:
    that stays within 0.26 L of the photograph's in 8 bits (rounding alone takes 0.253 at most),
    within 0.01 in 16.

    Args:
        pixels: sRGB, grey (H, W) or colour (H, W, 3), uint8 or uint16; of colours, only the
            lightness is used.
        coloring: what `fit_coloring` gave.
        strength: gain on ab, 0 to 10; 0 gives grey.

    Returns:
        (H, W, 3) of the dtype of `pixels`.

    Raises:
        RetintError: if the strength is another.
    """
    check_strength(strength)
    height, width = pixels.shape[:2]
    step = min(height, max(1, STRIP_PIXELS // width))
    result = np.empty((height, width, 3), pixels.dtype)
    channels = (*cv2.split(coloring.slope), *cv2.split(coloring.offset))
    maps = np.stack(channels) * np.float32(strength)
    threads = min(_THREADS, -(-height // step))

    def color_strips(first: int) -> None:
        work = _Workspace(step, width, pixels.dtype)
        for top in range(first * step, height, threads * step):
            rows = slice(top, min(top + step, height))
            _color_strip(pixels[rows], maps, rows, height, work, result[rows])

    for _ in _pool().map(color_strips, range(threads)):
        pass
    return result


def check_strength(strength: float) -> None:
    """See that `merge` takes a strength.

    Raises:
        RetintError: if it does not.
    """
    if not 0 <= strength <= _STRONGEST:  # nor is a NaN
        raise RetintError(f"strength {strength:g} is not a number from 0 to {_STRONGEST}")


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads that photographs which are merged at the same time share."""
    return ThreadPoolExecutor(_THREADS, "merging")


if hasattr(os, "register_at_fork"):  # a forked process has the pool, but none of its threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def lightness_of(pixels: Pixels, out: Float | None = None) -> Float:
    """CIE L, (H, W) float32 in [0, 100], of sRGB pixels, grey (H, W) or colour (H, W, 3).

    Written into `out`, if that is given.
    """
    if pixels.ndim == 2:
        return _look_up(_lightness_table(pixels.dtype), pixels, out)
    luminance = np.zeros(pixels.shape[:2], np.float32)
    for channel, share in zip(cv2.split(pixels), lab.LUMINANCE, strict=True):
        luminance += _look_up(_linear_table(pixels.dtype), channel) * np.float32(share)
    np.sqrt(luminance, out=luminance)
    luminance *= 65535
    return _look_up(_root_lightness_table(), luminance.astype(np.uint16), out)


def seen_lightness(pixels: Pixels, rows: int, columns: int) -> Float:
    """`lightness_of` pixels (H, W) or (H, W, 3) at the (rows, columns) that a network takes."""
    smaller = rows * columns < pixels.shape[0] * pixels.shape[1]
    scaling = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return lightness_of(cv2.resize(pixels, (columns, rows), interpolation=scaling))


class _Workspace:
    """Arrays that a thread uses for strip after strip: fresh memory costs more than arithmetic."""

    def __init__(self, rows: int, width: int, dtype: np.dtype[Any]) -> None:
        self._width = width
        self._planes = np.empty(6 * rows * width, np.float32)
        self._cells = np.empty(rows * width, np.intp)
        self._levels = np.empty(3 * rows * width, np.uint16)
        self._colors = np.empty(3 * rows * width, dtype)

    def planes(self, rows: int) -> Float:
        """(6, rows, width) float32."""
        return self._planes[: 6 * rows * self._width].reshape(6, rows, self._width)

    def cells(self, rows: int) -> NDArray[np.intp]:
        """(rows, width) whole numbers, as fast to take with as can be."""
        return self._cells[: rows * self._width].reshape(rows, self._width)

    def levels(self, rows: int) -> NDArray[np.uint16]:
        """(3 rows, width) uint16."""
        return self._levels[: 3 * rows * self._width].reshape(3 * rows, self._width)

    def colors(self, rows: int) -> Pixels:
        """(3 rows, width) of the photograph's dtype."""
        return self._colors[: 3 * rows * self._width].reshape(3 * rows, self._width)


def _enlarge(maps: Float, rows: slice, height: int, out: Float) -> None:
    """Rows of maps (n, h, w), bilinearly enlarged to `height`, into `out` (n, rows, W).

    The maps are not enlarged whole: that would take more memory than the photograph.
    """
    count, last = len(maps), maps.shape[1] - 1
    place = np.arange(rows.start, rows.stop, dtype=np.float64) + 0.5
    place = np.clip(place * ((last + 1) / height) - 0.5, 0, last)
    above = place.astype(np.intp)
    share = (place - above).astype(np.float32)[:, None]
    between = maps[:, above]
    between += share * (maps[:, np.minimum(above + 1, last)] - between)
    # OpenCV enlarges rows by twos, and an odd one with other roundings: an even number of maps
    # makes a row come out the same in whatever strip it lies.
    size = out.shape[2], count * out.shape[1]
    cv2.resize(
        between.reshape(size[1], -1), size, out.reshape(size[::-1]), interpolation=cv2.INTER_LINEAR
    )


def _color_strip(
    pixels: Pixels, maps: Float, rows: slice, height: int, work: _Workspace, result: Pixels
) -> None:
    """Colour rows of a photograph so high; `maps` are the slopes of a and b, then their offsets."""
    count = len(pixels)
    planes = work.planes(count)
    ab, offsets, spares, lightness = planes[:2], planes[2:4], planes[2:5], planes[5]
    _enlarge(maps, rows, height, planes[:4])
    lightness_of(pixels, lightness)
    ab *= lightness
    ab += offsets
    _fit_gamut(lightness, ab, spares, work.cells(count))
    _to_linear(lightness, ab, spares)
    linear = spares.reshape(3 * count, -1)
    np.sqrt(linear, out=linear)
    levels, colors = work.levels(count), work.colors(count)
    np.copyto(levels, linear, casting="unsafe")
    _look_up(_srgb_table(pixels.dtype), levels, colors)
    cv2.merge(np.split(colors, 3), result)


def _box(image: Float) -> Float:
    size = 2 * _RADIUS + 1
    mean: Float = cv2.blur(image, (size, size), borderType=cv2.BORDER_REFLECT)
    return mean


def _fit_gamut(lightness: Float, ab: Float, spares: Float, cells: NDArray[np.intp]) -> None:
    """Scale chroma of ab (2, H, W), in place, down to what sRGB can show at this L and hue."""
    total, turn, row = spares
    np.abs(ab[0], out=total)
    np.abs(ab[1], out=turn)
    cv2.addWeighted(total, 1, turn, 1, 1e-9, total)  # more than none, for greys
    # Hue without the arctangent: the way, from the left, along the rim of |a| + |b| = 1, with the
    # sign of b: its bit is set, as that is far faster than `copysign`.
    np.divide(ab[0], total, out=turn)
    np.subtract(1, turn, out=turn)
    sign = np.bitwise_and(ab[1].view(np.int32), _SIGN, out=row.view(np.int32))
    np.bitwise_or(turn.view(np.int32), sign, out=turn.view(np.int32))
    np.multiply(lightness, np.float32(_LIGHTNESSES / 100.001), out=row)
    np.floor(row, out=row)
    # The cell, once cut to a whole number; the little more keeps its least values in their row.
    scale = _TURNS / 4.0001
    cv2.addWeighted(turn, scale, row, _TURNS, 2 * scale + 0.01, row)
    np.copyto(cells, row, casting="unsafe")
    share = chroma_limits().take(cells, mode="clip", out=turn)
    share /= total
    np.minimum(share, 1, out=share)
    ab *= share


def _to_linear(lightness: Float, ab: Float, rgb: Float) -> None:
    """Linear RGB up to `_WHITE`, into `rgb` (3, H, W); L (H, W) and ab (2, H, W) are spent.

    As `lab.lab_to_linear`, but in few steps over memory. OpenCV's Lab would be as fast, but for its
    tables: they take longer to make than a small photograph to be coloured.
    """
    a, b = ab
    root, cube, _ = rgb
    cv2.addWeighted(lightness, 1 / 116, lightness, 0, 16 / 116, lightness)
    cv2.scaleAdd(a, 1 / 500, lightness, a)
    cv2.scaleAdd(b, -1 / 200, lightness, b)
    for f in (a, lightness, b):  # become X, Y and Z
        # A cube, and below its join with it a line: root^3 + slope (f - root).
        np.maximum(f, lab.JOIN, out=root)
        cv2.pow(root, 3, cube)
        cv2.addWeighted(f, _SLOPE, root, -_SLOPE, 0, root)
        cv2.add(root, cube, f)
    for channel, (of_x, of_y, of_z) in zip(rgb, _XYZ_TO_LINEAR, strict=True):
        cv2.addWeighted(a, of_x, lightness, of_y, _DARK, channel)
        cv2.scaleAdd(b, of_z, channel, channel)


@cache
def chroma_limits() -> Float:
    """The largest |a| + |b| in sRGB, for cells of L (rows) and hue (columns), raveled; float32.

    Of a cell it is the least limit, found at its corners, less `_SPARE` for the bend between them.
    """
    light = np.linspace(0, 100, _LIGHTNESSES + 1, dtype=np.float32)[:, None]
    turn = np.linspace(-2, 2, _TURNS + 1, dtype=np.float32)
    shape = light.size, turn.size
    a, b = 1 - np.abs(turn), np.copysign(1 - np.abs(1 - np.abs(turn)), turn)
    low, step = np.zeros(shape, np.float32), np.float32(128)
    rgb = np.empty((3, *shape), np.float32)
    for _ in range(_BISECTIONS):
        tried = low + step
        lightness = np.broadcast_to(light, shape).copy()
        _to_linear(lightness, np.stack((a * tried, b * tried)), rgb)
        low += step * ((rgb > 1e-6 * _WHITE) & (rgb < (1 - 1e-6) * _WHITE)).all(axis=0)
        step /= 2
    corners = (low[:-1, :-1], low[1:, :-1], low[:-1, 1:], low[1:, 1:])
    limits: Float = (1 - _SPARE) * np.minimum.reduce(corners).ravel()
    return limits


def _look_up(
    table: NDArray[Any], index: NDArray[Any], out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """`table[index]`, far faster; the table has an entry for every index of uint8 or uint16."""
    found: NDArray[Any] = cv2.LUT(index, table, out)
    return found


@cache
def _light_of_index() -> NDArray[np.float64]:
    """Linear light by its square root in 65535 steps, amid all that is cut to the same step.

    The steps spread as eyes, and sRGB, do: none is more than two of sRGB in 16 bits.
    """
    return np.minimum((np.arange(65536) + 0.5) / 65535, 1) ** 2


@cache
def _srgb_table(dtype: np.dtype[Any]) -> Pixels:
    """SRGB, of 8 or 16 bits, by the root of linear light."""
    return (lab.linear_to_srgb(_light_of_index()) * np.iinfo(dtype).max + 0.5).astype(dtype)


@cache
def _root_lightness_table() -> Float:
    """L by the root of linear light."""
    return lab.luminance_to_lightness(_light_of_index()).astype(np.float32)


@cache
def _linear_table(dtype: np.dtype[Any]) -> Float:
    """Linear light by sRGB."""
    most = np.iinfo(dtype).max
    return lab.srgb_to_linear(np.arange(most + 1) / most).astype(np.float32)


@cache
def _lightness_table(dtype: np.dtype[Any]) -> Float:
    """L by sRGB grey."""
    most = np.iinfo(dtype).max
    return lab.luminance_to_lightness(lab.srgb_to_linear(np.arange(most + 1) / most)).astype(
        np.float32
    )
