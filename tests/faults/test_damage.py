"""Damaged files are named, with the mend; no colours come from them in silence; no pickle runs.

Model files, weights, checkpoints, journals, the databases of jobs and of a survey, recipes, work on
films, caches: cut off, with flipped bytes, empty, text, or another program's. A user meets one
line, never a traceback.
"""

import io
import json
import os
import pickle
import shutil
import sqlite3
import tarfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from commands import SAMPLES, fails_in_one_line, retint_here
from retint.errors import RetintError
from retint.model import list_models, model_path, open_model

TINY = (
    *("data.size=64", "data.batch_size=4", "generator.options.width=8"),
    *("generator.options.depth=6", "precision=fp32", "stages.0.epochs=1"),
)


def flipped(data: bytes, place: float) -> bytes:
    """With one bit of it turned over."""
    at = int(place * (len(data) - 1))
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def without_seal(data: bytes) -> bytes:
    """A model file as another exporter leaves it."""
    model = onnx.load_from_string(data)
    kept = {prop.key: prop.value for prop in model.metadata_props if prop.key != "sha256"}
    onnx.helper.set_model_props(model, kept)
    return model.SerializeToString()


@pytest.fixture(scope="module")
def weights():
    return model_path("default").read_bytes()


@pytest.mark.parametrize("place", [0.0, 0.001, 0.3, 0.6, 0.999, 1.0])
def test_a_model_with_a_flipped_bit_is_not_used(weights, tmp_path, place):
    (tmp_path / "m.onnx").write_bytes(flipped(weights, place))
    done = retint_here(
        "colorize", SAMPLES / "cat.jpg", "--model", tmp_path / "m.onnx", "-o", tmp_path / "a.jpg"
    )
    fails_in_one_line(done, "m.onnx", "damaged")
    assert not (tmp_path / "a.jpg").exists()


def other_model():
    """A good ONNX file that has nothing to do with colours."""
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value], [out])
    opset = [onnx.helper.make_opsetid("", 18)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)


def with_card(model, text):
    onnx.helper.set_model_props(model, {"retint": text})
    return model.SerializeToString()


CARD = {"contract": 2, "name": "a", "version": "1", "size": 64, "stride": 8, "out_stride": 4}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "damaged"),
        (b"no model", "damaged"),
        (other_model().SerializeToString(), "not a retint model"),
        (with_card(other_model(), "{"), "card"),
        (with_card(other_model(), "[]"), "card"),
        (with_card(other_model(), '{"contract": 1}'), "another version"),
        (with_card(other_model(), json.dumps(CARD | {"size": "big", "noise": []})), "'size'"),
        (with_card(other_model(), json.dumps(CARD | {"noise": []})), "inputs or outputs"),
    ],
    ids=["empty", "text", "another's", "no JSON", "list", "old", "size", "inputs"],
)
def test_what_is_no_model_of_retint_is_named(tmp_path, data, words):
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(RetintError, match=words):
        open_model(tmp_path / "m.onnx")


def test_a_model_that_was_cut_off_is_named(weights, tmp_path):
    for share in (0.1, 0.9, 0.9999):
        (tmp_path / "m.onnx").write_bytes(weights[: int(share * len(weights))])
        with pytest.raises(RetintError, match=r"m\.onnx.*damaged"):
            open_model(tmp_path / "m.onnx")


