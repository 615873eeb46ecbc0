"""The ab palette of Zhang et al. 2016 (Colorful Image Colorization, section 2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retint import lab

_STEP = 10


def ab_palette() -> NDArray[np.float32]:
    """Centres of the 10x10 squares of the ab plane that sRGB reaches, (Q, 2) float32, ab units.

    >>> ab_palette().shape
    (261, 2)
    """
    steps = np.linspace(0, 1, 65)
    rgb = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    squares = np.unique(np.round(lab.rgb_to_lab(rgb)[:, 1:] / _STEP), axis=0)
    return (squares * _STEP).astype(np.float32)
