import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import color

from retint import lab

unit = st.floats(0, 1)


def test_agrees_with_scikit_image(colour_photo):
    rgb = colour_photo / 255
    assert np.abs(lab.rgb_to_lab(rgb) - color.rgb2lab(rgb)).max() < 0.02  # its white is rounded


@given(unit, unit, unit)
def test_round_trip_is_exact_to_a_byte(red, green, blue):
    rgb = np.array([red, green, blue])
    assert np.abs(lab.lab_to_rgb(lab.rgb_to_lab(rgb)) - rgb).max() < 1 / 255


@given(unit)
def test_greys_have_no_chroma(grey):
    assert np.abs(lab.rgb_to_lab(np.full(3, grey))[1:]).max() < 1e-6


@given(unit, unit, unit)
def test_lightness_alone_is_the_lightness_of_lab(red, green, blue):
    rgb = np.array([red, green, blue])
    assert lab.rgb_to_lightness(rgb) == pytest.approx(lab.rgb_to_lab(rgb)[0])


def test_torch_and_numpy_agree(colour_photo):
    torch = pytest.importorskip("torch")
    rgb = (colour_photo / 255).astype(np.float32)
    batch = torch.from_numpy(rgb).permute(2, 0, 1)[None]
    of_torch = lab.rgb_to_lab(batch, axis=1)[0].permute(1, 2, 0).numpy()
    assert np.abs(of_torch - lab.rgb_to_lab(rgb)).max() < 1e-3
    back = lab.lab_to_rgb(lab.rgb_to_lab(batch, axis=1), axis=1)
    assert (back - batch).abs().max() < 1e-4
    seen = lab.rgb_to_lab(batch, axis=1)
    normalized = lab.normalize_lightness(seen[:, :1]), lab.normalize_ab(seen[:, 1:])
    assert (lab.normalized_lab_to_rgb(*normalized, axis=1) - batch).abs().max() < 1e-4


def test_wrong_number_of_channels_is_refused():
    with pytest.raises(ValueError, match="3 channels"):
        lab.rgb_to_lab(np.zeros((4, 4, 4)))
