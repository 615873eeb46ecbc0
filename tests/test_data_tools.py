"""`retint data`, and the layouts of data sets that all commands read."""

import io
import json
import struct
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from imagecodecs import cms_profile
from PIL import Image, ImageOps
from upath import UPath

from commands import fails_in_one_line, retint, retint_here
from retint.dataset.stats import figure_of, measure_pictures
from retint.errors import RetintError
from retint.photo import read_photo
from retint.pictures import find_pictures, open_picture
from retint.training.data import load_photographs
from retint.training.recipe import Data

NAMES = ("astronaut", "chelsea", "coffee", "rocket")


@pytest.fixture
def four(photographs: Path, tmp_path: Path) -> Path:
    """A folder of four photographs that differ."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.jpg").write_bytes((photographs / f"{name}-0.jpg").read_bytes())
    return folder


@pytest.fixture
def mixed(four: Path) -> Path:
    """The four, and five that are of no use."""
    with Image.open(four / "coffee.jpg") as coffee, Image.open(four / "rocket.jpg") as rocket:
        coffee.resize((180, 140)).save(four / "smaller-coffee.jpg", quality=60)
        ImageOps.mirror(rocket).save(four / "turned-rocket.png")
    Image.new("RGB", (100, 100), (90, 90, 90)).save(four / "grey.png")
    Image.new("RGB", (20, 100), (90, 0, 90)).save(four / "tiny.png")
    (four / "text.jpg").write_text("no picture")
    return four


def test_profiles_are_heeded_as_in_colouring(four):
    """Cameras write Display P3 and Adobe RGB: the same numbers are other colours there."""
    chelsea = four / "chelsea.jpg"
    with Image.open(chelsea) as image:
        image.save(chelsea, quality=92, icc_profile=cms_profile("adobergb"))
    picture = next(one for one in find_pictures(four) if one.file == chelsea)
    learnt = np.asarray(open_picture(picture)).astype(int)
    assert np.abs(learnt - read_photo(chelsea).pixels).max() <= 1
    with Image.open(chelsea) as image:
        assert np.abs(learnt - np.asarray(image)).mean() > 2


def test_linked_folders_are_entered_once(four, tmp_path):
    away = tmp_path / "away"
    away.mkdir()
    (four / "chelsea.jpg").rename(away / "chelsea.jpg")
    (away / "round").symlink_to(four, target_is_directory=True)
    for name in ("linked", "twice"):
        (four / name).symlink_to(away, target_is_directory=True)
    assert [picture.name for picture in find_pictures(four)] == [
        *("photos/astronaut.jpg", "photos/coffee.jpg"),
        *("photos/linked/chelsea.jpg", "photos/rocket.jpg"),
    ]


def test_a_photograph_with_a_second_in_it_is_packed_as_it_is(four, tmp_path):
    """JPEGs of many cameras carry a preview, which makes them MPO to Pillow."""
    path = four / "chelsea.jpg"
    with Image.open(path) as image:
        image.save(path, "MPO", save_all=True, append_images=[image.resize((64, 48))])
    done = retint_here("data", "pack", four, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() in shards_of(tmp_path / "out").values()


def test_a_table_with_a_damaged_end_is_named(four, tmp_path):
    cells = [{"bytes": file.read_bytes(), "path": file.name} for file in four.iterdir()]
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"image": cells}), path)
    data = path.read_bytes()
    told = set()
    for place in range(len(data) - 60, len(data) - 8, 3):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            find_pictures(path)
        except RetintError as error:
            told.add(str(error))
    assert any(line.startswith(f"{path} cannot be read as a file of Parquet: ") for line in told)
    assert not any("\n" in line for line in told)


def shards_of(folder: Path) -> dict[str, bytes]:
    members = {}
    for shard in sorted(folder.glob("*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar:
                members[member.name] = tar.extractfile(member).read()
    return members


def test_check_names_bad_pictures_and_copies(mixed):
    done = retint("data", "check", mixed)
    assert done.returncode == 0, done.stderr
    found = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert found.pop("photos/text.jpg").startswith("unreadable")
    assert found == {
        "photos/grey.png": "grey",
        "photos/tiny.png": "tiny (20 x 100)",
        "photos/smaller-coffee.jpg": "looks like photos/coffee.jpg",
        "photos/turned-rocket.png": "looks like photos/rocket.jpg, mirrored",
    }
    assert "4 good, 5 not" in done.stderr


def test_check_names_damaged_pictures_that_claim_to_be_huge(four):
    with Image.open(four / "coffee.jpg") as coffee:
        coffee.save(four / "coffee.bmp")
    bitmap = bytearray((four / "coffee.bmp").read_bytes())
    for name, place, claim in (("wide", 18, 0xB9000000), ("high", 22, 0x7F000000)):
        damaged = bitmap.copy()
        damaged[place : place + 4] = struct.pack("<I", claim)
        (four / f"{name}.bmp").write_bytes(damaged)
    (four / "coffee.bmp").unlink()
    done = retint_here("data", "check", four)
    assert done.returncode == 0, done.stderr
    assert [line.split(" (")[0] for line in done.stdout.splitlines()] == [
        "photos/high.bmp: too large",
        "photos/wide.bmp: too large",
    ]


def test_check_sees_no_copies_in_different_cuts_of_a_photograph(photographs):
    done = retint_here("data", "check", photographs)
    assert done.stdout == ""
    assert "24 good, 0 not" in done.stderr


def test_stats_print_and_draw(mixed, tmp_path):
    figure = tmp_path / "plots" / "colours.png"
    done = retint("data", "stats", mixed, "-o", figure)
    assert done.returncode == 0, done.stderr
    for words in ("photographs", "left out", "140, 200, 200 px", "palette's 261 colours"):
        assert words in done.stdout
    with Image.open(figure) as picture:
        assert picture.width > 500
    fails_in_one_line(retint_here("data", "stats", mixed, "-o", figure), "--overwrite")


def test_pictures_that_are_all_of_no_use_are_counted(mixed, tmp_path):
    for file in mixed.iterdir():
        if file.name not in ("grey.png", "tiny.png", "text.jpg"):
            file.unlink()
    for name in ("a.png", "b.png"):
        (mixed / name).write_bytes((mixed / "grey.png").read_bytes())
    for command in (("data", "stats"), ("train",)):
        done = retint_here(*command, mixed, "-o", tmp_path / "out")
        fails_in_one_line(done, "3 grey, 1 unreadable, 1 tiny", "photos/a.png: grey; photos/b.png")


@pytest.mark.parametrize(
    ("color", "mean", "chroma"),
    [((255, 0, 0), "80.09, 67.20", "104.5"), ((0, 0, 255), "79.20, -107.86", "133.5")],
)
def test_stats_know_a_colour(tmp_path, color, mean, chroma):
    """The mean ab of sRGB's red and of its blue, which has the most chroma, in steps of 1."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        Image.new("RGB", (64, 64), color).save(photos / f"{number}.png")
    done = retint_here("data", "stats", photos, "-o", tmp_path / "colours.png")
    assert mean in done.stdout
    assert f"{chroma}\n" in done.stdout.replace(" ", "")
    figure = figure_of(measure_pictures(find_pictures(photos)))
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert any("Hasler and Suesstrunk: 0 grey" in label for label in labels)


