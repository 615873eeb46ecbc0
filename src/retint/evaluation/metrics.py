"""Figures of one colouring or of a set of them: pure functions of NumPy arrays.

Pictures are sRGB, (H, W, 3) floating point in [0, 1]; Lab arrays are (..., 3), ab arrays (..., 2).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[Any]  # floating point

MAX_PSNR = 100.0
"""PSNR given to equal pictures, dB: infinity would be the mean of any set that holds one."""

MAX_AB_ERROR = 150.0
"""Largest threshold of the ab accuracy (Zhang et al. 2016)."""

_SSIM_SIGMA = 1.5
_SSIM_RADIUS = 5
_AB_BIN = 10  # side of the squares of the ab plane, ab units
_AB_BINS = 23  # squares a side: centres from -110 to 110
_LEVEL = 0.95  # of intervals


def psnr(result: Float, truth: Float) -> float:
    """Peak signal-to-noise ratio over the three channels, dB; at most `MAX_PSNR`.

    Of a set, papers give the mean over pictures, not the ratio of the pooled error.

    >>> psnr(np.zeros((4, 4, 3)), np.full((4, 4, 3), 0.1))
    20.0
    """
    _check(result, truth)
    error = float(np.mean(np.square(result - truth, dtype=np.float64)))
    return min(MAX_PSNR, round(-10 * float(np.log10(error)), 10)) if error else MAX_PSNR


def ssim(result: Float, truth: Float) -> float:
    """Structural similarity of Wang et al. 2004: the mean of that of R, G and B.

    Gaussian window of 11x11, sigma 1.5, K1 0.01, K2 0.03; windows that leave the picture do not
    count. On luminance alone, which colouring keeps, it would be 1 whatever the colours.

    Raises:
        ValueError: if a side is shorter than 11 pixels, or the shapes differ.
    """
    _check(result, truth)
    if min(truth.shape[:2]) < 2 * _SSIM_RADIUS + 1:
        raise ValueError(f"SSIM needs 11 x 11 pixels at least, got shape {truth.shape}")
    x, y = result.astype(np.float64), truth.astype(np.float64)
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x = _window_mean(x * x) - mean_x**2
    variance_y = _window_mean(y * y) - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return float(similarity.mean())


def ciede2000(lab1: Float, lab2: Float) -> Float:
    """CIEDE2000 colour difference of Lab colours (..., 3), kL = kC = kH = 1; shape (...).

    Source: CIE 142:2001, in the steps of Sharma, Wu and Dalal 2005, equations 2 to 22.
    """
    L1, a1, b1 = np.moveaxis(lab1, -1, 0)
    L2, a2, b2 = np.moveaxis(lab2, -1, 0)
    mean_chroma7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(mean_chroma7 / (mean_chroma7 + 25.0**7))
    a1, a2 = a1 * stretch, a2 * stretch
    C1, C2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.arctan2(b, a) % (2 * np.pi) for a, b in ((a1, b1), (a2, b2)))
    # Greys have no hue: they take that of the other colour, so that nothing turns.
    grey = C1 * C2 == 0
    turn = np.where(grey, 0, (h2 - h1 + np.pi) % (2 * np.pi) - np.pi)
    # At exactly half a turn, equation 10 keeps the sign of h2 - h1.
    turn = np.where((turn == -np.pi) & (h2 > h1), np.pi, turn)

    dL, dC, dH = L2 - L1, C2 - C1, 2 * np.sqrt(C1 * C2) * np.sin(turn / 2)
    mean_L, mean_C = (L1 + L2) / 2, (C1 + C2) / 2
    far = np.abs(h1 - h2) > np.pi
    mean_h = (h1 + h2) / 2 + np.where(far, np.where(h1 + h2 < 2 * np.pi, np.pi, -np.pi), 0)
    mean_h = np.where(grey, h1 + h2, mean_h)

    T = (
        1
        - 0.17 * np.cos(mean_h - np.deg2rad(30))
        + 0.24 * np.cos(2 * mean_h)
        + 0.32 * np.cos(3 * mean_h + np.deg2rad(6))
        - 0.20 * np.cos(4 * mean_h - np.deg2rad(63))
    )
    rotation = np.deg2rad(60) * np.exp(-(((np.rad2deg(mean_h) - 275) / 25) ** 2))
    mean_C7 = mean_C**7
    R_T = -2 * np.sqrt(mean_C7 / (mean_C7 + 25.0**7)) * np.sin(rotation)
    S_L = 1 + 0.015 * (mean_L - 50) ** 2 / np.sqrt(20 + (mean_L - 50) ** 2)
    S_C = 1 + 0.045 * mean_C
    S_H = 1 + 0.015 * mean_C * T
    l, c, h = dL / S_L, dC / S_C, dH / S_H  # noqa: E741
    # Rounding can push a sum that should be zero below it.
    difference: Float = np.sqrt(np.maximum(l**2 + c**2 + h**2 + R_T * c * h, 0))
    return difference


def colorfulness(rgb: Float) -> float:
    """Colourfulness M3 of Hasler and Suesstrunk 2003, on the scale of bytes.

    The opponents R - G and (R + G)/2 - B keep their signs; some papers take absolute values first
    and get another quantity. 0 is grey; by the authors' survey 15 is slightly, 33 moderately and
    59 quite colourful.
    """
    red, green, blue = np.moveaxis(255 * rgb.astype(np.float64), -1, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    deviation = np.hypot(red_green.std(), yellow_blue.std())
    mean = np.hypot(red_green.mean(), yellow_blue.mean())
    return float(deviation + 0.3 * mean)


def ab_accuracy_auc(ab: Float, true_ab: Float, weights: Float | None = None) -> float:
    """Area under the curve of the share of pixels whose ab error is below a threshold.

    The threshold runs from 0 to 150, the area is divided by 150: 1 is perfect (Zhang et al. 2016,
    Colorful Image Colorization, section 3.1). The integral is exact, not a sum over steps.

    Args:
        ab: predicted a and b, (..., 2).
        true_ab: those of the truth, of the same shape.
        weights: of the pixels, (...); see `rebalancing_weights`. All equal if None.
    """
    error = np.linalg.norm(ab - true_ab, axis=-1)
    return float(np.average(1 - np.minimum(error, MAX_AB_ERROR) / MAX_AB_ERROR, weights=weights))


def ab_histogram(ab: Float) -> NDArray[np.int64]:
    """Number of pixels in each 10x10 square of the ab plane, (23, 23), centres -110 to 110."""
    return np.bincount(_ab_square(ab).ravel(), minlength=_AB_BINS**2).reshape(_AB_BINS, _AB_BINS)


def rebalancing_weights(true_ab: Float, histogram: NDArray[np.int64]) -> Float:
    """Weights that make rare colours count as much as common ones.

    The inverse of the frequency of a pixel's colour, smoothed by a Gaussian of 5 ab units (Zhang
    et al. 2016, equation 4 with lambda 0), with mean 1 over the pixels of the histogram.

    Args:
        true_ab: the truth's a and b, (..., 2).
        histogram: the `ab_histogram` of all pictures of the set, summed up.
    """
    counts = histogram.astype(np.float64)
    smooth = cv2.GaussianBlur(counts, (0, 0), 5 / _AB_BIN, borderType=cv2.BORDER_CONSTANT)
    inverse = np.divide(1, smooth, out=np.zeros_like(smooth), where=counts > 0)
    inverse *= counts.sum() / (inverse * counts).sum()
    weights: Float = inverse.ravel()[_ab_square(true_ab)]
    return weights


def frechet_distance(mean1: Float, cov1: Float, mean2: Float, cov2: Float) -> float:
    """Squared Frechet distance of two Gaussians: means (D,), covariances (D, D).

    |mean1 - mean2|^2 + trace(cov1 + cov2 - 2 (cov1 cov2)^(1/2)), Dowson and Landau 1982.
    """
    root = _matrix_root(cov1)
    # cov1 cov2 has the eigenvalues of the symmetric root cov2 root, which eigvalsh finds safely.
    eigenvalues = np.linalg.eigvalsh(root @ cov2 @ root)
    trace_of_root = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    distance = np.sum((mean1 - mean2) ** 2) + np.trace(cov1) + np.trace(cov2) - 2 * trace_of_root
    return max(0.0, float(distance))


def principal_components(features: Float, count: int) -> Float:
    """Directions (D, count) in which features (N, D) vary most, orthonormal, largest first."""
    covariance = np.cov(features, rowvar=False)
    directions: Float = np.linalg.eigh(covariance)[1][:, ::-1][:, :count]
    return directions


def feature_distance(features1: Float, features2: Float) -> float:
    """`frechet_distance` of Gaussians fitted to features (N, D) of two sets of pictures."""
    gaussians = [
        statistic
        for features in (features1.astype(np.float64), features2.astype(np.float64))
        for statistic in (features.mean(axis=0), np.cov(features, rowvar=False))
    ]
    return frechet_distance(*gaussians)


def bootstrap(values: NDArray[Any], weights: NDArray[Any], resamples: int) -> tuple[float, float]:
    """95% interval of `sum(values) / sum(weights)`, both (N,), from N pairs drawn anew each time.

    Efron 1979, percentiles. The same pairs give the same interval.
    """
    count = len(values)
    draws = np.random.default_rng(0).integers(count, size=(resamples, count))
    drawn = values[draws].sum(axis=1) / weights[draws].sum(axis=1)
    low, high = np.quantile(drawn, ((1 - _LEVEL) / 2, (1 + _LEVEL) / 2))
    return float(low), float(high)


def _check(result: Float, truth: Float) -> None:
    if result.shape != truth.shape:
        raise ValueError(f"pictures differ in shape: {result.shape} and {truth.shape}")


def _window_mean(image: Float) -> Float:
    size = 2 * _SSIM_RADIUS + 1
    inner = slice(_SSIM_RADIUS, -_SSIM_RADIUS)
    blurred: Float = cv2.GaussianBlur(image, (size, size), _SSIM_SIGMA)[inner, inner]
    return blurred


def _ab_square(ab: Float) -> NDArray[np.intp]:
    half = _AB_BINS // 2
    squares: NDArray[np.intp] = np.clip(np.round(ab / _AB_BIN), -half, half).astype(np.intp) + half
    return squares[..., 0] * _AB_BINS + squares[..., 1]


def _matrix_root(covariance: Float) -> Float:
    values, vectors = np.linalg.eigh(covariance)
    root: Float = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root
