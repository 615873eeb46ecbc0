"""Grey, toned or coloured: what a photograph has of colours, and how a print's tone is taken out.

In a toned or faded print, sepia or yellowed paper, the colour follows from the lightness alone. So
a photograph counts as coloured where its ab stray far from what is usual at their lightness.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from retint import lab
from retint.photo.picture import Pixels, shrunk, to_8_bit

_SIDE = 256  # pixels: the long side at which photographs are looked at
_BINS = 16  # of lightness
_STRAYING = 99  # percentile
# On 59 old photographs the 99th percentile reached 7, on 312 colour photographs 1% were below 10.
_COLOURED = 8.5  # ab units
_TONED = 3.0  # ab units; less is what JPEG makes of grey
_PAPER = 99  # percentile of lightness from which on pixels show the bare paper
_DARKEST = 1e-3  # linear light: a paper that lacks a primary altogether is not made neutral
_STRIP_ROWS = 256


class Kind(StrEnum):
    """What a photograph has of colours."""

    GREY = "grey"
    TONED = "toned"
    COLOURED = "coloured"


def kind_of(pixels: Pixels) -> Kind:
    """Whether sRGB pixels, (H, W) or (H, W, 3), uint8 or uint16, are grey, toned or coloured."""
    if pixels.ndim == 2:
        return Kind.GREY
    lightness, ab = _small_lab(pixels)
    if np.percentile(np.hypot(*ab.T), _STRAYING) < _TONED:
        return Kind.GREY
    bins = np.minimum(lightness * (_BINS / 100), _BINS - 1).astype(int)
    straying = np.zeros(len(ab))
    for number in np.unique(bins):
        inside = bins == number
        straying[inside] = np.hypot(*(ab[inside] - np.median(ab[inside], axis=0)).T)
    return Kind.COLOURED if np.percentile(straying, _STRAYING) > _COLOURED else Kind.TONED


def without_tone(pixels: Pixels) -> Pixels:
    """Grey of a toned print: as if its paper, the lightest part, were neutral and as bright.

    Args:
        pixels: sRGB, (H, W, 3), uint8 or uint16.

    Returns:
        (H, W) of the same dtype.
    """
    weights = np.array(lab.LUMINANCE)
    linear = lab.srgb_to_linear(_small(pixels).reshape(-1, 3) / 255)
    luminance = linear @ weights
    paper = linear[luminance >= np.percentile(luminance, _PAPER)].mean(axis=0)
    gains = (paper @ weights) / np.maximum(paper, _DARKEST)
    most = np.iinfo(pixels.dtype).max
    levels = lab.srgb_to_linear(np.arange(most + 1) / most)
    red, green, blue = ((levels * share).astype(np.float32) for share in gains * weights)
    grey = np.empty(pixels.shape[:2], pixels.dtype)
    for top in range(0, len(pixels), _STRIP_ROWS):
        strip = pixels[top : top + _STRIP_ROWS]
        light = red[strip[:, :, 0]] + green[strip[:, :, 1]] + blue[strip[:, :, 2]]
        grey[top : top + _STRIP_ROWS] = lab.linear_to_srgb(np.minimum(light, 1)) * most + 0.5
    return grey


def _small(pixels: Pixels) -> NDArray[np.uint8]:
    return to_8_bit(shrunk(pixels, _SIDE))


def _small_lab(pixels: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """L, (N,), and ab, (N, 2), of the small photograph's pixels."""
    values = lab.rgb_to_lab(_small(pixels) / 255).reshape(-1, 3)
    return values[:, 0], values[:, 1:]
