"""sRGB and CIE Lab (D65): the one place that knows both, and how the networks see them.

Every function takes NumPy arrays and torch tensors alike and gives back what it was given; torch
is never imported here. Floating point in, the same dtype out. `axis` is the channel axis: -1 for
pictures (height, width, 3), 1 for batches (N, 3, height, width).

Sources: IEC 61966-2-1 for sRGB; CIE 15:2004, section 8.2.1, for L*a*b*. The white point is the
sum of the matrix's columns instead of a rounded table entry, so that greys have a = b = 0.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

    Array = TypeVar("Array", NDArray[Any], torch.Tensor)
else:
    Array = TypeVar("Array")

# sRGB primaries and D65 white to XYZ.
_RGB_TO_XYZ = np.array(
    [
        [0.4123907992659595, 0.3575843393838780, 0.1804807884018343],
        [0.2126390058715104, 0.7151686787677559, 0.0721923153607337],
        [0.0193308187155918, 0.1191947797946259, 0.9505321522496608],
    ]
)
_WHITE = _RGB_TO_XYZ.sum(axis=1)
_RGB_TO_RELATIVE_XYZ: list[list[float]] = (_RGB_TO_XYZ / _WHITE[:, None]).tolist()
RELATIVE_XYZ_TO_RGB = np.linalg.inv(_RGB_TO_XYZ) * _WHITE
"""Linear sRGB of X, Y and Z, each 1 for white."""

LUMINANCE: tuple[float, float, float] = tuple(_RGB_TO_RELATIVE_XYZ[1])  # type: ignore[assignment]
"""Shares of linear red, green and blue in relative luminance Y."""

_EPSILON = 216 / 24389  # (6/29)^3: below it, CIE replaces the cube root by its tangent
_KAPPA = 24389 / 27  # (29/3)^3
JOIN = 6 / 29
"""The cube root of relative X, Y and Z below which CIE Lab goes on along the tangent."""


def srgb_to_linear(srgb: Array) -> Array:
    """Undo the sRGB transfer curve; values and result in [0, 1]."""
    xp = _namespace(srgb)
    linear: Array = xp.where(
        srgb <= 0.04045, srgb / 12.92, ((xp.clip(srgb, 0, None) + 0.055) / 1.055) ** 2.4
    )
    return linear


def linear_to_srgb(linear: Array) -> Array:
    """Apply the sRGB transfer curve; values outside [0, 1] stay outside."""
    xp = _namespace(linear)
    # The floor keeps the power's gradient finite where the straight part is taken anyway.
    curve = 1.055 * xp.clip(linear, 0.001, None) ** (1 / 2.4) - 0.055
    srgb: Array = xp.where(linear <= 0.0031308, linear * 12.92, curve)
    return srgb


def rgb_to_lab(rgb: Array, axis: int = -1) -> Array:
    """CIE Lab of sRGB values in [0, 1]: L in [0, 100], a and b within +-110.

    Raises:
        ValueError: if `axis` does not hold three channels.

    >>> rgb_to_lab(np.array([1.0, 1.0, 1.0])).round(6).tolist()
    [100.0, 0.0, 0.0]
    """
    r, g, b = _channels(srgb_to_linear(rgb), axis)
    x, y, z = (_cie_f(row[0] * r + row[1] * g + row[2] * b) for row in _RGB_TO_RELATIVE_XYZ)
    lab: Array = _namespace(rgb).stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), axis)
    return lab


def lab_to_rgb(lab: Array, axis: int = -1) -> Array:
    """Unclipped sRGB of CIE Lab: inside [0, 1] exactly where the colour is in gamut.

    Raises:
        ValueError: if `axis` does not hold three channels.

    >>> lab_to_rgb(np.array([100.0, 0.0, 0.0])).round(6).tolist()
    [1.0, 1.0, 1.0]
    """
    lightness, a, b = _channels(lab, axis)
    return linear_to_srgb(lab_to_linear(lightness, a, b, axis))


def lab_to_linear(lightness: Array, a: Array, b: Array, axis: int = -1) -> Array:
    """Unclipped linear RGB, stacked on `axis`, of the three channels of CIE Lab."""
    f_y = (lightness + 16) / 116
    x, y, z = (_cie_f_inverse(f) for f in (f_y + a / 500, f_y, f_y - b / 200))
    linear: Array = _namespace(lightness).stack(
        [row[0] * x + row[1] * y + row[2] * z for row in RELATIVE_XYZ_TO_RGB.tolist()], axis
    )
    return linear


def rgb_to_lightness(rgb: Array, axis: int = -1) -> Array:
    """CIE L of sRGB values in [0, 1], without the channel axis; in [0, 100].

    L comes from linear light. Grey bytes are not L: they are up to 3.4 off.
    """
    r, g, b = _channels(srgb_to_linear(rgb), axis)
    red, green, blue = LUMINANCE
    return luminance_to_lightness(red * r + green * g + blue * b)


def luminance_to_lightness(luminance: Array) -> Array:
    """CIE L, in [0, 100], of relative luminance Y in [0, 1]."""
    return 116 * _cie_f(luminance) - 16


def normalize_lightness(lightness: Array) -> Array:
    """L in [0, 100] as the networks see it: in [-1, 1]."""
    return lightness / 50 - 1


def denormalize_lightness(lightness: Array) -> Array:
    """Undo `normalize_lightness`."""
    return (lightness + 1) * 50


def normalize_ab(ab: Array) -> Array:
    """Chroma channels a and b as the networks predict them: in [-1, 1]."""
    return ab / 110


def denormalize_ab(ab: Array) -> Array:
    """Undo `normalize_ab`."""
    return ab * 110


def normalized_lab_to_rgb(lightness: Array, ab: Array, axis: int = -1) -> Array:
    """Unclipped sRGB of L and ab as the networks see them, of one and of two channels."""
    channels = (denormalize_lightness(lightness), denormalize_ab(ab))
    lab: Array = _namespace(ab).concatenate(channels, axis)
    return lab_to_rgb(lab, axis)


def _cie_f(t: Array) -> Array:
    xp = _namespace(t)
    # The floor keeps the cube root's gradient finite where the tangent is taken anyway.
    root = xp.clip(t, _EPSILON / 2, None) ** (1 / 3)
    f: Array = xp.where(t > _EPSILON, root, (_KAPPA * t + 16) / 116)
    return f


def _cie_f_inverse(f: Array) -> Array:
    t: Array = _namespace(f).where(f > JOIN, f * f * f, (116 * f - 16) / _KAPPA)
    return t


def _channels(array: Array, axis: int) -> tuple[Array, Array, Array]:
    if array.shape[axis] != 3:
        raise ValueError(f"expected 3 channels on axis {axis}, got shape {tuple(array.shape)}")
    before: Any = (slice(None),) * (axis % array.ndim)
    return array[(*before, 0)], array[(*before, 1)], array[(*before, 2)]


def _namespace(array: object) -> Any:
    """NumPy or torch, whichever `array` belongs to."""
    return np if isinstance(array, np.ndarray | np.generic) else sys.modules["torch"]