def test_weights_that_are_no_numbers_give_no_colours(weights, tmp_path):
    model = onnx.load_from_string(without_seal(weights))
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and tensor.raw_data:
            tensor.raw_data = np.full(len(tensor.raw_data) // 4, np.nan, "<f4").tobytes()
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(RetintError, match="no numbers"):
        open_model(tmp_path / "m.onnx").predict(np.full((64, 64), 50, np.float32))


def test_the_models_that_ship_carry_their_checksum(weights, tmp_path):
    for name in list_models():
        stored = onnx.load(model_path(name), load_external_data=False).metadata_props
        assert "sha256" in {prop.key for prop in stored}
        open_model(name)  # which looks at it
    (tmp_path / "unsealed.onnx").write_bytes(without_seal(weights))
    open_model(tmp_path / "unsealed.onnx")  # of another exporter: nothing to check it by


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "no recipe"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"name: [", "not YAML"),
        (b"- 1\n- 2\n", "no recipe"),
        (b"[" * 5000, "not YAML"),
        (b"name: a\ndescription: b\n", "generator"),
        (b"a: &a [1, 1]\nb: &b [*a, *a]\nname: *b\n", "aliases"),
        (b"!!python/object/apply:os.system ['touch pwned']", "not YAML"),
    ],
    ids=["empty", "bytes", "cut off", "list", "deep", "half", "aliases", "code"],
)
def test_a_damaged_recipe_is_named(tmp_path, monkeypatch, text, words):
    from retint.training.recipe import load_recipe

    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_bytes(text)
    with pytest.raises(RetintError, match=words):
        load_recipe(str(tmp_path / "r.yaml"), ("data.size=64",))
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "damage",
    [
        b"no journal\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"{}\n",
        b"\x00" * 5000 + b"\n",
    ],
)
def test_a_damaged_journal_is_named(tmp_path, damage):
    (tmp_path / "in").mkdir()
    shutil.copy(SAMPLES / "cat.jpg", tmp_path / "in")
    journal = tmp_path / "out" / "retint-journal.jsonl"
    journal.parent.mkdir()
    journal.write_bytes(damage)
    done = retint_here("colorize", tmp_path / "in", "-o", journal.parent)
    fails_in_one_line(done, "retint-journal.jsonl", "move it away", "--overwrite")
    assert journal.read_bytes() == damage