def test_pack_keeps_files_as_they_are_and_repeats_itself(mixed, tmp_path):
    for out in ("one", "two"):
        done = retint_here("data", "pack", mixed, "-o", tmp_path / out, "--unique")
        assert done.returncode == 0, done.stderr
    assert done.stderr.count("left out ") == 5
    members = shards_of(tmp_path / "one")
    assert members == shards_of(tmp_path / "two")
    assert len(members) == 8
    for key, data in members.items():
        if key.endswith(".json"):
            original = mixed.parent / json.loads(data)["name"]
            assert members[key.replace(".json", ".jpg")] == original.read_bytes()
    assert len(find_pictures(tmp_path / "one")) == 4
    done = retint_here("data", "pack", mixed, "-o", tmp_path / "one")
    fails_in_one_line(done, "exists", "new folder")


def test_a_name_that_is_too_long_is_told(four, tmp_path):
    done = retint_here("data", "pack", four, "-o", tmp_path / ("n" * 300))
    fails_in_one_line(done, "cannot be written", "name too long")


def test_pack_leaves_folders_of_the_user_alone(four, tmp_path):
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "mine.txt").write_text("mine")
    assert retint_here("data", "pack", four, "-o", tmp_path / "out").returncode == 0
    assert (tmp_path / "out.partial" / "mine.txt").exists()


