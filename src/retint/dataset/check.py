"""Pictures of no use for training: unreadable, grey, tiny, and those that are there already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retint.pictures import Finding, Picture, decode, look_at_all

_SIDE = 16  # a fingerprint has a bit for each of 16 x 16 places
_MOST_BITS = 26  # of 256 that may differ
_MOST_CHANGE = 12.0  # of the bytes of 8 x 8 places, in the mean
_BLOCK, _COMPARISONS = 1024, 2**26  # at once, each of which takes 8 bytes


@dataclass(frozen=True)
class Check:
    """What a set of pictures is worth: the good ones, in their order, and the others."""

    good: list[Picture]
    findings: list[Finding]


@dataclass(frozen=True)
class _Fingerprint:
    bits: NDArray[np.uint8]
    mirrored_bits: NDArray[np.uint8]
    colors: NDArray[np.uint8]


def check_pictures(
    pictures: Sequence[Picture],
    *,
    duplicates: bool = True,
    progress: Callable[[int], None] = lambda _: None,
) -> Check:
    """Look at each picture, and for each at all that come before it.

    Of pictures that look the same, scaled, compressed or mirrored, the first is good. The time
    for that grows with the square of their number: some seconds for 16,000.

    Args:
        pictures: what to look at.
        duplicates: also look for near-duplicates.
        progress: called with the number of pictures done.
    """
    good: list[Picture] = []
    findings: list[Finding] = []
    prints: list[_Fingerprint] = []
    for picture, fingerprint in look_at_all(pictures, _fingerprint, findings, progress):
        good.append(picture)
        prints.append(fingerprint)
    if duplicates:
        copies = _copies(prints)
        findings += [
            Finding(good[copy], f"looks like {good[first].name}{', mirrored' * mirrored}")
            for copy, (first, mirrored) in copies.items()
        ]
        good = [picture for number, picture in enumerate(good) if number not in copies]
    return Check(good, sorted(findings, key=lambda finding: finding.picture.name))


def _fingerprint(picture: Picture) -> _Fingerprint | str:
    pixels = decode(picture, lambda image: image.resize((128, 128), Image.Resampling.BOX))
    if isinstance(pixels, str):
        return pixels
    return _Fingerprint(
        _gradient_bits(pixels),
        _gradient_bits(pixels[:, ::-1]),
        cv2.resize(pixels, (8, 8), interpolation=cv2.INTER_AREA).astype(np.uint8),
    )


def _gradient_bits(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Whether it gets brighter to the right, at each place: dHash, 32 bytes."""
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey.astype(np.float32), (_SIDE + 1, _SIDE), interpolation=cv2.INTER_AREA)
    return np.packbits(small[:, 1:] > small[:, :-1])


def _copies(prints: Sequence[_Fingerprint]) -> dict[int, tuple[int, bool]]:
    """Which picture is a copy of which earlier one, and whether mirrored."""
    if not prints:
        return {}
    bits = np.stack([one.bits for one in prints])
    mirrored_bits = np.stack([one.mirrored_bits for one in prints])
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
    copies: dict[int, tuple[int, bool]] = {}
    size = min(_BLOCK, max(16, _COMPARISONS // len(prints)))
    for start in range(0, len(prints), size):
        for mirrored, asked in ((False, bits), (True, mirrored_bits)):
            block = asked[start : start + size]
            earlier = bits[: start + len(block)]
            for matches in matcher.radiusMatch(block, earlier, _MOST_BITS):
                for match in matches:
                    copy, first = start + match.queryIdx, match.trainIdx
                    if first < copy and _same_colors(prints[copy], prints[first], mirrored):
                        copies.setdefault(copy, (first, mirrored))
    # What a copy resembles may be a copy itself: name the one that stays.
    for copy in sorted(copies):
        first, mirrored = copies[copy]
        if first in copies:
            root, turned = copies[first]
            copies[copy] = (root, mirrored != turned)
    return copies


def _same_colors(one: _Fingerprint, other: _Fingerprint, mirrored: bool) -> bool:
    colors = one.colors[:, ::-1] if mirrored else one.colors
    change = np.abs(colors.astype(np.int16) - other.colors)
    return float(change.mean()) < _MOST_CHANGE
