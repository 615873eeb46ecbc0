import errno
import hashlib
import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from pydantic import BaseModel
from safetensors.torch import load_file, save_file

from commands import SAMPLES, fails_in_one_line, retint, retint_here
from retint.errors import RetintError
from retint.export import export_generator, read_onnx_weights
from retint.model import model_path, open_model
from retint.models import EncoderUNet, Readout, UNet, create_generator
from retint.pictures import find_pictures
from retint.reproduce import reproduce
from retint.training.comparison import compare_runs
from retint.training.data import load_photographs, split
from retint.training.graphs import draw_graphs
from retint.training.loop import train
from retint.training.losses import discriminator_loss, generator_gan_loss
from retint.training.networks import Networks
from retint.training.recipe import Data, Recipe, Stage, list_recipes, load_recipe
from retint.training.run import Run
from retint.training.step import LOSSES

TINY = (
    "data.size=64",
    "data.batch_size=4",
    "generator.options.width=8",
    "generator.options.depth=6",
    "precision=fp32",
)
TRAIN = """
import sys
from pathlib import Path
from retint.training.loop import train
from retint.training.recipe import load_recipe
photos, out, cache, *changes = sys.argv[1:]
train(Path(photos), load_recipe("unet-gan", changes), Path(out), resume=True, cache=Path(cache))
"""
KILLED = """
import os, signal
replace = os.replace
def replace_and_end(beside, path):
    replace(beside, path)
    if str(path).endswith("checkpoint.pt"):
        os.kill(os.getpid(), signal.SIGKILL)
os.replace = replace_and_end
"""  # after the first checkpoint


def test_recipes_of_the_report():
    unet, resnet = load_recipe("unet-gan"), load_recipe("resnet18-gan")
    assert [stage.epochs for stage in unet.stages] == [45]
    assert [(s.epochs, s.gan > 0) for s in resnet.stages] == [(20, False), (20, True)]
    for stage in (unet.stages[0], resnet.stages[1]):
        assert (stage.l1, stage.lr_g, stage.betas) == (100, 2e-4, (0.5, 0.999))
    assert unet.data.batch_size == 16
    assert set(list_recipes()) >= {"default", "resnet18-gan", "unet-gan"}


