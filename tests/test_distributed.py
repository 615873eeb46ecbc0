"""Several processes of one training, as a launcher starts them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from retint.training.loop import train
from retint.training.recipe import load_recipe

# Five levels have no dropout and nothing is mirrored, so the pictures alone decide the gradients.
# 16 of 24 train: one step of 16.
CHANGES = (
    "data.size=64",
    "data.validation=8",
    "data.flip=false",
    "generator.options.width=8",
    "generator.options.depth=5",
    "discriminator_width=8",
    "precision=fp32",
    "stages.0.epochs=1",
    "stages.0.lr_d=1.0e-6",
)


def two_processes(photographs: Path, out: Path) -> subprocess.CompletedProcess[str]:
    changes = [part for change in (*CHANGES, "data.batch_size=8") for part in ("--set", change)]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = Path(sys.executable).with_name("retint")
    arguments = ["train", photographs, "--recipe", "unet-gan", "--out", out, *changes]
    return subprocess.run([*command, script, *arguments], capture_output=True, text=True)


@pytest.fixture(scope="module")
def shared(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes."""
    out = tmp_path_factory.mktemp("shared") / "run"
    done = two_processes(photographs, out)
    assert done.returncode == 0, done.stderr
    return out


def lines_of(run: Path, kind: str) -> list[dict]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if line["kind"] == kind]


def gradients(run: Path, network: str) -> list[torch.Tensor]:
    """Of the one step of a run: Adam's first mean is half of them."""
    state = torch.load(run / "checkpoint.pt", weights_only=True)["optimizers"][network]["state"]
    return [2 * moments["exp_avg"] for moments in state.values()]


def test_two_processes_take_the_step_of_one(photographs, shared, tmp_path):
    recipe = load_recipe("unet-gan", (*CHANGES, "data.batch_size=16"))
    train(photographs, recipe, tmp_path / "run", cache=tmp_path)
    for network in ("d", "g"):
        alone, together = gradients(tmp_path / "run", network), gradients(shared, network)
        largest = max(gradient.abs().max() for gradient in alone)
        for one, other in zip(alone, together, strict=True):
            assert ((one - other).abs() / largest).max() < 1e-5
    for kind in ("train", "validation"):
        (one,), (other,) = lines_of(tmp_path / "run", kind), lines_of(shared, kind)
        figures = [key for key in one if key not in ("kind", "images_per_second")]
        for figure in figures:
            assert one[figure] == pytest.approx(other[figure], rel=1e-5), figure
    assert json.loads((shared / "run.json").read_text())["processes"] == 2


def test_an_error_is_told_once(photographs, shared):
    done = two_processes(photographs, shared)
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if line.startswith("retint: ")]
    assert len(told) == 1
    assert "--resume" in told[0]


def test_one_process_goes_on_where_two_stopped(photographs, shared, tmp_path):
    run = shutil.copytree(shared, tmp_path / "run")
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("epochs: 1", "epochs: 2"))
    train(photographs, load_recipe(str(recipe)), run, resume=True, cache=tmp_path)
    assert [line["epoch"] for line in lines_of(run, "validation")] == [1, 2]
    assert [line["iteration"] for line in lines_of(run, "validation")] == [1, 3]
