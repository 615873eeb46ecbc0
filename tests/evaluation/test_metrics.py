"""The figures against published vectors, reference implementations and known cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage import color, data
from skimage import metrics as reference

from retint import lab
from retint.evaluation import metrics

# Sharma, Wu and Dalal 2005, table 1: L1 a1 b1, L2 a2 b2, difference.
SHARMA = np.array(
    [
        [50.0000, 2.6772, -79.7751, 50.0000, 0.0000, -82.7485, 2.0425],
        [50.0000, 3.1571, -77.2803, 50.0000, 0.0000, -82.7485, 2.8615],
        [50.0000, 2.8361, -74.0200, 50.0000, 0.0000, -82.7485, 3.4412],
        [50.0000, -1.3802, -84.2814, 50.0000, 0.0000, -82.7485, 1.0000],
        [50.0000, -1.1848, -84.8006, 50.0000, 0.0000, -82.7485, 1.0000],
        [50.0000, -0.9009, -85.5211, 50.0000, 0.0000, -82.7485, 1.0000],
        [50.0000, 0.0000, 0.0000, 50.0000, -1.0000, 2.0000, 2.3669],
        [50.0000, -1.0000, 2.0000, 50.0000, 0.0000, 0.0000, 2.3669],
        [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0009, 7.1792],
        [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0010, 7.1792],
        [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0011, 7.2195],
        [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0012, 7.2195],
        [50.0000, -0.0010, 2.4900, 50.0000, 0.0009, -2.4900, 4.8045],
        [50.0000, -0.0010, 2.4900, 50.0000, 0.0010, -2.4900, 4.8045],
        [50.0000, -0.0010, 2.4900, 50.0000, 0.0011, -2.4900, 4.7461],
        [50.0000, 2.5000, 0.0000, 50.0000, 0.0000, -2.5000, 4.3065],
        [50.0000, 2.5000, 0.0000, 73.0000, 25.0000, -18.0000, 27.1492],
        [50.0000, 2.5000, 0.0000, 61.0000, -5.0000, 29.0000, 22.8977],
        [50.0000, 2.5000, 0.0000, 56.0000, -27.0000, -3.0000, 31.9030],
        [50.0000, 2.5000, 0.0000, 58.0000, 24.0000, 15.0000, 19.4535],
        [50.0000, 2.5000, 0.0000, 50.0000, 3.1736, 0.5854, 1.0000],
        [50.0000, 2.5000, 0.0000, 50.0000, 3.2972, 0.0000, 1.0000],
        [50.0000, 2.5000, 0.0000, 50.0000, 1.8634, 0.5757, 1.0000],
        [50.0000, 2.5000, 0.0000, 50.0000, 3.2592, 0.3350, 1.0000],
        [60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644],
        [63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630],
        [61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731],
        [35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645],
        [22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373],
        [36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146],
        [90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441],
        [90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381],
        [6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377],
        [2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082],
    ]
)

COLOURS = hnp.arrays(
    np.float64, (5, 3), elements=st.floats(-100, 100, allow_nan=False, width=32)
).map(lambda lab_: np.concatenate((np.abs(lab_[:, :1]), lab_[:, 1:]), axis=1))


@pytest.fixture(scope="module")
def coffee() -> np.ndarray:
    return data.coffee()[100:300, 100:351] / 255


@pytest.fixture(scope="module")
def faded(coffee: np.ndarray) -> np.ndarray:
    """The photograph with half its colour and a little noise."""
    grey = coffee.mean(axis=2, keepdims=True)
    noise = np.random.default_rng(0).normal(0, 0.02, coffee.shape)
    return np.clip((coffee + grey) / 2 + noise, 0, 1)


def test_ciede2000_gives_the_published_differences() -> None:
    found = metrics.ciede2000(SHARMA[:, :3], SHARMA[:, 3:6])
    np.testing.assert_allclose(found, SHARMA[:, 6], atol=5e-5)
    turned_round = metrics.ciede2000(SHARMA[:, 3:6], SHARMA[:, :3])
    np.testing.assert_allclose(turned_round, SHARMA[:, 6], atol=5e-5)


@given(COLOURS, COLOURS)
def test_ciede2000_agrees_with_scikit_image(lab1: np.ndarray, lab2: np.ndarray) -> None:
    found = metrics.ciede2000(lab1, lab2)
    np.testing.assert_allclose(found, color.deltaE_ciede2000(lab1, lab2), atol=1e-6)


def test_ciede2000_keeps_the_shape_of_a_picture(coffee: np.ndarray, faded: np.ndarray) -> None:
    difference = metrics.ciede2000(lab.rgb_to_lab(coffee), lab.rgb_to_lab(faded))
    assert difference.shape == coffee.shape[:2]
    assert 1 < difference.mean() < 30


def test_psnr_agrees_with_scikit_image(coffee: np.ndarray, faded: np.ndarray) -> None:
    expected = reference.peak_signal_noise_ratio(coffee, faded, data_range=1)
    assert metrics.psnr(faded, coffee) == pytest.approx(expected)


def test_psnr_of_equal_pictures_is_finite(coffee: np.ndarray) -> None:
    assert metrics.psnr(coffee, coffee) == metrics.MAX_PSNR


def test_ssim_agrees_with_scikit_image(coffee: np.ndarray, faded: np.ndarray) -> None:
    expected = reference.structural_similarity(
        coffee,
        faded,
        channel_axis=2,
        data_range=1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert metrics.ssim(faded, coffee) == pytest.approx(expected, abs=1e-6)
    assert metrics.ssim(coffee, coffee) == pytest.approx(1)


def test_figures_refuse_pictures_they_cannot_compare(coffee: np.ndarray) -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        metrics.psnr(coffee, coffee[1:])
    with pytest.raises(ValueError, match="11 x 11"):
        metrics.ssim(coffee[:10], coffee[:10])


def test_colorfulness_follows_hasler_and_suesstrunk() -> None:
    half_red_half_green = np.zeros((2, 4, 3))
    half_red_half_green[:, :2, 0] = 1
    half_red_half_green[:, 2:, 1] = 1
    # R - G is +255 and -255, (R + G)/2 - B is 127.5 throughout.
    assert metrics.colorfulness(half_red_half_green) == pytest.approx(255 + 0.3 * 127.5)


def test_colorfulness_ranks_photographs() -> None:
    grey = np.repeat(data.camera()[:, :, None], 3, axis=2) / 255
    assert metrics.colorfulness(grey) == pytest.approx(0, abs=1e-9)
    coffee, chelsea = data.coffee() / 255, data.chelsea() / 255
    assert metrics.colorfulness(coffee) > metrics.colorfulness(chelsea) > 15


def test_colorfulness_of_the_astronaut_by_the_formula_on_bytes() -> None:
    picture = data.astronaut()
    red, green, blue = (picture[:, :, channel].astype(float) for channel in range(3))
    rg, yb = red - green, 0.5 * (red + green) - blue
    expected = np.sqrt(rg.var() + yb.var()) + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
    assert metrics.colorfulness(picture / 255) == pytest.approx(expected)


def test_ab_accuracy_is_the_area_under_the_curve(coffee: np.ndarray, faded: np.ndarray) -> None:
    ab, true_ab = lab.rgb_to_lab(faded)[..., 1:], lab.rgb_to_lab(coffee)[..., 1:]
    error = np.linalg.norm(ab - true_ab, axis=-1)
    thresholds = np.linspace(0, 150, 1501)
    accuracy = [(error <= threshold).mean() for threshold in thresholds]
    expected = np.trapezoid(accuracy, thresholds) / 150
    assert metrics.ab_accuracy_auc(ab, true_ab) == pytest.approx(expected, abs=1e-4)
    assert metrics.ab_accuracy_auc(true_ab, true_ab) == 1


def test_rebalancing_makes_rare_colours_count() -> None:
    true_ab = np.zeros((100, 2))
    true_ab[:10] = (60, 40)  # a tenth of the picture is red
    grey = np.zeros_like(true_ab)
    weights = metrics.rebalancing_weights(true_ab, metrics.ab_histogram(true_ab))
    assert weights.mean() == pytest.approx(1)
    assert weights[:10].sum() == pytest.approx(weights[10:].sum())
    plain = metrics.ab_accuracy_auc(grey, true_ab)
    rebalanced = metrics.ab_accuracy_auc(grey, true_ab, weights)
    lost = np.hypot(60, 40) / 150
    assert plain == pytest.approx(1 - 0.1 * lost)
    assert rebalanced == pytest.approx(1 - 0.5 * lost)


def test_frechet_distance_of_known_gaussians() -> None:
    # In one dimension: (mean1 - mean2)^2 + (deviation1 - deviation2)^2.
    one = metrics.frechet_distance(*map(np.array, ([1.0], [[4.0]], [4.0], [[25.0]])))
    assert one == pytest.approx(3**2 + (2 - 5) ** 2)
    # Covariances that commute: the sum over the shared axes.
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    cov1 = axes @ np.diag([1.0, 4.0, 0.0]) @ axes.T
    cov2 = axes @ np.diag([9.0, 4.0, 1.0]) @ axes.T
    distance = metrics.frechet_distance(np.zeros(3), cov1, np.array([0, 0, 2.0]), cov2)
    assert distance == pytest.approx(4 + (1 - 3) ** 2 + 0 + 1)


def test_frechet_distance_needs_no_commuting_covariances() -> None:
    rng = np.random.default_rng(1)
    cov1, cov2 = (
        np.cov(rng.normal(size=(9, 4)) @ rng.normal(size=(4, 4)), rowvar=False) for _ in "12"
    )
    eigenvalues = np.linalg.eigvals(cov1 @ cov2)
    expected = np.trace(cov1 + cov2) - 2 * np.sqrt(eigenvalues.real).sum()
    assert metrics.frechet_distance(np.ones(4), cov1, np.ones(4), cov2) == pytest.approx(expected)


def test_feature_distance_of_a_set_with_itself_is_zero() -> None:
    features = np.random.default_rng(2).normal(size=(50, 8)).astype(np.float32)
    assert metrics.feature_distance(features, features) == pytest.approx(0, abs=1e-6)
    assert metrics.feature_distance(features, features + 1) == pytest.approx(8, rel=1e-4)


def test_principal_components_find_the_direction_of_variance() -> None:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(200, 5)) * [0.1, 0.1, 3, 0.1, 1]
    directions = metrics.principal_components(features, 2)
    assert directions.shape == (5, 2)
    np.testing.assert_allclose(np.abs(directions[[2, 4], [0, 1]]), 1, atol=0.05)
