import os
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

import retint
from retint import lab
from retint.errors import RetintError
from retint.evaluation.metrics import ciede2000
from retint.merge import lightness_of


@pytest.fixture(scope="module")
def grey(colour_photo):
    return np.asarray(Image.fromarray(colour_photo).convert("L"))


def test_a_photograph_gets_colours_and_keeps_its_lightness(grey):
    result = retint.colorize(grey)
    assert result.shape == (*grey.shape, 3)
    assert np.abs(lightness_of(result) - lightness_of(grey)).max() < 0.26
    assert np.ptp(result.astype(int), axis=2).mean() > 5


def test_skin_is_redder_than_blue(grey):
    face = retint.colorize(grey)[80:160, 190:260].astype(int)
    assert (face[:, :, 0] - face[:, :, 2]).mean() > 10


def test_what_goes_in_comes_out(grey, tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(grey).save(path)
    assert retint.colorize(path) == tmp_path / "photo-color.png"
    assert retint.colorize(str(path), overwrite=True) == str(tmp_path / "photo-color.png")
    assert isinstance(retint.colorize(Image.fromarray(grey)), Image.Image)
    assert retint.colorize(path.read_bytes())[:4] == path.read_bytes()[:4]
    assert retint.colorize(grey.astype(np.uint16) * 257).dtype == np.uint16


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (3, 1000), (777, 31), (2, 2)])
def test_any_size_keeps_its_size(shape):
    ramp = np.linspace(0, 255, shape[0] * shape[1]).astype(np.uint8).reshape(shape)
    assert retint.colorize(ramp).shape == (*shape, 3)


def test_seeds_give_repeatable_and_different_colourings(grey):
    small = grey[::2, ::2]
    first, again, other = (retint.colorize(small, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_strength_zero_is_grey(grey):
    assert (np.ptp(retint.colorize(grey, strength=0), axis=2) == 0).all()


def test_other_types_are_refused():
    with pytest.raises(TypeError, match="uint8 or uint16"):
        retint.colorize(np.zeros((4, 4)))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"seed": -1}, RetintError, "seed -1: give a whole number from 0"),
        ({"strength": float("nan")}, RetintError, "strength nan is not a number from 0"),
        ({"detail": -5}, RetintError, "detail -5: give pixels from 1"),
        ({"hints": [(1, 2, (255, 0, 0))]}, TypeError, "retint.Hint"),
        ({"strenght": 2.0}, TypeError, "no option 'strenght': use seed, strength"),
    ],
)
def test_wrong_options_are_told_in_a_line(grey, tmp_path, options, error, words):
    Image.fromarray(grey).save(tmp_path / "a.png")
    for picture in (grey, tmp_path / "a.png"):
        with pytest.raises(error, match=words):
            retint.colorize(picture, **options)
    assert not (tmp_path / "a-color.png").exists()


def test_importing_retint_loads_nothing_heavy():
    code = "import retint, sys; print([m for m in ('torch', 'numpy', 'cv2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_colouring_loads_no_torch(tmp_path):
    code = (
        "import numpy, retint, sys; retint.colorize(numpy.zeros((8, 8), 'uint8'));"
        "print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_colours_as_its_parent_did():
    code = (
        "import multiprocessing, numpy, retint; grey = numpy.zeros((300, 600), 'uint8');"
        "retint.colorize(grey); pool = multiprocessing.get_context('fork').Pool(1);"
        "print(pool.apply_async(retint.colorize, (grey,)).get(60).shape)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "(300, 600, 3)", done.stderr


def test_seeds_give_visibly_different_colourings_that_stay_near(grey):
    automatic, *seeded = (
        lab.rgb_to_lab(retint.colorize(grey, seed=seed) / 255) for seed in (None, 1, 2, 3)
    )
    for one, other in combinations(seeded, 2):
        assert 1 < ciede2000(one, other).mean() < 15
    for result in seeded:
        assert ciede2000(result, automatic).mean() < 10


def test_a_panorama_has_the_colours_of_its_parts(photographs):
    parts = [
        np.asarray(Image.open(path).convert("L").resize((256, 256)))
        for path in sorted(photographs.iterdir())[::3]
    ]
    panorama = retint.colorize(np.hstack(parts)).astype(int)
    alone = np.hstack([retint.colorize(part) for part in parts])
    assert np.abs(panorama - alone).mean() < 5


def test_detail_is_what_the_network_sees(grey):
    sizes = [retint.Colorizer().model.input_size(3000, 4000, detail) for detail in (None, 512)]
    assert sizes == [(256, 340), (512, 684)]
    assert (retint.colorize(grey, detail=512) != retint.colorize(grey)).any()
    assert (retint.colorize(grey, detail=256) == retint.colorize(grey)).all()


def test_detail_is_bounded_by_memory():
    rows, columns = retint.Colorizer().model.input_size(5000, 60000, 2048)
    assert rows * columns < 4_100_000


def test_a_pil_image_of_16_bits_is_coloured_as_it_looks(colour_photo):
    grey = np.asarray(Image.fromarray(colour_photo).convert("L"))
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    assert deep.mode == "I;16"
    expected = retint.colorize(Image.fromarray(grey))
    assert (np.asarray(retint.colorize(deep)) == np.asarray(expected)).all()
    with pytest.raises(TypeError, match="mode F"):
        retint.colorize(Image.fromarray(grey.astype(np.float32)))