def test_pack_scales_down_and_bounds_the_shards(tmp_path):
    folder = tmp_path / "noise"
    folder.mkdir()
    for number in range(6):
        noise = Image.effect_noise((400, 500), 90 + number).convert("L")
        Image.merge("RGB", (noise, noise.rotate(90), noise.rotate(180))).save(
            folder / f"{number}.png"
        )
    done = retint_here("data", "pack", folder, "-o", tmp_path / "out", "--shard-megabytes", 1)
    assert done.returncode == 0, done.stderr
    sizes = [shard.stat().st_size for shard in (tmp_path / "out").iterdir()]
    assert len(sizes) > 1
    assert max(sizes) <= 1_000_000
    done = retint_here("data", "pack", folder, "-o", tmp_path / "small", "--short-side", 100)
    assert done.returncode == 0, done.stderr
    for picture in find_pictures(tmp_path / "small"):
        assert open_picture(picture).size == (100, 125)


def test_a_folder_that_the_library_datasets_saved_trains_like_the_folder(four, tmp_path):
    """`Dataset.save_to_disk`: Arrow's stream format, pictures as structs, facts beside them."""
    files = sorted(four.iterdir())
    rows = [{"image": {"bytes": file.read_bytes(), "path": None}, "label": 1} for file in files]
    rows.insert(2, {"image": {"bytes": None, "path": "elsewhere.jpg"}, "label": 1})
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "state.json").write_text("{}")
    batches = pyarrow.Table.from_pylist(rows).to_batches(max_chunksize=2)
    with pyarrow.ipc.new_stream(saved / "data-00000-of-00001.arrow", batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    done = retint_here("data", "check", saved)
    assert "4 good, 1 not" in done.stderr, done.stderr
    assert "data-00000-of-00001/00000002: unreadable" in done.stdout
    found, expected = (
        load_photographs(find_pictures(source), Data(size=64), cache=tmp_path / "cache")
        for source in (saved, four)
    )
    assert (found.images == expected.images).all()
    remote = UPath("memory://saved/data.arrow")
    remote.write_bytes((saved / "data-00000-of-00001.arrow").read_bytes())
    assert [picture.read() for picture in find_pictures(remote)][:2] == [
        file.read_bytes() for file in files[:2]
    ]
    (saved / "data-00000-of-00001.arrow").write_bytes(b"nothing" * 9)
    done = retint("data", "check", saved)  # this process has the file in its memory
    fails_in_one_line(done, "data-00000-of-00001.arrow", "file of Arrow")


def test_parquet_of_the_hub_trains_like_the_folder(four, tmp_path):
    files = sorted(four.iterdir())
    cells = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
    table = pyarrow.table({"label": [1, 2, 3, 4], "image": [*cells[:3], cells[3]]})
    folder = tmp_path / "hub" / "data"
    folder.mkdir(parents=True)
    pyarrow.parquet.write_table(table, folder / "train-00000-of-00001.parquet", row_group_size=3)
    pictures = find_pictures(tmp_path / "hub")
    assert [picture.read() for picture in pictures] == [file.read_bytes() for file in files]
    found, expected = (
        load_photographs(find_pictures(source), Data(size=64), cache=tmp_path / "cache")
        for source in (tmp_path / "hub", four)
    )
    assert (found.images == expected.images).all()
    done = retint_here("data", "pack", tmp_path / "hub", "-o", tmp_path / "out")
    assert "shards: 1 with 4 photographs" in done.stdout
    packed = {picture.read() for picture in find_pictures(tmp_path / "out")}
    assert packed == {file.read_bytes() for file in files}


def test_photographs_at_urls_are_read(four, tmp_path):
    done = retint_here("data", "check", four.as_uri())
    assert "4 good, 0 not" in done.stderr, done.stderr
    assert retint_here("data", "pack", four, "-o", tmp_path / "out").returncode == 0
    table = pyarrow.table({"image": [{"bytes": (four / "coffee.jpg").read_bytes(), "path": "c"}]})
    pyarrow.parquet.write_table(table, tmp_path / "out" / "more.parquet")
    remote = UPath("memory://shards")
    for file in (tmp_path / "out").iterdir():
        (remote / file.name).write_bytes(file.read_bytes())
    found, expected = (
        load_photographs(find_pictures(source), Data(size=64), cache=tmp_path / "cache")
        for source in (remote, tmp_path / "out")
    )
    assert len(found.names) == 5
    assert (found.images == expected.images).all()
    fails_in_one_line(retint_here("data", "check", "nothing://photos"), "nothing://photos")
    fails_in_one_line(
        retint_here("data", "check", "memory://photos"), "memory://photos does not exist"
    )


@pytest.mark.parametrize(
    ("url", "module", "words"),
    [
        ("https://example.org/a.tar", "aiohttp", "pip install aiohttp requests"),
        ("s3://a/b", "s3fs", "pip install s3fs"),
        ("gs://a/b", "gcsfs", "pip install gcsfs"),
        ("az://a/b", "adlfs", "pip install adlfs"),
        ("hf://datasets/a", None, "hf://datasets/a cannot be read"),  # not namespace/name
    ],
)
def test_a_url_that_cannot_be_opened_is_told_with_the_mend(url, module, words, monkeypatch):
    monkeypatch.setitem(sys.modules, module or "none", None)  # as where it is not installed
    fails_in_one_line(retint_here("data", "check", url), url, words)


def test_tables_that_hold_no_pictures_are_named(tmp_path):
    (tmp_path / "bad.parquet").write_text("no table")
    with_text = tmp_path / "text.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"]}), with_text)
    fails_in_one_line(
        retint_here("data", "check", tmp_path / "bad.parquet"), "bad.parquet", "Parquet"
    )
    fails_in_one_line(
        retint_here("data", "check", with_text), "text.parquet", "no column of pictures"
    )


