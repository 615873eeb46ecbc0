import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from retint import lab
from retint.merge import Coloring, fit_coloring, lightness_of, merge


def grey_of(photo: np.ndarray) -> np.ndarray:
    return photo.mean(axis=2).astype(np.uint8)


def flat(a: float, b: float) -> Coloring:
    return Coloring(np.zeros((8, 8, 2), np.float32), np.full((8, 8, 2), (a, b), np.float32))


def exact_lightness(pixels: np.ndarray) -> np.ndarray:
    return lab.rgb_to_lightness(pixels / np.iinfo(pixels.dtype).max)


def test_lightness_is_exact():
    words = np.arange(65536, dtype=np.uint16)[None]
    assert np.abs(lightness_of(words) - exact_lightness(np.dstack([words] * 3))).max() < 1e-4
    colours = np.random.default_rng(0).integers(0, 65536, (99, 99, 3)).astype(np.uint16)
    assert np.abs(lightness_of(colours) - exact_lightness(colours)).max() < 0.002


@given(a=st.floats(-110, 110), b=st.floats(-110, 110))
@settings(max_examples=40, deadline=None)
def test_lightness_stays_however_wild_the_colours(a, b):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    result = merge(ramp, flat(a, b))
    assert np.abs(lightness_of(result) - lightness_of(ramp)).max() < 0.26


def test_sixteen_bits_keep_lightness_closer(colour_photo):
    deep = grey_of(colour_photo).astype(np.uint16) * 257
    result = merge(deep, flat(30, -60))
    assert result.dtype == np.uint16
    assert np.abs(exact_lightness(result) - exact_lightness(np.dstack([deep] * 3))).max() < 0.01


def test_every_hue_keeps_its_lightness_in_sixteen_bits():
    ramp = np.arange(0, 65536, 5, dtype=np.uint16)[None]
    truth = exact_lightness(np.dstack([ramp] * 3))
    for hue in range(0, 360, 4):  # 92 to 112, yellow: the sharpest ridge of the gamut
        a, b = 90 * np.cos(np.radians(hue)), 90 * np.sin(np.radians(hue))
        assert np.abs(exact_lightness(merge(ramp, flat(a, b))) - truth).max() < 0.01


def test_every_grey_comes_back_without_colours():
    ramp = np.arange(256, dtype=np.uint8)[None]
    result = merge(ramp, flat(0, 0))
    assert (result == ramp[:, :, None]).all()


def test_chroma_shrinks_no_more_than_the_gamut_asks():
    lightness = np.array([[30, 50, 70, 90]])
    grey = np.rint(lab.lab_to_rgb(np.dstack([lightness, 0 * lightness, 0 * lightness])) * 255)
    for hue in np.radians(range(0, 360, 30)):
        a, b = 128 * np.cos(hue), 128 * np.sin(hue)
        seen = lab.rgb_to_lab(merge(grey[:, :, 0].astype(np.uint8), flat(a, b)) / 255)
        more = lab.lab_to_rgb(seen * (1, 1.15, 1.15))
        assert ((more < 0) | (more > 1)).any(axis=2).all()


def test_hue_stays_where_chroma_must_shrink():
    result = merge(np.full((1, 1), 200, np.uint8), flat(80, 40))
    _, a, b = lab.rgb_to_lab(result[0, 0] / 255)
    assert 5 < np.hypot(a, b) < 80
    assert np.degrees(np.arctan2(b, a)) == pytest.approx(np.degrees(np.arctan2(40, 80)), abs=3)


@pytest.mark.parametrize("rows", [1, 7, 100, 10_000])
def test_strips_never_change_the_result(colour_photo, rows, monkeypatch):
    pixels = grey_of(colour_photo)[:301, :257]
    small = lightness_of(pixels[::4, ::4])
    coloring = fit_coloring(small, np.dstack((small - 50, 30 - small)).astype(np.float32))
    expected = merge(pixels, coloring)
    monkeypatch.setattr("retint.merge.STRIP_PIXELS", rows * 257)
    assert (merge(pixels, coloring) == expected).all()


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
    assert guided[near].mean() < 0.7 * bilinear[near].mean()


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_colours_are_sharper_than_bilinear_near_edges_of_photographs(name):
    photo = getattr(data, name)()
    height, width = (side // 16 * 16 for side in photo.shape[:2])
    truth = lab.rgb_to_lab((photo[:height, :width] / 255).astype(np.float32))
    small = cv2.resize(truth, (width // 4, height // 4), interpolation=cv2.INTER_AREA)[:, :, 0]
    ab = cv2.resize(truth, (width // 16, height // 16), interpolation=cv2.INTER_AREA)[:, :, 1:]
    coloring = fit_coloring(small, ab)
    slope, offset = (cv2.resize(m, (width, height)) for m in (coloring.slope, coloring.offset))
    results = slope * truth[:, :, :1] + offset, cv2.resize(ab, (width, height))
    edges = (cv2.morphologyEx(truth, cv2.MORPH_GRADIENT, np.ones((3, 3))) > 12).all(axis=2)
    near = cv2.dilate(edges.astype(np.uint8), np.ones((17, 17))) > 0
    ours, bilinear = (np.linalg.norm(ab - truth[:, :, 1:], axis=2)[near].mean() for ab in results)
    assert ours < 0.9 * bilinear
