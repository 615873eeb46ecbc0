import numpy as np
import pytest
from skimage import color
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from retint.evaluation import metrics


@pytest.fixture
def pair(colour_photo):
    truth = colour_photo[:160, :200] / 255
    noise = np.random.default_rng(0).normal(0, 0.05, truth.shape)
    return np.clip(truth + noise, 0, 1), truth


def test_psnr_agrees_with_scikit_image(pair):
    assert metrics.psnr(*pair) == pytest.approx(peak_signal_noise_ratio(*pair, data_range=1))


def test_ssim_agrees_with_scikit_image(pair):
    expected = structural_similarity(
        *pair,
        data_range=1,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert metrics.ssim(*pair) == pytest.approx(expected, abs=1e-3)


def test_ciede2000_agrees_with_scikit_image(pair):
    labs = [color.rgb2lab(picture) for picture in pair]
    assert metrics.ciede2000(*labs) == pytest.approx(color.deltaE_ciede2000(*labs), abs=1e-6)


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [  # of the pairs of Sharma, Wu and Dalal 2005, table 1
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_ciede2000_of_published_pairs(first, second, difference):
    found = metrics.ciede2000(np.array(first, float), np.array(second, float))
    assert found == pytest.approx(difference, abs=1e-4)


def test_the_truth_is_perfect_and_grey_has_no_colour(pair):
    _, truth = pair
    assert metrics.psnr(truth, truth) == metrics.MAX_PSNR
    assert metrics.ssim(truth, truth) == pytest.approx(1)
    assert metrics.colorfulness(np.repeat(truth[:, :, :1], 3, axis=2)) < 1e-6
    assert metrics.colorfulness(truth) > 15