def test_imagenet_and_coco_are_read_as_they_come(four, tmp_path):
    files = [file.read_bytes() for file in sorted(four.iterdir())]
    imagenet = tmp_path / "ILSVRC" / "Data" / "CLS-LOC"
    for name, data in zip(
        (
            "train/n01440764/n01440764_10026.JPEG",
            "train/n01443537/n01443537_16.JPEG",
            "val/ILSVRC2012_val_00000001.JPEG",
            "val/ILSVRC2012_val_00000002.JPEG",
        ),
        files,
        strict=True,
    ):
        (imagenet / name).parent.mkdir(parents=True, exist_ok=True)
        (imagenet / name).write_bytes(data)
    assert [picture.read() for picture in find_pictures(imagenet / "train")] == files[:2]
    assert [picture.read() for picture in find_pictures(imagenet / "val")] == files[2:]

    classes = io.BytesIO()
    with tarfile.open(fileobj=classes, mode="w") as tar:
        tar.add(imagenet / "train" / "n01440764", "")
    with tarfile.open(tmp_path / "ILSVRC2012_img_train.tar", "w") as tar:
        for name in ("n01440764.tar", "n01443537.tar"):
            member = tarfile.TarInfo(name)
            member.size = len(classes.getvalue())
            tar.addfile(member, io.BytesIO(classes.getvalue()))
    pictures = find_pictures(tmp_path / "ILSVRC2012_img_train.tar")
    assert [picture.read() for picture in pictures] == [files[0], files[0]]

    coco = tmp_path / "coco"
    for split, data in zip(("train2017", "val2017"), files, strict=False):
        (coco / split).mkdir(parents=True)
        (coco / split / "000000000139.jpg").write_bytes(data)
    (coco / "annotations").mkdir()
    (coco / "annotations" / "captions_train2017.json").write_text("{}")
    assert [picture.name for picture in find_pictures(coco)] == [
        "coco/train2017/000000000139.jpg",
        "coco/val2017/000000000139.jpg",
    ]