def keys_of(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Rows of the table in docs/training.md: key, default, meaning."""
    for name, field in section.model_fields.items():
        key = prefix + name
        if name == "stages":
            yield from keys_of(Stage, "stages.N.")
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys_of(field.annotation, f"{key}.")
        else:
            default = (
                ""
                if field.is_required()
                else json.dumps(field.get_default(call_default_factory=True))
            )
            yield f"| `{key}` | {default} | {field.description} |"


def test_all_keys_of_recipes_are_documented():
    documented = (Path(__file__).parent.parent / "docs/training.md").read_text()
    assert [row for row in keys_of(Recipe) if row not in documented] == []
    for generator in (UNet, EncoderUNet):
        for option in inspect.signature(generator).parameters:
            assert f"| `{option}` | " in documented


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("nobody", (), "unet-gan"),
        ("unet-gan", ("data.colour=1",), "data.colour"),
        ("unet-gan", ("stages.7.epochs=1",), "stages.7.epochs"),
        ("unet-gan", ("data.size",), "key=value"),
        ("unet-gan", ("data.validation=.nan",), "data.validation"),
        ("unet-gan", ("data.window=[1.5, 3]",), "data.window: give a smaller"),
        ("unet-gan", ("seed=-1",), "seed"),
        ("unet-gan", ("stages.0.betas=[0.9, 1.0]",), "betas"),
        ("unet-gan", ("stages.0.l1=0", "stages.0.gan=0"), "it has no loss"),
    ],
)
def test_bad_recipes_are_named(name, changes, words):
    with pytest.raises(RetintError, match=words):
        load_recipe(name, changes)


@pytest.mark.parametrize(
    ("recipe", "changes", "words"),
    [
        ("unet-gan", ("data.size=96",), "multiple of 64"),
        (
            "default",
            ("data.size=64", "generator.options.pretrained=false", "stages.0.gan=1"),
            "96 or more",
        ),
        ("unet-gan", ("stages.0.palette=1",), "wants a palette"),
        ("unet-gan", ("generator.options.width=-8",), "'unet' cannot be built"),
        (
            "unet-gan",
            ("generator.options.widht=8",),
            "no option 'widht': choose among depth, width",
        ),
        (
            "default",
            ("generator.options.decoder_channels=[64, 32, 16, 8, 8, 8]",),
            "decoder_channels has 6 entries",
        ),
    ],
)
def test_a_size_that_does_not_fit_is_named(photographs, tmp_path, recipe, changes, words):
    tiny = TINY if recipe == "unet-gan" else ("data.validation=4", "data.batch_size=4")
    with pytest.raises(RetintError, match=words):
        train(photographs, load_recipe(recipe, (*tiny, *changes)), tmp_path / "run", cache=tmp_path)


def test_bad_pictures_are_left_out(photographs, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in list(photographs.iterdir())[:3]:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "text.jpg").write_text("no picture")
    Image.new("RGB", (100, 100), (90, 90, 90)).save(folder / "grey.png")
    recipe = load_recipe("unet-gan", TINY)
    found = load_photographs(find_pictures(folder), recipe.data, cache=tmp_path)
    assert len(found.names) == 3
    assert {line.split(":")[0].split("/")[1] for line in found.left_out} == {"text.jpg", "grey.png"}


def test_photographs_may_have_any_names(photographs, tmp_path):
    """Latin-1 of an old disk, and characters that some take for ends of lines."""
    names = [b"caf\xe9.jpg", "a\u2028b.jpg".encode(), "c\x85d.jpg".encode(), b"e\nf.jpg"]
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in photographs.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    for name in names:
        (folder / os.fsdecode(name)).write_bytes(path.read_bytes())
    data = load_recipe("unet-gan", TINY).data
    found, again = (
        load_photographs(find_pictures(folder), data, cache=tmp_path / "cache") for _ in range(2)
    )
    assert len(found.names) == len(found.images) == 28
    assert {os.fsencode(name).split(b"/")[1] for name in found.names} >= set(names)
    assert again.names == found.names


def test_what_a_killed_run_decoded_is_removed_by_the_next(photographs, tmp_path):
    killed = """
import os, signal, sys
from pathlib import Path
from retint.pictures import find_pictures
from retint.training.data import load_photographs
from retint.training.recipe import Data
photos, cache = map(Path, sys.argv[1:])
die = lambda done: os.kill(os.getpid(), signal.SIGKILL)
load_photographs(find_pictures(photos), Data(size=128), die, cache)
"""
    cache = tmp_path / "cache"
    done = subprocess.run([sys.executable, "-c", killed, photographs, cache])
    assert done.returncode == -signal.SIGKILL
    assert len(list(cache.rglob("images.npy"))) == 1
    load_photographs(find_pictures(photographs), Data(size=64), cache=cache)
    (left,) = cache.rglob("images.npy")
    assert left.parent.name.startswith("photographs-")


def test_split_is_80_20_and_disjoint():
    training, validation = split(5000, load_recipe("unet-gan").data, seed=0)
    assert (len(training), len(validation)) == (4000, 1000)
    assert not set(training) & set(validation)


def test_gan_losses_at_known_points():
    zero = torch.zeros(1, 1, 30, 30)
    assert discriminator_loss(zero, real=True, kind="vanilla") == pytest.approx(np.log(2))
    assert discriminator_loss(zero, real=False, kind="lsgan") == 0
    assert generator_gan_loss(zero, kind="lsgan") == 1
    assert discriminator_loss(zero + 2, real=True, kind="hinge") == 0


def test_a_run_leaves_everything_and_its_model_colours(photographs, tmp_path):
    recipe = load_recipe("unet-gan", (*TINY, "stages.0.epochs=3", "licence=CC-BY-4.0"))
    train(photographs, recipe, tmp_path / "run", cache=tmp_path)
    run = tmp_path / "run"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss_g_l1"] for line in lines if line["kind"] == "train"]
    assert losses[-1] < losses[0]
    graphs = {"graph-1-d-and-g-gan", "graph-2-g", "graph-3-g-and-d"}
    assert {p.stem for p in (run / "graphs").iterdir()} >= graphs
    grids = {p.stem for p in (run / "grids").iterdir()}
    assert {name for name in grids if "iteration" in name} == {
        f"iteration-{number:06d}" for number in (1, 5, 10)
    }
    assert {name for name in grids if "epoch" in name} == {f"epoch-00{n}" for n in (1, 2, 3)}
    grey, generated, truth = np.split(np.asarray(Image.open(run / "grids/epoch-003.png")), 3)
    assert np.ptp(grey.astype(int), axis=2).max() <= 1
    assert np.ptp(truth.astype(int), axis=2).mean() > np.ptp(grey.astype(int), axis=2).mean() + 10
    assert (generated != truth).any()
    shades = [cv2.cvtColor(row, cv2.COLOR_RGB2GRAY).astype(int) for row in (grey, truth)]
    assert np.abs(shades[0] - shades[1]).mean() < 10
    assert any((run / "events").iterdir())

    assert "| epoch | PSNR" in (run / "README.md").read_text()
    page = (run / "index.html").read_text()
    assert "3 of 3 epochs" in page
    for picture in re.findall(r'src="(.+?)"', page):
        assert (run / picture).is_file()

    from retint import Colorizer

    colorizer = Colorizer(run / "generator.onnx")
    assert len(colorizer.model.card["mean_ab"]) == 2
    assert colorizer.model.card["licence"] == "CC-BY-4.0"
    grey = np.linspace(0, 255, 90 * 70).astype(np.uint8).reshape(90, 70)
    one, again, other = (colorizer(grey, seed=seed) for seed in (1, 1, 2))
    assert one.shape == (90, 70, 3)
    assert (one == again).all()
    assert (one != other).any()


@pytest.mark.parametrize(("features", "precision"), [({}, "fp32"), ({"bf16": True}, "bf16")])
def test_a_cpu_without_bf16_computes_in_fp32(
    photographs, tmp_path, monkeypatch, capfd, features, precision
):
    """PyTorch imitates bf16 there, many times slower."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features, raising=False)
    changes = (*TINY, "stages.0.epochs=1", "discriminator_width=8", "precision=bf16")
    train(photographs, load_recipe("unet-gan", changes), tmp_path / "run", cache=tmp_path)
    assert json.loads((tmp_path / "run/run.json").read_text())["precision"] == precision
    assert f", {precision};" in (tmp_path / "run/README.md").read_text()
    assert ("has no bf16" in capfd.readouterr().err) == (precision == "fp32")


def test_runs_are_compared(photographs, tmp_path):
    without_l1 = ("stages.0.epochs=2", "stages.0.l1=0", "stages.0.l2=100")
    for name, changes in (("short [v1]", ("stages.0.epochs=1",)), ("long", without_l1)):
        recipe = load_recipe("unet-gan", (*TINY, *changes))
        train(photographs, recipe, tmp_path / name, cache=tmp_path)
    compare = ("compare", tmp_path / "short [v1]")
    done = retint_here(*compare, tmp_path / "long", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "short [v1]" in done.stdout  # which might be taken for markup
    long = next(line for line in done.stdout.splitlines() if line.startswith("long"))
    assert long.count("–") == 1  # no L1, which is not the best one of 0
    for graph in ("graph-4-g.png", "graph-5-d-and-g-gan.png"):
        with Image.open(tmp_path / "out" / graph) as picture:
            assert picture.width > 500
    done = retint_here(*compare, tmp_path / "long", "-o", tmp_path / "out")
    fails_in_one_line(done, "holds graphs", "--overwrite")
    done = retint_here(*compare, tmp_path / "nothing", "-o", tmp_path / "new")
    fails_in_one_line(done, "nothing", "not a run folder")


def test_resuming_takes_the_recipe_of_the_run(photographs, tmp_path):
    tiny = [part for change in TINY for part in ("--set", change)]
    run = ("--out", tmp_path / "run")
    done = retint(
        "train", photographs, "--recipe", "unet-gan", *tiny, *run, "--set", "stages.0.epochs=1"
    )
    assert done.returncode == 0, done.stderr
    again = retint_here("train", photographs, *run, "--resume")
    assert again.returncode == 0
    assert f"{tmp_path / 'run'} is complete already, 1 of 1 epochs" in again.stderr
    assert "generator.onnx" in again.stderr
    nothing = ("train", tmp_path / "nothing", "--out", tmp_path / "other", "--resume")
    fails_in_one_line(retint_here(*nothing), "there is no run in", "check --out")
    assert "nothing to resume" in retint_here(*nothing, "--recipe", "unet-gan").stderr


def test_a_finished_run_is_not_overwritten(photographs, tmp_path):
    recipe = load_recipe("unet-gan", (*TINY, "stages.0.epochs=1"))
    train(photographs, recipe, tmp_path / "run", cache=tmp_path)
    with pytest.raises(RetintError, match="--resume"):
        train(photographs, recipe, tmp_path / "run", cache=tmp_path)


def test_what_is_wrong_with_a_run_folder_is_told_before_photographs_are_read(tmp_path):
    recipe, out = load_recipe("unet-gan", TINY), tmp_path / "run"
    with Run(out).held(recipe, resume=False):
        Run(out).start(recipe, {"base": None})
        with pytest.raises(RetintError, match=r"run is being trained: .* another --out"):
            train(tmp_path / "none", recipe, out, resume=True)
    other = load_recipe("unet-gan", (*TINY, "seed=1"))
    with pytest.raises(RetintError, match="run was trained with another recipe"):
        train(tmp_path / "none", other, out, resume=True)
    with pytest.raises(RetintError, match=r"recipe\.yaml/run cannot be written: Not a directory"):
        train(tmp_path / "none", recipe, out / "recipe.yaml" / "run")
    with pytest.raises(RetintError, match="none does not exist"):
        train(tmp_path / "none", recipe, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", ["README.md", "index.html", "metrics.jsonl", "lock"])
def test_files_in_a_folder_that_is_no_run_stay(tmp_path, name):
    (tmp_path / name).write_text("mine")
    done = retint_here("train", tmp_path / "none", "--out", tmp_path)
    fails_in_one_line(done, f"{tmp_path} holds {name}", "another --out")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(name, "mine")]


def test_fine_tuning_without_a_model_is_no_training_from_random_weights(tmp_path):
    command = ("train", tmp_path / "none", "--recipe", "finetune", "--out", tmp_path / "run")
    fails_in_one_line(retint_here(*command), "begins without weights", "--init")
    assert not (tmp_path / "run").exists()
    begun = retint_here(*command, "--set", "generator.init=normal")
    fails_in_one_line(begun, "none does not exist")


@pytest.mark.parametrize(
    ("error", "batch", "words"),
    [
        (
            torch.OutOfMemoryError(),
            4,
            r"data\.batch_size=2, or a smaller data\.size, .*another --out",
        ),
        (torch.OutOfMemoryError(), 1, r"anew with a smaller data\.size, and another --out"),
        (OSError(errno.ENOSPC, "full"), 4, "make room, .* --resume"),
        (OSError(errno.EACCES, "denied"), 4, "denied.: mend that, .* --resume"),
    ],
)
def test_what_a_person_can_do_about_memory_and_disks(tmp_path, monkeypatch, error, batch, words):
    def fail(_):
        raise error

    monkeypatch.setattr("retint.training.loop.start", fail)
    recipe = load_recipe("unet-gan", (*TINY, f"data.batch_size={batch}"))
    with pytest.raises(RetintError, match=words):
        train(tmp_path, recipe, tmp_path / "run")


def test_the_page_is_there_before_the_first_epoch_ends(photographs, tmp_path, monkeypatch, capsys):
    class Stopped(Exception):  # noqa: N818 - a stop, not an error
        pass

    def stop(*_):
        raise Stopped

    monkeypatch.setattr("retint.training.loop.validate", stop)
    monkeypatch.setattr("retint.progress._LINE_EVERY", 0)
    recipe = load_recipe("unet-gan", (*TINY, "stages.0.epochs=2", "discriminator_width=8"))
    with pytest.raises(Stopped):
        train(photographs, recipe, tmp_path / "run", cache=tmp_path)
    page = (tmp_path / "run" / "index.html").read_text()
    assert re.search(r"0 of 2 epochs, [\d hmins]+ left", page)
    assert {"grids/iteration-000001.png", "graphs/graph-2-g.png"} <= set(
        re.findall(r'src="(.+?)"', page)
    )
    assert re.search(r"epoch 1 of 2 \(.+\), .+ left in all: 1 of 4", capsys.readouterr().err)


def test_graphs_leave_out_stages_without_a_discriminator(tmp_path, monkeypatch):
    losses = dict.fromkeys(LOSSES, 0.5)
    without = losses | dict.fromkeys(("loss_d_fake", "loss_d_real", "loss_d", "d_accuracy"), 0.0)
    lines = [
        {"kind": "train", "epoch": 1, "iteration": number, **values}
        for number, values in enumerate((without, losses))
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    drawn = {}
    monkeypatch.setattr(
        "retint.training.graphs.plot",
        lambda _, lines, key, __: drawn.update({key: [line["iteration"] for line in lines]}),
    )
    monkeypatch.setattr("retint.training.graphs.save", lambda *_: None)
    draw_graphs(tmp_path, tmp_path)
    assert drawn["loss_d"] == drawn["d_accuracy"] == [1]
    assert drawn["loss_g"] == [0, 1]


def test_a_run_of_oddly_named_photographs_is_exported_and_begun_from(photographs, tmp_path):
    odd, out, file = tmp_path / os.fsdecode(b"fotos-\xe9"), tmp_path / "run", tmp_path / "a.onnx"
    shutil.copytree(photographs, odd)
    recipe = load_recipe("unet-gan", (*TINY, "stages.0.epochs=1", "discriminator_width=8"))
    train(odd, recipe, out, cache=tmp_path / "cache")
    assert "fotos-\\udce9, 19 to train on" in (out / "README.md").read_text()

    assert Networks(recipe, Accelerator(cpu=True), str(out)).base["name"] == "best.safetensors"
    for options in ((), ("-o", file), ("-o", file, "--overwrite")):
        done = retint_here("export", out, *options)
        assert done.returncode == 0, done.stderr
    file.write_bytes(b"mine")
    fails_in_one_line(retint_here("export", out, "-o", file), "a.onnx exists: add --overwrite")
    assert file.read_bytes() == b"mine"


def test_a_run_goes_on_with_its_own_photographs_alone(photographs, tmp_path):
    photos, moved, out = tmp_path / "photos", tmp_path / "moved", tmp_path / "run"
    shutil.copytree(photographs, photos)
    recipe = load_recipe("unet-gan", (*TINY, "stages.0.epochs=1", "discriminator_width=8"))
    train(photos, recipe, out, cache=tmp_path / "cache")
    photos.rename(moved)
    train(moved, recipe, out, resume=True, cache=tmp_path / "cache")  # the same ones

    first = sorted(moved.iterdir())[0]
    shutil.copy(first, moved / "more.jpg")
    with pytest.raises(RetintError, match=r"25 photographs, not 24\).*another --out"):
        train(moved, recipe, out, resume=True, cache=tmp_path / "cache")
    first.unlink()
    with pytest.raises(RetintError, match="24 of other names"):
        train(moved, recipe, out, resume=True, cache=tmp_path / "cache")

    train(moved, recipe, tmp_path / "other", cache=tmp_path / "cache")
    assert "other photographs" in compare_runs([out, tmp_path / "other"], tmp_path).remarks[0]

    facts = json.loads((out / "run.json").read_text())
    del facts["names_sha256"]  # as of runs from before it was kept
    (out / "run.json").write_text(json.dumps(facts))
    train(moved, recipe, out, resume=True, cache=tmp_path / "cache")


@pytest.mark.parametrize("read", ["data.stream=null", "data.stream=4"])
def test_a_recipe_may_take_some_of_the_photographs(photographs, tmp_path, read):
    some = (*TINY, "stages.0.epochs=1", "discriminator_width=8", "data.limit=10", read)
    train(photographs, load_recipe("unet-gan", some), tmp_path / "run", cache=tmp_path)
    facts = json.loads((tmp_path / "run/run.json").read_text())
    assert (facts["training"], facts["validation"]) == (8, 2)


def test_a_loss_that_is_not_finite_stops_the_run(photographs, tmp_path):
    recipe = load_recipe("unet-gan", (*TINY, "stages.0.epochs=1", "stages.0.l1=1.0e+40"))
    with pytest.raises(RetintError, match="became"):
        train(photographs, recipe, tmp_path / "run", cache=tmp_path)


def test_weights_that_are_not_finite_replace_no_checkpoint(photographs, tmp_path):
    changes = ("stages.0.epochs=1", "stages.0.lr_g=1.0e+25", "checkpoint_steps=1")
    recipe = load_recipe("unet-gan", (*TINY, *changes, "discriminator_width=8"))
    with pytest.raises(RetintError, match="became"):
        train(photographs, recipe, tmp_path / "run", cache=tmp_path)
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    for network in ("generator", "discriminator"):
        assert all(tensor.isfinite().all() for tensor in state[network].values())


@pytest.mark.parametrize(
    ("changes", "reached"),
    [
        (("stages.0.epochs=4",), {"epoch": 1}),
        (
            ("stages.0.epochs=1", "data.batch_size=1", "data.validation=2", "checkpoint_steps=1"),
            {"epoch": 0, "iteration": 1},
        ),
    ],
    ids=["after an epoch", "inside one"],
)
def test_a_killed_run_resumes_to_the_same_weights(photographs, tmp_path, changes, reached):
    changes = (*TINY, *changes, "discriminator_width=8")
    recipe, cache = load_recipe("unet-gan", changes), tmp_path / "cache"
    train(photographs, recipe, tmp_path / "whole", cache=cache)
    killed = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED + TRAIN, photographs, killed, cache, *changes]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    state = torch.load(killed / "checkpoint.pt", weights_only=True)
    assert reached.items() <= state.items()
    train(photographs, recipe, killed, resume=True, cache=cache)
    first, second = (
        load_file(run / "generator.safetensors") for run in (tmp_path / "whole", killed)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_shipped_model_is_small_and_takes_any_size():
    from retint.model import open_model

    model = open_model("default")
    assert model.predict(np.full((64, 96), 50, np.float32)).shape == (16, 24, 2)
    path = Path(__file__).parent.parent / "src/retint/weights/default.onnx"
    assert path.stat().st_size < 30e6
    names = [node.name for node in onnxruntime.InferenceSession(path).get_inputs()]
    assert names == ["lightness", "hints"]


def test_fine_tuning_starts_from_the_model_that_ships(photographs, tmp_path):
    from retint import Colorizer

    changes = ("stages.0.epochs=1", "stages.0.lr_g=1.0e-9", "precision=fp32", "data.degrade=0")
    recipe = load_recipe("finetune", changes)
    train(photographs, recipe, tmp_path / "run", init="default", cache=tmp_path)
    digest = hashlib.sha256(model_path("default").read_bytes()).hexdigest()
    train(photographs, recipe, tmp_path / "run", resume=True, cache=tmp_path)  # forgets nothing
    card = open_model(tmp_path / "run" / "generator.onnx").card
    assert card["base"] == {"name": "default", "sha256": digest}
    assert "licence" not in card  # it is the trainer's to say
    readme = (tmp_path / "run" / "README.md").read_text()
    assert f"Started from: default, SHA-256 {digest}" in readme
    assert "Licence: not stated" in readme

    grey = np.asarray(Image.open(sorted(photographs.iterdir())[0]).convert("L"))
    ours, shipped = (
        Colorizer(model)(grey) for model in (tmp_path / "run/generator.onnx", "default")
    )
    # At such a learning rate only the norms' running figures move.
    assert np.abs(ours.astype(int) - shipped).mean() < 2
    weights, start = map(
        read_onnx_weights, (tmp_path / "run/generator.onnx", model_path("default"))
    )
    for name, value in weights.items():
        if "running" not in name:
            torch.testing.assert_close(value, start[name], rtol=1e-5, atol=1e-5)


def test_a_model_that_knows_one_colouring_is_asked_for_no_more(tmp_path):
    model = onnx.load(model_path("default"))
    kept = {prop.key: prop.value for prop in model.metadata_props if prop.key != "sha256"}
    card = json.loads(kept["retint"])
    del card["palette"]
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {**kept, "retint": json.dumps(card)})
    onnx.save(model, tmp_path / "one.onnx")
    cat = SAMPLES / "cat.jpg"
    asked = ("colorize", cat, "--model", tmp_path / "one.onnx", "-o", tmp_path / "out")
    fails_in_one_line(retint(*asked, "--samples", 2), "one.onnx", "leave out --samples")
    assert retint(*asked).returncode == 0


def test_a_run_that_was_stopped_at_once_begins_again_as_it_did(photographs, tmp_path):
    """Without a checkpoint, --resume alone began from other weights than --init had brought."""
    recipe = load_recipe("finetune", ("data.batch_size=4", "data.size=64", "stages.0.epochs=1"))
    out = tmp_path / "run"
    networks = Networks(recipe, Accelerator(cpu=True), "default")
    with Run(out).held(recipe, resume=False):
        Run(out).start(recipe, {"base": networks.base})
    with pytest.raises(RetintError, match=r"began from default .* that it had \(default\)"):
        train(photographs, recipe, out, resume=True, cache=tmp_path)
    facts = (out / "run.json").read_text()
    (out / "run.json").write_text(facts.replace(networks.base["sha256"], 64 * "0"))
    with pytest.raises(RetintError, match=r"default is no longer the file .* another --out"):
        train(photographs, recipe, out, resume=True, init="default", cache=tmp_path)


def test_a_pretrained_encoder_stays_what_it_is():
    recipe = load_recipe(
        "unet-gan",
        ("generator.name=encoder-unet", "generator.options.backbone=tf_efficientnet_lite0"),
    )
    generator = Networks(recipe, Accelerator(cpu=True), None).bare
    pretrained = create_generator("encoder-unet", backbone="tf_efficientnet_lite0").state_dict()
    weights = generator.state_dict()
    assert all(torch.equal(weights[n], pretrained[n]) for n in weights if n.startswith("encoder."))
    assert float(weights["ab_head.weight"].std()) == pytest.approx(0.02, rel=0.2)


def test_a_run_needs_its_pretrained_file_at_its_beginning_alone(photographs, tmp_path):
    import timm

    file, run = tmp_path / "encoder.pth", tmp_path / "run"
    torch.save(timm.create_model("mobilenetv3_small_050").state_dict(), file)
    changes = (
        *("data.size=64", "data.batch_size=8", "stages.0.epochs=1", "stages.0.gan=0"),
        *("generator.name=encoder-unet", "generator.options.decoder_channels=[8,8,8,8,8]"),
        *("generator.options.backbone=mobilenetv3_small_050", f"generator.options.weights={file}"),
    )
    recipe = load_recipe("unet-gan", changes)
    train(photographs, recipe, run, cache=tmp_path)
    file.unlink()
    train(photographs, recipe, run, resume=True, cache=tmp_path)
    Networks(recipe, Accelerator(cpu=True), str(run))
    with pytest.raises(RetintError, match="no weights file"):
        Networks(recipe, Accelerator(cpu=True), None)


def test_both_outputs_of_an_export_are_compared(tmp_path, monkeypatch):
    run = onnxruntime.InferenceSession.run

    def odd(self, names, feed):
        found = dict(zip(names, run(self, names, feed), strict=True))
        return [values + (name == "palette") for name, values in found.items()]

    options = {"pretrained": False, "decoder_channels": (8,), "palette": True}
    generator = EncoderUNet("mobilenetv3_small_050", **options)
    export_generator(generator, Readout(), tmp_path / "right.onnx", {})
    monkeypatch.setattr(onnxruntime.InferenceSession, "run", odd)
    with pytest.raises(RetintError, match=r"differs from the trained one by .* in palette"):
        export_generator(generator, Readout(), tmp_path / "odd.onnx", {})
    assert not (tmp_path / "odd.onnx").exists()


@pytest.mark.parametrize(
    ("init", "reason"),
    [
        ("default", "is in one of them alone"),
        ("wider.safetensors", "size mismatch for "),
        ("nothing.onnx", "give --init a run folder"),
        ("folder", "give --init a run folder"),
        ("text.onnx", "not a usable ONNX model"),
        ("text.safetensors", "cannot be read"),
    ],
)
def test_initial_weights_that_do_not_fit_leave_no_run(tmp_path, init, reason):
    for name in ("text.onnx", "text.safetensors"):
        (tmp_path / name).write_text("no weights")
    (tmp_path / "folder").mkdir()
    save_file(UNet(width=16, depth=6).state_dict(), tmp_path / "wider.safetensors")
    target = init if init == "default" else str(tmp_path / init)
    photographs = tmp_path / "none"  # are not looked at before
    with pytest.raises(RetintError, match=rf"{init}.*{reason}|{reason}.*{init}"):
        train(photographs, load_recipe("unet-gan", TINY), tmp_path / "run", init=target)
    assert not (tmp_path / "run").exists()


def test_the_report_is_reproduced_in_one_command(photographs, tmp_path):
    done = retint(
        *("reproduce", photographs, "--small", "-o", tmp_path, "--test", photographs),
        *("--set", "checkpoint_every=100", "--set", "data.batch_size=8"),
        *("--set", "stages.0.epochs=4"),
    )
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "report.md").read_text()
    for word in ("| unet-gan |", "| efficientnet-lite0-gan |", "| mean colour |", "graph-5"):
        assert word in report
    for link in re.findall(r"\]\((.+?)\)", report):
        assert (tmp_path / link).is_file(), link


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("generator.options.heads=3", "no generator has such an option"),
        ("generator.options.upsampling=odd", "upsampling is pixelshuffle or bilinear"),
        ("generator.options.pretrained=false", "begins without weights"),
        ("data.size=64", "multiple of 128"),
    ],
)
def test_recipes_of_a_reproduction_are_seen_to_fit_before_it_begins(tmp_path, change, words):
    out, photos = tmp_path / "out", tmp_path / "none"
    done = retint_here("reproduce", photos, "--small", "-o", out, "--set", change)
    fails_in_one_line(done, words)
    assert not out.exists()