def test_a_journal_that_was_cut_off_anywhere_is_gone_on_with(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("cat", "coffee"):
        shutil.copy(SAMPLES / f"{name}.jpg", tmp_path / "in")
    out = tmp_path / "out"
    assert retint_here("colorize", tmp_path / "in", "-o", out).returncode == 0
    whole = (out / "retint-journal.jsonl").read_bytes()
    results = {path.name: path.read_bytes() for path in out.glob("*.jpg")}
    for share in (0.05, 0.5, 0.8, 0.95):
        (out / "retint-journal.jsonl").write_bytes(whole[: int(share * len(whole))])
        done = retint_here("colorize", tmp_path / "in", "-o", out)
        assert "Traceback" not in done.stderr
        names = {path.name for path in out.glob("*.jpg")}
        assert names == set(results)  # what is not in the journal is told to exist, not replaced


def _as_database(path: Path, damage: str) -> None:
    if damage == "text":
        path.write_text("no database " * 1000)
    elif damage == "another's":
        path.unlink()
        with sqlite3.connect(path) as database:
            database.execute("create table jobs (id integer)")
            database.execute("create table sessions (id integer)")
    elif damage == "cut off":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        data = bytearray(path.read_bytes())
        data[4096 : 4096 + 400] = bytes(400)  # the second page
        path.write_bytes(bytes(data))


DAMAGES = ["text", "another's", "cut off", "zeros"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_database_of_jobs_is_named(tmp_path, damage):
    jobs = pytest.importorskip("retint.web.jobs")
    from retint.web.service import Wish

    store = jobs.JobStore(tmp_path, 10)
    for _ in range(50):
        store.add([("a.jpg", io.BytesIO(b"x"))], Wish())
    store.close()
    _as_database(tmp_path / "jobs.sqlite", damage)
    fails_in_one_line(
        retint_here("serve", "--data", tmp_path, "--port", 0), str(tmp_path), "jobs.sqlite away"
    )


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_database_of_answers_is_named(tmp_path, damage):
    from retint.survey.build import Protocol, Survey
    from retint.survey.store import NAME, Store, read_sessions

    names = tuple(str(number) for number in range(60))
    survey = Survey(tmp_path, "1", "p", ("m",), ("m",), None, Protocol(), names, ())
    store = Store(survey)
    for _ in range(20):
        store.begin()
    store.close()
    _as_database(tmp_path / NAME, damage)
    for use in (read_sessions, Store):
        with pytest.raises(RetintError, match=rf"{NAME}.*move it away"):
            use(survey)


@pytest.fixture(scope="module")
def run(photographs, tmp_path_factory):
    """A run folder of a tiny training that is over."""
    from retint.training.loop import train
    from retint.training.recipe import load_recipe

    folder = tmp_path_factory.mktemp("runs")
    train(photographs, load_recipe("unet-gan", TINY), folder / "run", cache=folder / "cache")
    return folder / "run"


def resumed(run, photographs):
    from retint.training.loop import train
    from retint.training.recipe import load_recipe

    longer = (run / "recipe.yaml").read_text().replace("epochs: 1", "epochs: 2")
    (run / "recipe.yaml").write_text(longer)
    recipe = load_recipe(str(run / "recipe.yaml"))
    train(photographs, recipe, run, resume=True, cache=run.parent / "cache")


def test_a_damaged_checkpoint_is_named(run, photographs, tmp_path):
    data = (run / "checkpoint.pt").read_bytes()
    other = tmp_path / "other.pt"
    torch.save({"epoch": 1}, other)
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    torch.save({**state, "generator": {"w": torch.zeros(3)}}, tmp_path / "unfit.pt")
    cases = {
        "empty": b"",
        "text": b"no checkpoint",
        "cut off": data[: len(data) // 2],
        "begin": flipped(data, 0.001),
        "middle": flipped(data, 0.5),
        "end": flipped(data, 0.999),
        "another's": other.read_bytes(),
        "unfit": (tmp_path / "unfit.pt").read_bytes(),
    }
    for name, damage in cases.items():
        broken = tmp_path / name / "run"
        shutil.copytree(run, broken)
        (broken.parent / "cache").symlink_to(run.parent / "cache")
        (broken / "checkpoint.pt").write_bytes(damage)
        with pytest.raises(RetintError, match=r"checkpoint\.pt is damaged.*start a new run"):
            resumed(broken, photographs)
        assert (broken / "checkpoint.pt").read_bytes() == damage


@pytest.mark.parametrize("damage", ["empty", "text", "cut off", "begin", "middle", "end"])
def test_damaged_weights_of_a_run_are_named(run, tmp_path, damage):
    from retint.export import export_run

    shutil.copytree(run, tmp_path / "run")
    file = tmp_path / "run" / "best.safetensors"
    data = file.read_bytes()
    file.write_bytes(
        {
            "empty": b"",
            "text": b"no weights",
            "cut off": data[:-100],
            "begin": flipped(data, 0.001),
            "middle": flipped(data, 0.5),
            "end": flipped(data, 1.0),
        }[damage]
    )
    (tmp_path / "run" / "generator.onnx").unlink()
    with pytest.raises(RetintError, match=r"best\.safetensors"):
        export_run(tmp_path / "run")
    assert not list((tmp_path / "run").glob("generator.onnx*"))


def test_a_damaged_cache_of_photographs_is_named(run, photographs, tmp_path):
    from retint.pictures import find_pictures
    from retint.training.data import load_photographs
    from retint.training.recipe import load_recipe

    cache = tmp_path / "cache"
    shutil.copytree(run.parent / "cache", cache)
    (images,) = cache.glob("*/images.npy")
    images.write_bytes(images.read_bytes()[:2000])
    with pytest.raises(RetintError, match="cache, is damaged: remove it"):
        load_photographs(
            find_pictures(photographs), load_recipe("unet-gan", TINY).data, cache=cache
        )


def test_damaged_work_on_a_film_is_named(tmp_path):
    pytest.importorskip("av")
    from retint.video.segments import Work

    folder = tmp_path / ".film.mp4.partial"
    folder.mkdir()
    Work(folder, {})
    (folder / "00000.nut").touch()
    np.savez(folder / "00000.npz", frames=1, end=1, lightness=np.ones((9, 9)), ab=np.ones((9, 9)))
    whole = (folder / "00000.npz").read_bytes()
    for damage in (b"", b"text", whole[:200], flipped(whole, 0.6)):
        (folder / "00000.npz").write_bytes(damage)
        with pytest.raises(RetintError, match=r"remove .*to begin anew"):
            Work(folder, {}).load()
    (folder / "settings.json").write_bytes(b"\xff")  # as of other settings
    assert not Work(folder, {}).segments


class Malice:
    """Makes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


def test_no_pickle_is_ever_run(run, photographs, tmp_path):
    from retint.pictures import find_pictures, open_picture
    from retint.training.loop import train
    from retint.training.recipe import load_recipe

    trace = tmp_path / "trace"
    malice = tmp_path / "malice"
    malice.mkdir()
    plain = pickle.dumps(Malice(trace))
    torch.save({"epoch": Malice(trace)}, malice / "torch.pth")
    np.save(malice / "array.npy", np.array([Malice(trace)], object), allow_pickle=True)
    files = {"plain": plain}
    files |= {path.stem: path.read_bytes() for path in (malice / "torch.pth", malice / "array.npy")}
    for name, data in files.items():
        for suffix in (".jpg", ".npy", ".onnx", ".safetensors", ".pth", ".parquet", ".pt"):
            (malice / f"{name}{suffix}").write_bytes(data)
        refused = [
            ("colorize", malice / f"{name}.jpg"),
            ("colorize", SAMPLES / "cat.jpg", "--model", malice / f"{name}.onnx"),
            ("colorize", SAMPLES / "cat.jpg", "--hints", malice / f"{name}.jpg"),
            ("data", "check", malice / f"{name}.parquet"),
            *(
                ("evaluate", "default", photographs, "-o", tmp_path / "report", option, weights)
                for option in ("--lpips", "--inception")
                for weights in (malice / f"{name}.pth", malice / f"{name}.safetensors")
            ),
        ]
        for command in refused:
            fails_in_one_line(retint_here(*command), name)
        for init in (".onnx", ".safetensors", ".pth", ".pt"):
            with pytest.raises(RetintError, match=name):
                train(
                    photographs,
                    load_recipe("unet-gan", TINY),
                    tmp_path / "new",
                    init=str(malice / f"{name}{init}"),
                    cache=run.parent / "cache",
                )
        backbone = ("generator.name=encoder-unet", f"generator.options.weights={malice / name}.pth")
        with pytest.raises(RetintError, match=name):
            train(
                photographs,
                load_recipe("resnet18-gan", ("data.batch_size=4", *backbone)),
                tmp_path / "new",
                cache=tmp_path / "cache",
            )
        broken = tmp_path / name / "run"
        shutil.copytree(run, broken)
        (broken.parent / "cache").symlink_to(run.parent / "cache")
        (broken / "checkpoint.pt").write_bytes(data)
        with pytest.raises(RetintError, match="damaged"):
            resumed(broken, photographs)
    with tarfile.open(malice / "shard.tar", "w") as tar:
        for name in ("a.jpg", "a.pth", "a.pickle", "a.pyd"):
            (tmp_path / "member").write_bytes(plain)
            tar.add(tmp_path / "member", name)
    assert [
        str(open_picture(picture)).split()[0] for picture in find_pictures(malice / "shard.tar")
    ] == ["unreadable"]
    assert not trace.exists()
    with pytest.raises(FileExistsError):  # the pickles do work
        pickle.loads(plain), pickle.loads(plain)


def test_a_checkpoint_and_its_mend_as_the_command_tells_them(run, photographs, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"text")
    done = retint_here("train", photographs, "--out", tmp_path / "run", "--resume")
    fails_in_one_line(done, "checkpoint.pt is damaged", "--init")
    Image.open(tmp_path / "run" / "grids" / "epoch-001.png").verify()  # what was there still is
