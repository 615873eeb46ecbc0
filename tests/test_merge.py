import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retint import lab
from retint.merge import Coloring, fit_coloring, lightness_of, merge


def grey_of(photo: np.ndarray) -> np.ndarray:
    return photo.mean(axis=2).astype(np.uint8)


def flat(a: float, b: float) -> Coloring:
    return Coloring(np.zeros((8, 8, 2), np.float32), np.full((8, 8, 2), (a, b), np.float32))


@given(a=st.floats(-110, 110), b=st.floats(-110, 110))
@settings(max_examples=40, deadline=None)
def test_lightness_stays_however_wild_the_colours(a, b):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    result = merge(ramp, flat(a, b))
    assert np.abs(lightness_of(result) - lightness_of(ramp)).max() < 0.25


def test_sixteen_bits_keep_lightness_closer(colour_photo):
    deep = grey_of(colour_photo).astype(np.uint16) * 257
    result = merge(deep, flat(30, -60))
    assert result.dtype == np.uint16
    assert np.abs(lightness_of(result) - lightness_of(deep)).max() < 0.02


def test_every_grey_comes_back_without_colours():
    ramp = np.arange(256, dtype=np.uint8)[None]
    result = merge(ramp, flat(0, 0))
    assert (result == ramp[:, :, None]).all()


def test_hue_stays_where_chroma_must_shrink():
    result = merge(np.full((1, 1), 200, np.uint8), flat(80, 40))
    _, a, b = lab.rgb_to_lab(result[0, 0] / 255)
    assert 5 < np.hypot(a, b) < 80
    assert np.degrees(np.arctan2(b, a)) == pytest.approx(np.degrees(np.arctan2(40, 80)), abs=3)


@pytest.mark.parametrize("rows", [1, 7, 100, 10_000])
def test_strips_never_change_the_result(colour_photo, rows):
    pixels = grey_of(colour_photo)[:301, :257]
    small = lightness_of(pixels[::4, ::4])
    coloring = fit_coloring(small, np.dstack((small - 50, 30 - small)).astype(np.float32))
    assert (merge(pixels, coloring, strip_rows=rows) == merge(pixels, coloring)).all()


def test_chroma_follows_the_edges_of_the_photograph():
    left = np.arange(512) < 243
    lightness = np.tile(np.where(left, 70, 40).astype(np.float32), (512, 1))
    truth = np.tile(np.where(left, 40, -40).astype(np.float32), (512, 1))
    seen, ab = (
        cv2.resize(x, None, fx=f, fy=f, interpolation=cv2.INTER_AREA)
        for x, f in ((lightness, 1 / 8), (truth, 1 / 32))
    )
    coloring = fit_coloring(seen, np.dstack((ab, ab)))
    slope, offset = (cv2.resize(m[:, :, 0], (512, 512)) for m in (coloring.slope, coloring.offset))
    guided = np.abs(slope * lightness + offset - truth)
    bilinear = np.abs(cv2.resize(ab, (512, 512)) - truth)
    near = np.s_[:, 235:251]
    assert guided[near].mean() < 0.9 * bilinear[near].mean()
