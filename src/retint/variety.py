"""Several plausible colourings of one photograph, from one answer of a network with a palette.

What the network says of each place is a distribution over a palette of ab colours. Leaning the
distribution towards some hue moves its mean far where the network is in doubt (clothes, paint) and
hardly where it is sure (sky, skin): the exponential tilting of statistics (Esscher 1932), here with
a direction that drifts over the picture, alike where place, lightness and colour are alike, so that
what belongs together changes together.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[Any]  # float32

_SHARPNESS = 2.5  # of the distributions: training with rebalanced classes leaves them too wide
_LEAN = 0.035  # logarithm of odds for each ab unit in the direction
_DRIFT = 0.08  # turns of the direction over the picture, or over the range of a feature
_BLUR = 2.0  # standard deviation, pixels of the network's answer


def vary(ab: Float, palette_logits: Float, palette: Float, lightness: Float, seed: int) -> Float:
    """Another colouring, the same for the same seed.

    Args:
        ab: the most likely one, (h, w, 2), ab units.
        palette_logits: (h, w, Q).
        palette: (Q, 2), ab units.
        lightness: (h, w), L in [0, 100].
        seed: which one.
    """
    logits = _SHARPNESS * palette_logits
    expected = _softmax(logits) @ palette
    leaning = logits + _LEAN * (_directions(expected, lightness, seed) @ palette.T)
    moved = _softmax(leaning) @ palette - expected
    varied: Float = ab + cv2.GaussianBlur(moved, (0, 0), _BLUR / 2)
    return varied


def _directions(ab: Float, lightness: Float, seed: int) -> Float:
    """Unit vectors of the ab plane, (h, w, 2)."""
    height, width = lightness.shape
    rows, columns = np.mgrid[:height, :width]
    features = np.dstack(
        (
            columns / width - 0.5,
            rows / height - 0.5,
            cv2.GaussianBlur(lightness, (0, 0), _BLUR) / 50 - 1,
            cv2.GaussianBlur(ab, (0, 0), _BLUR) / 15,
        )
    )
    random = np.random.default_rng(seed)
    start, drifts = random.random(), _DRIFT * random.normal(size=features.shape[2])
    angles = 2 * np.pi * (start + features @ drifts)
    return np.dstack((np.cos(angles), np.sin(angles))).astype(np.float32)


def _softmax(logits: Float) -> Float:
    odds = np.exp(logits - logits.max(axis=2, keepdims=True))
    shares: Float = odds / odds.sum(axis=2, keepdims=True)
    return shares
