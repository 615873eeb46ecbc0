"""Small ab onto a large photograph: edge-aware, in gamut, strip by strip.

The ab of the network are fitted, in every small window, as a linear function of lightness (the
guided filter of He et al. 2013, in the subsampled form of He and Sun 2015, "Fast Guided Filter").
Only the coefficients are enlarged; the photograph's own lightness then puts the edges in place.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retint import lab

Float = NDArray[Any]  # float32
Pixels = NDArray[Any]  # uint8 or uint16

STRIP_ROWS = 128
_RADIUS = 2  # of the windows, pixels of the network's input
_EDGE = 1.0  # lightness differences below this hardly count as edges
_BISECTIONS = 10  # of the chroma; 2^-10 of 128 is far below what 16 bits show
_DARKEST = 1e-6  # linear light this little beyond [0, 1] is rounding


@dataclass(frozen=True)
class Coloring:
    """What a network's ab say about a photograph of any size.

    `slope` and `offset` are (h, w, 2) float32: `ab = slope * L + offset`, at the network's size.
    """

    slope: Float
    offset: Float


def fit_coloring(lightness: Float, ab: Float) -> Coloring:
    """Fit ab as a local linear function of lightness.

    Args:
        lightness: (h, w), L in [0, 100] as the network saw it.
        ab: (h / k, w / k, 2), the network's answer in ab units.
    """
    height, width = lightness.shape
    ab = cv2.resize(ab, (width, height), interpolation=cv2.INTER_LINEAR)
    guide = lightness[:, :, None]
    mean_guide, mean_ab = _box(lightness)[:, :, None], _box(ab)
    covariance = _box(guide * ab) - mean_guide * mean_ab
    variance = _box(lightness * lightness)[:, :, None] - mean_guide * mean_guide
    slope = covariance / (np.maximum(variance, 0) + _EDGE**2)
    return Coloring(_box(slope), _box(mean_ab - slope * mean_guide))


def merge(
    pixels: Pixels, coloring: Coloring, strength: float = 1.0, strip_rows: int = STRIP_ROWS
) -> Pixels:
    """Colour a photograph, keeping its lightness.

    Colours that sRGB cannot show lose chroma, at the same lightness and hue, never lightness:
    that stays within 0.25 L of the photograph's in 8 bits, within 0.01 in 16.

    Args:
        pixels: sRGB, grey (H, W) or colour (H, W, 3), uint8 or uint16; of colours, only the
            lightness is used.
        coloring: what `fit_coloring` gave.
        strength: gain on ab; 0 gives grey.
        strip_rows: rows worked on at a time; changes memory, never the result.

    Returns:
        (H, W, 3) of the dtype of `pixels`.
    """
    height, width = pixels.shape[:2]
    result = np.empty((height, width, 3), pixels.dtype)
    coefficients = np.concatenate((coloring.slope, coloring.offset), axis=2) * np.float32(strength)
    encode: Callable[[Float], Pixels] = _to_bytes if pixels.dtype == np.uint8 else _to_words

    def color_strip(top: int) -> None:
        rows = slice(top, min(top + strip_rows, height))
        lightness = lightness_of(pixels[rows])
        enlarged = _enlarge(coefficients, rows, height, width)
        ab = enlarged[:, :, :2] * lightness[:, :, None] + enlarged[:, :, 2:]
        result[rows] = encode(_to_linear_in_gamut(lightness, ab))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(color_strip, range(0, height, strip_rows)):
            pass
    return result


def lightness_of(pixels: Pixels) -> Float:
    """CIE L, (H, W) float32 in [0, 100], of sRGB pixels, grey (H, W) or colour (H, W, 3)."""
    if pixels.ndim == 2:
        lightness: Float = _lightness_table(pixels.dtype)[pixels]
        return lightness
    red, green, blue = lab.LUMINANCE
    linear = _linear_table(pixels.dtype)
    luminance = linear[pixels[:, :, 0]] * np.float32(red)
    luminance += linear[pixels[:, :, 1]] * np.float32(green)
    luminance += linear[pixels[:, :, 2]] * np.float32(blue)
    return lab.luminance_to_lightness(luminance)


def _box(image: Float) -> Float:
    size = 2 * _RADIUS + 1
    mean: Float = cv2.blur(image, (size, size), borderType=cv2.BORDER_REFLECT)
    return mean


def _enlarge(maps: Float, rows: slice, height: int, width: int) -> Float:
    """Rows of `maps` (h, w, C) bilinearly enlarged to (height, width, C)."""
    # Vertically by hand, so that a row comes out the same in whatever strip it lies.
    place = (np.arange(rows.start, rows.stop) + 0.5) * (maps.shape[0] / height) - 0.5
    above = np.clip(np.floor(place), 0, maps.shape[0] - 1).astype(np.intp)
    below = np.minimum(above + 1, maps.shape[0] - 1)
    share = np.clip(place - above, 0, 1).astype(np.float32)[:, None, None]
    mixed = maps[above] * (1 - share) + maps[below] * share
    enlarged: Float = cv2.resize(mixed, (width, len(mixed)), interpolation=cv2.INTER_LINEAR)
    return enlarged


def _to_linear_in_gamut(lightness: Float, ab: Float) -> Float:
    """Linear RGB (H, W, 3) of Lab, with chroma scaled down to the edge of the gamut."""
    linear = lab.lab_to_linear(lightness, ab[:, :, 0], ab[:, :, 1])
    outside = ((linear < -_DARKEST) | (linear > 1 + _DARKEST)).any(axis=2)
    if outside.any():
        light, (a, b) = lightness[outside], ab[outside].T
        low, high = np.zeros_like(light), np.ones_like(light)
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            trial = lab.lab_to_linear(light, a * middle, b * middle)
            inside = ((trial >= -_DARKEST) & (trial <= 1 + _DARKEST)).all(axis=1)
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
        linear[outside] = lab.lab_to_linear(light, a * low, b * low)
    clipped: Float = np.clip(linear, 0, 1, out=linear)
    return clipped


def _to_bytes(linear: Float) -> NDArray[np.uint8]:
    return _byte_table()[(linear * 65535 + 0.5).astype(np.uint16)]


def _to_words(linear: Float) -> NDArray[np.uint16]:
    return (lab.linear_to_srgb(linear) * 65535 + 0.5).astype(np.uint16)


@cache
def _byte_table() -> NDArray[np.uint8]:
    """SRGB byte of linear light in steps of 1/65535."""
    return (lab.linear_to_srgb(np.arange(65536) / 65535) * 255 + 0.5).astype(np.uint8)


@cache
def _linear_table(dtype: np.dtype[Any]) -> Float:
    most = np.iinfo(dtype).max
    return lab.srgb_to_linear(np.arange(most + 1) / most).astype(np.float32)


@cache
def _lightness_table(dtype: np.dtype[Any]) -> Float:
    most = np.iinfo(dtype).max
    return lab.luminance_to_lightness(lab.srgb_to_linear(np.arange(most + 1) / most)).astype(
        np.float32
    )