def test_an_option_of_a_reproduction_goes_to_the_generator_that_has_it(tmp_path, monkeypatch):
    import timm

    recipes, file = [], tmp_path / "resnet18.pth"
    torch.save(timm.create_model("resnet18").state_dict(), file)
    monkeypatch.setattr(
        "retint.reproduce.train", lambda _, recipe, *__, **___: recipes.append(recipe)
    )
    options = ("generator.options.depth=7", "generator.options.width=8")
    options = (*options, f"generator.options.weights={file}")
    with pytest.raises(RetintError, match="not a run folder"):
        reproduce(tmp_path, tmp_path, changes=options)
    assert [recipe.name for recipe in recipes] == ["unet-gan", "resnet18-gan"]
    unet, encoder = (recipe.generator.options for recipe in recipes)
    assert (unet["depth"], unet["width"]) == (7, 8)
    assert "weights" not in unet
    assert encoder == {"backbone": "resnet18", "weights": str(file)}


def test_a_reproduction_replaces_no_other_report(tmp_path):
    (tmp_path / "report.md").write_text("# Mine")
    done = retint_here("reproduce", tmp_path / "none", "-o", tmp_path)
    fails_in_one_line(done, "report.md is not of retint reproduce", "another --out")
    assert (tmp_path / "report.md").read_text() == "# Mine"


def test_the_best_epoch_is_one_whose_weights_are_kept(photographs, tmp_path):
    changes = (*TINY, "stages.0.epochs=5", "checkpoint_every=3")
    train(photographs, load_recipe("unet-gan", changes), tmp_path / "run", cache=tmp_path)
    scores = {
        line["epoch"]: line["score"]
        for line in map(json.loads, (tmp_path / "run/metrics.jsonl").read_text().splitlines())
        if line["kind"] == "validation"
    }
    best = min((3, 5), key=scores.__getitem__)
    card = (tmp_path / "run/README.md").read_text()
    assert f"\n| {best} | " in card
    assert "\nBest of 2 epochs" in card
