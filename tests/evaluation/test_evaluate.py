"""`retint evaluate` as it is used, on real photographs."""

import csv
import json
import os
import re
import shutil

import numpy as np
import pytest
import torch
import torchvision
from imagecodecs import png_encode
from PIL import Image

from commands import fails_in_one_line, retint, retint_here
from retint.evaluation.perceptual import InceptionFeatures, Lpips, ShiftTolerantLpips
from retint.evaluation.systems import FolderSystem, JudgedPicture, MeanColor


@pytest.fixture(scope="module")
def report(photographs, tmp_path_factory):
    """A report of the default model, of the truth itself and of its grey, as picture folders."""
    folder = tmp_path_factory.mktemp("evaluation")
    for path in photographs.iterdir():
        for name in ("perfect", "grey pictures"):
            (folder / name).mkdir(exist_ok=True)
        with Image.open(path) as image:
            image.save(folder / "perfect" / f"{path.stem}-color.png")
            image.convert("L").save(folder / "grey pictures" / f"{path.stem}.png")
    done = retint(
        *("evaluate", "default", folder / "perfect", folder / "grey pictures", photographs),
        *("-o", folder / "out", "--limit", 6, "--size", 124, "--aged"),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, folder


def test_the_table_has_baselines_and_protocol(report):
    printed, folder = report
    for word in ("grey", "mean colour", "default", "perfect", "PSNR", "CIEDE2000", "ST-LPIPS"):
        assert word in printed
    assert "6 photographs of" in printed
    assert "124 x 124 px" in printed
    assert "of the squares as they are" in printed
    assert "a rough figure, of so few photographs" in printed
    assert {file.name for file in (folder / "out").iterdir()} == {
        "results.json",
        "pictures.csv",
        "contact-sheet.jpg",
        "report.html",
    }


def test_the_figures_are_those_of_the_pictures(report):
    _, folder = report
    systems = json.loads((folder / "out" / "results.json").read_text())["systems"]
    perfect, grey = systems["perfect"], systems["grey"]
    assert perfect["psnr"]["value"] == 100
    assert perfect["ciede2000"]["value"] == perfect["st_lpips"]["value"] == 0
    assert perfect["colorfulness"]["value"] == pytest.approx(1)
    assert perfect["frechet"] == pytest.approx(0, abs=1e-6)
    assert grey["colorfulness"]["value"] == 0
    # Grey bytes of another program are not far from ours, which keep L.
    assert systems["grey pictures"]["psnr"]["value"] == pytest.approx(grey["psnr"]["value"], abs=2)
    # Aged input costs something, and is judged on clean lightness: it loses no more than colour.
    aged, clean = systems["default, aged input"], systems["default"]
    assert aged["psnr"]["value"] > grey["psnr"]["value"] - 1
    assert aged["ciede2000"]["value"] != clean["ciede2000"]["value"]
    for figures in systems.values():
        assert figures["psnr"]["low"] <= figures["psnr"]["value"] <= figures["psnr"]["high"]

    with (folder / "out" / "pictures.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["system"] == "default"]
    assert len(rows) == 6
    mean = np.mean([float(row["psnr"]) for row in rows])
    assert systems["default"]["psnr"]["value"] == pytest.approx(mean, abs=1e-3)


def test_the_page_stands_alone(report):
    _, folder = report
    page = (folder / "out" / "report.html").read_text()
    assert "data:image/jpeg;base64," in page
    assert "http" not in page
    assert "default: the 3 worst by CIEDE2000" in page
    psnr = json.loads((folder / "out" / "results.json").read_text())["systems"]["default"]["psnr"]
    interval = f"<small>{psnr['low']:.2f} to {psnr['high']:.2f}</small>"
    assert f"<td>{psnr['value']:.2f}{interval}</td>" in page


def test_the_page_shows_aged_pictures_as_the_model_saw_them(report):
    _, folder = report
    before: dict[str, set[str]] = {}
    for section in (folder / "out" / "report.html").read_text().split("<h2>")[1:]:
        found = re.findall(r'alt="before" loading="lazy" src="([^"]+)"', section)
        before.setdefault(section.partition(": the ")[0], set()).update(found)
    assert len(before["default"]) == len(before["default, aged input"]) == 6
    assert before["default"] == before["perfect"]
    assert not before["default"] & before["default, aged input"]


def test_names_of_photographs_need_not_be_text(photographs, tmp_path):
    odd = tmp_path / "odd"
    odd.mkdir()
    for number, path in enumerate(sorted(photographs.iterdir())[:2]):
        shutil.copy(path, odd / os.fsdecode(b"caf\xe9-%d.jpg" % number))
    options = ("--size", 64, "--aged", "-o", tmp_path / "out")
    done = retint_here("evaluate", "default", odd, *options)
    assert done.returncode == 0, done.stderr
    assert b"odd/caf\xe9-0.jpg," in (tmp_path / "out" / "pictures.csv").read_bytes()
    assert "caf\\udce9-" in (tmp_path / "out" / "report.html").read_text()


def test_photographs_may_lie_in_the_current_folder(photographs, tmp_path, monkeypatch):
    here, coloured = tmp_path / "here", tmp_path / "coloured"
    for folder in (here, coloured):
        (folder / "2019").mkdir(parents=True)
        for path, name in zip(sorted(photographs.iterdir()), ("a.jpg", "2019/b.jpg"), strict=False):
            shutil.copy(path, folder / name)
    monkeypatch.chdir(here)
    options = ("--size", 64, "-o", tmp_path / "out")
    done = retint_here("evaluate", coloured, ".", *options)
    assert done.returncode == 0, done.stderr
    assert "2 photographs of ." in done.stdout
    done = retint_here("evaluate", coloured, "a.jpg", *options, "--overwrite")
    fails_in_one_line(done, "a.jpg has 1 usable colour photographs, and 2 are needed")


def test_a_report_is_not_overwritten(report, photographs):
    _, folder = report
    done = retint_here("evaluate", "default", photographs, "-o", folder / "out")
    fails_in_one_line(done, "results.json exists", "--overwrite")


def test_a_page_of_another_command_is_not_overwritten(photographs, tmp_path):
    (tmp_path / "report.html").write_text("of colorize --report")
    done = retint_here("evaluate", "nobody", photographs, "-o", tmp_path)
    fails_in_one_line(done, "report.html exists", "--overwrite")


def test_a_report_that_cannot_be_written_is_told_before_the_measuring(photographs, tmp_path):
    (tmp_path / "notes.txt").touch()
    for out in (tmp_path / "notes.txt", tmp_path / "notes.txt" / "out"):
        done = retint_here("evaluate", "nobody", photographs, "-o", out)
        fails_in_one_line(done, f"{out} cannot be written", "notes.txt is a file")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nobody keeps root out")
def test_a_folder_that_may_not_be_written_is_told_before_the_measuring(photographs, tmp_path):
    tmp_path.chmod(0o555)
    try:
        done = retint_here("evaluate", "nobody", photographs, "-o", tmp_path / "out")
    finally:
        tmp_path.chmod(0o755)
    fails_in_one_line(done, f"{tmp_path} may not be written into")


def test_a_missing_colouring_is_named(photographs, tmp_path):
    (tmp_path / "one").mkdir()
    some = sorted(photographs.iterdir())[0]
    (tmp_path / "one" / some.name).write_bytes(some.read_bytes())
    done = retint_here("evaluate", tmp_path / "one", photographs, "-o", tmp_path / "out")
    fails_in_one_line(done, "no picture called", "named like it")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fault", ["missing", "squashed"])
def test_a_colouring_of_no_use_is_told_before_any_is_measured(
    photographs, tmp_path, monkeypatch, fault
):
    theirs = shutil.copytree(photographs, tmp_path / "theirs")
    last = sorted(theirs.iterdir())[-1]
    if fault == "missing":
        last.unlink()
    else:
        Image.new("RGB", (64, 128)).save(last)
    measured: list[None] = []
    monkeypatch.setattr(FolderSystem, "color", lambda *_: measured.append(None))
    done = retint_here("evaluate", theirs, photographs, "-o", tmp_path / "out")
    fails_in_one_line(done, last.stem)
    assert not measured


def test_a_colouring_beside_its_photograph_is_the_one_that_is_measured(tmp_path):
    Image.new("RGB", (8, 8), "grey").save(tmp_path / "a.png")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a-color.png")
    picture = JudgedPicture.cut("a", np.zeros((8, 8, 3), np.uint8), 8)
    assert (FolderSystem(tmp_path).color(picture) == (255, 0, 0)).all()


def test_a_photograph_is_not_its_own_colouring(photographs, tmp_path):
    both = shutil.copytree(photographs, tmp_path / "both")
    first, *others = sorted(both.iterdir())
    for photograph in others:  # as `retint colorize` leaves them, but for one that failed
        shutil.copy(photograph, photograph.with_stem(f"{photograph.stem}-color"))
    done = retint_here("evaluate", both, both, "-o", tmp_path / "out")
    fails_in_one_line(done, f"{first} is the photograph itself", "needs its colouring")


@pytest.mark.parametrize("names", [("a.jpg", "a.png"), ("a-color.jpg", "a-color.png")])
def test_two_colourings_of_one_photograph_are_named(photographs, tmp_path, names):
    (tmp_path / "two").mkdir()
    for name in names:
        Image.new("RGB", (8, 8)).save(tmp_path / "two" / name)
    done = retint_here("evaluate", tmp_path / "two", photographs, "-o", tmp_path / "out")
    fails_in_one_line(done, *names, "remove one")


def test_another_aspect_ratio_is_named(photographs, tmp_path):
    (tmp_path / "squashed").mkdir()
    for path in photographs.iterdir():
        with Image.open(path) as image:
            image.resize((64, 64)).save(tmp_path / "squashed" / path.name)
    done = retint_here("evaluate", tmp_path / "squashed", photographs, "-o", tmp_path / "out")
    fails_in_one_line(done, "64 x 64", "whole photograph")


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_colourings_of_16_bits_count_as_those_of_8(photographs, tmp_path, mode):
    first = sorted(photographs.iterdir())[0]
    pixels = np.asarray(Image.open(first).convert(mode))
    for depth, data in (("8", pixels), ("16", pixels.astype(np.uint16) * 257)):
        (tmp_path / depth).mkdir()
        (tmp_path / depth / f"{first.stem}.png").write_bytes(png_encode(data))
    picture = JudgedPicture.cut(first.stem, np.asarray(Image.open(first)), 64)
    one, other = (FolderSystem(tmp_path / depth).color(picture) for depth in ("8", "16"))
    assert one.shape == (64, 64, 3)
    assert (one == other).all()


def test_two_systems_of_one_name_are_refused(photographs, tmp_path):
    (tmp_path / "grey").mkdir()
    done = retint_here("evaluate", tmp_path / "grey", photographs, "-o", tmp_path / "out")
    fails_in_one_line(done, "'grey'", "rename")


@pytest.mark.parametrize(
    ("target", "word"), [("nobody", "no model 'nobody'"), ("nobody.onnx", "no model")]
)
def test_an_unknown_model_is_named(photographs, tmp_path, target, word):
    fails_in_one_line(retint_here("evaluate", target, photographs, "-o", tmp_path / "out"), word)


def test_mean_colour_is_the_same_everywhere():
    grey = np.full((32, 32), 128, np.uint8)
    picture = JudgedPicture("a", (32, 32), np.zeros((32, 32, 3), np.uint8), grey)
    result = MeanColor((2.0, 12.0), "these").color(picture)
    assert (result == result[0, 0]).all()
    assert result[0, 0, 0] > result[0, 0, 2]  # yellowish


def test_perceptual_distances(colour_photo, tmp_path):
    picture = colour_photo[:128, 100:228]
    torch.manual_seed(0)
    weights = tmp_path / "alexnet.pth"
    torch.save(torchvision.models.alexnet().state_dict(), weights)
    for distance in (ShiftTolerantLpips(), Lpips(weights)):
        assert distance(picture, picture) == 0
        assert distance(picture, 255 - picture) > distance(picture, picture // 8 * 8) > 0


def test_features_of_a_file_of_inception_weights(colour_photo, tmp_path):
    network = torchvision.models.inception_v3(
        weights=None, num_classes=1008, aux_logits=False, init_weights=False
    )
    torch.save(network.state_dict(), tmp_path / "inception.pth")
    features = InceptionFeatures(tmp_path / "inception.pth")
    one, other = features(colour_photo[:128, 100:228]), features(colour_photo[200:328, :128])
    assert one.shape == (2048,)
    assert np.isfinite(one).all()
    assert (one != other).any()


@pytest.mark.parametrize("option", ["--lpips", "--inception"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no weights", "cannot be read as weights"),
        ({"features.0.weight": torch.zeros(3)}, "does not hold"),
        ({"epoch": 3}, "state dict alone"),
    ],
    ids=["text", "others", "more"],
)
def test_a_bad_weights_file_is_named(photographs, tmp_path, option, content, words):
    path = tmp_path / "weights.pth"
    if isinstance(content, str):
        path.write_text(content)
    else:
        torch.save(content, path)
    done = retint_here("evaluate", "default", photographs, "-o", tmp_path / "out", option, path)
    fails_in_one_line(done, "weights.pth", words)
