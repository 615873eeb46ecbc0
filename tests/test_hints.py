"""Colour hints through the API and the command, on a photograph."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from commands import SAMPLES, fails_in_one_line, retint
from retint import Colorizer, Hint, lab
from retint.hints import hint_map, read_hints

PLACE = (200, 350)  # x, y: on the suit of the astronaut
BLUE = (70, 110, 180)  # sRGB can show it at the suit's lightness


@pytest.fixture(scope="module")
def grey(colour_photo):
    return np.asarray(Image.fromarray(colour_photo).convert("L"))


@pytest.fixture(scope="module")
def automatic(grey):
    return ab_of(Colorizer()(grey))


def ab_of(pixels):
    return lab.rgb_to_lab(pixels.astype(np.float64) / 255)[..., 1:]


def distance(one, other):
    return np.linalg.norm(one - other, axis=-1)


@pytest.mark.parametrize("color", [BLUE, (160, 70, 160), (70, 130, 60), (150, 150, 150)])
def test_a_hint_colours_its_object_and_leaves_the_far_side_alone(grey, automatic, color):
    x, y = PLACE
    result = ab_of(Colorizer()(grey, hints=[Hint(x, y, color)]))
    wanted = lab.rgb_to_lab(np.array(color) / 255)[1:]
    assert distance(result[y, x], wanted) < 10
    around = result[y - 25 : y + 26, x - 25 : x + 26]
    before = automatic[y - 25 : y + 26, x - 25 : x + 26]
    assert distance(around, wanted).mean() < 0.5 * distance(before, wanted).mean()
    far = distance(result, automatic)[:150, 350:]
    assert far.mean() < 4


def test_the_later_hint_wins_and_both_are_kept(grey):
    places = (PLACE, (430, 100))
    hints = [Hint(*PLACE, (200, 40, 40)), Hint(*PLACE, BLUE), Hint(*places[1], (110, 140, 100))]
    result = ab_of(Colorizer()(grey, hints=hints))
    for (x, y), color in zip(places, (BLUE, (110, 140, 100)), strict=True):
        assert distance(result[y, x], lab.rgb_to_lab(np.array(color) / 255)[1:]) < 10


def test_no_hint_is_the_automatic_result(grey, automatic):
    assert (ab_of(Colorizer()(grey, hints=[])) == automatic).all()


def test_hints_hold_in_every_sample(grey):
    x, y = PLACE
    for seed in (1, 2):
        result = ab_of(Colorizer()(grey, hints=[Hint(x, y, BLUE)], seed=seed))
        assert distance(result[y, x], lab.rgb_to_lab(np.array(BLUE) / 255)[1:]) < 10


def test_hints_of_the_command(grey, tmp_path):
    photo = tmp_path / "photo.png"
    Image.fromarray(grey).save(photo)
    strokes = Image.new("RGBA", (512, 512))
    ImageDraw.Draw(strokes).line([(150, 300), (300, 330)], fill=(*BLUE, 255), width=10)
    strokes.save(tmp_path / "layer.png")
    written = {}
    for name, options in {
        "plain": (),
        "hint": ("--hint", "200,350,#466eb4"),
        "strokes": ("--hints", tmp_path / "layer.png"),
    }.items():
        done = retint("colorize", photo, "-o", tmp_path / f"{name}.png", *options)
        assert done.returncode == 0, done.stderr
        written[name] = ab_of(np.asarray(Image.open(tmp_path / f"{name}.png")))
    wanted = lab.rgb_to_lab(np.array(BLUE) / 255)[1:]
    assert distance(written["hint"][350, 200], wanted) < 10
    assert distance(written["strokes"][315, 225], wanted) < 10
    assert distance(written["plain"][350, 200], wanted) > 20


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--hint", "red"), ("'red'", "x,y,#rrggbb")),
        (("--hint", "1" * 5000 + ",1,#ff0000"), ("x,y,#rrggbb",)),
        (("--hint", "5000,1,#ff0000"), ("5000,1", "outside")),
        (("--hints", "missing.png"), ("missing.png", "does not exist")),
        (("--hints", "photo"), ("photo.png", "no transparency")),
        (("--hints", "small"), ("small.png", "10 x 10", "512 x 512")),
        (("--hints", "empty"), ("empty.png holds no hints", "paint")),
        (("--hints", "words"), ("words.txt holds no hints", "x,y,#rrggbb")),
    ],
)
def test_bad_hints_are_named(grey, tmp_path, options, words):
    photo = tmp_path / "photo.png"
    Image.fromarray(grey).save(photo)
    Image.new("RGBA", (10, 10)).save(tmp_path / "small.png")
    Image.new("RGBA", (512, 512)).save(tmp_path / "empty.png")
    (tmp_path / "words.txt").write_text("# none yet\n")
    names = ("photo.png", "small.png", "empty.png", "words.txt")
    files = {Path(name).stem: tmp_path / name for name in names}
    done = retint("colorize", photo, "-o", tmp_path / "o.png", *(files.get(o, o) for o in options))
    fails_in_one_line(done, *words)
    assert not (tmp_path / "o.png").exists()


def test_hints_go_with_one_photograph(grey, tmp_path):
    for name in ("a.png", "b.png"):
        Image.fromarray(grey).save(tmp_path / name)
    done = retint("colorize", tmp_path, "-o", tmp_path / "out", "--hint", "1,1,#ff0000")
    fails_in_one_line(done, "one photograph")


def test_a_map_has_hints_in_its_corners():
    painted = hint_map([Hint(0, 0, BLUE), Hint(999, 499, BLUE)], (500, 1000), (128, 256))
    assert painted[0, 0, 2] == painted[-1, -1, 2] == 1
    assert painted[64, 128, 2] == 0
    tiny = hint_map([Hint(500, 250, BLUE, radius=0.5)], (500, 1000), (128, 256))
    assert 1 <= tiny[..., 2].sum() <= 4


def test_strokes_of_two_colours(tmp_path):
    strokes = Image.new("RGBA", (600, 400))
    draw = ImageDraw.Draw(strokes)
    draw.rectangle((0, 0, 50, 50), fill=(255, 0, 0, 255))
    draw.rectangle((500, 300, 599, 399), fill=(0, 0, 255, 255))
    strokes.save(tmp_path / "s.png")
    hints = read_hints(tmp_path / "s.png", (400, 600))
    assert {hint.color for hint in hints if hint.x < 40} == {(255, 0, 0)}
    assert {hint.color for hint in hints if hint.x > 510} == {(0, 0, 255)}


@pytest.mark.parametrize("width", [1, 3])
def test_thin_strokes_on_a_large_photograph_keep_their_colours(tmp_path, width):
    strokes = Image.new("RGBA", (6000, 4000))
    draw = ImageDraw.Draw(strokes)
    draw.line([(1000, 1000), (5000, 1000)], fill=(*BLUE, 255), width=width)
    draw.line([(1000, 2000), (5000, 3500)], fill=(200, 40, 40, 255), width=width)
    draw.line([(100, 100), (5000, 100)], fill=(0, 255, 0, 100), width=width)  # hardly seen
    strokes.save(tmp_path / "s.png", compress_level=1)
    hints = read_hints(tmp_path / "s.png", (4000, 6000))
    assert {hint.color for hint in hints if hint.y < 1500} == {BLUE}
    assert {hint.color for hint in hints if hint.y >= 1500} == {(200, 40, 40)}
    for x in (1010, 3000, 4990):
        assert min(abs(hint.x - x) + abs(hint.y - 1000) for hint in hints) < 16


def test_hints_of_a_text_file_are_those_of_the_command_line(tmp_path):
    (tmp_path / "hints.txt").write_text("\ufeff# sky, roof\n120,80,#7090c0\n\n10,20,#c03020\n")
    cat = SAMPLES / "cat.jpg"
    by_file = retint("colorize", cat, "--hints", tmp_path / "hints.txt", "-o", tmp_path / "f.png")
    assert by_file.returncode == 0, by_file.stderr
    options = ["--hint", "120,80,#7090c0", "--hint", "10,20,#c03020"]
    assert retint("colorize", cat, *options, "-o", tmp_path / "h.png").returncode == 0
    pictures = (np.asarray(Image.open(tmp_path / name)) for name in ("f.png", "h.png"))
    assert np.array_equal(*pictures)
    (tmp_path / "hints.txt").write_text("red\n")
    wrong = retint("colorize", cat, "--hints", tmp_path / "hints.txt", "-o", tmp_path / "g.png")
    fails_in_one_line(wrong, "'red'", "x,y,#rrggbb")
