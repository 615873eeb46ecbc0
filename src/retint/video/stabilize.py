"""The colours of a shot, held steady: predictions follow the motion instead of flickering.

Each prediction is blended with the colours of the frame before, carried along by the optical flow
of the lightness, wherever the carried lightness agrees with what is there now. All of it happens
at the network's size, so it costs little beside the prediction. Compare Lei and Chen 2019, "Fully
Automatic Video Colorization", which trains a network to the same end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[Any]  # float32

_MEMORY = 0.8  # share of the colours that were there, where the lightness agrees
_AGREEMENT = 6.0  # lightness differences of this size are other things, not grain
_GRAIN = 5  # pixels over which lightness is averaged before it is compared
_SURROUNDINGS = 33  # pixels; only details smaller than this tell shots apart
_FAINT = 2.0  # variance of lightness below which details are grain
_CUT = (
    0.5  # measured on stills: cuts reach 0.42; pans up to 15% of the width a frame stay above 0.6
)


@dataclass(frozen=True)
class Look:
    """A frame as the next one needs it: lightness (h, w) and its steady ab (h, w, 2)."""

    lightness: Float
    ab: Float


class Motion:
    """Where the pixels of one frame lay in the frame before.

    Args:
        before: (h, w), L in [0, 100].
        now: the same of the next frame.
    """

    def __init__(self, before: Float, now: Float) -> None:
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        nothing: Any = None  # is made by calc
        shift = flow.calc(_to_bytes(now), _to_bytes(before), nothing)
        rows, columns = np.mgrid[: now.shape[0], : now.shape[1]].astype(np.float32)
        self._x, self._y = columns + shift[:, :, 0], rows + shift[:, :, 1]
        carried, now = _without_grain(self.carry(before)), _without_grain(now)
        self._likeness = _likeness(carried, now)
        self.agreement: Float = np.exp(-(((carried - now) / _AGREEMENT) ** 2))

    @property
    def is_cut(self) -> bool:
        """Whether the frames are of different shots: what was there cannot be found again."""
        return self._likeness < _CUT

    def carry(self, picture: Float) -> Float:
        """A picture of the frame before, moved to where its things are now."""
        moved: Float = cv2.remap(
            picture, self._x, self._y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return moved


def steady(motion: Motion, before: Look, ab: Float) -> Float:
    """Blend predicted ab (h, w, 2) with those of the frame before, of the same shot.

    Where both are the same, so is the result, bit for bit.
    """
    share = _MEMORY * motion.agreement[:, :, None]
    blended: Float = ab + share * (motion.carry(before.ab) - ab)
    return blended


def _likeness(one: Float, other: Float) -> float:
    """1 for the same details at the same places, 0 for unrelated ones."""
    one, other = (image - _blur(image, _SURROUNDINGS) for image in (one, other))
    both = 2 * float((one * other).mean()) + _FAINT
    return both / (float((one * one).mean()) + float((other * other).mean()) + _FAINT)


def _without_grain(lightness: Float) -> Float:
    return _blur(lightness, _GRAIN)


def _blur(image: Float, size: int) -> Float:
    blurred: Float = cv2.blur(image, (size, size))
    return blurred


def _to_bytes(lightness: Float) -> NDArray[np.uint8]:
    return (lightness * 2.55 + 0.5).astype(np.uint8)
