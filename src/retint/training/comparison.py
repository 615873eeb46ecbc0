"""Finished or running runs side by side: the report's graphs 4 and 5 and a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retint.errors import RetintError, written
from retint.tables import Table
from retint.training.graphs import lines_with, new_graph, plot, save
from retint.training.run import best_epoch, read_facts, read_metrics, read_recipe

_GRAPHS = {
    "graph-4-g": ("Graph 4: G's losses", {"loss_g": "G", "loss_g_l1": "G, L1"}),
    "graph-5-d-and-g-gan": (
        "Graph 5: D's loss and G's GAN loss",
        {"loss_d": "D", "loss_g_gan": "G, GAN"},
    ),
}
_HEADER = (
    "run",
    "iterations",
    "best epoch",
    "PSNR dB ↑",
    "ab error / grey ↓",
    "colour / truth",
    "last G L1 ↓",
    "last G GAN",
    "last D",
    "images/s",
)
_STYLES = ("solid", "dashed", "dotted", "dashdot")

_LOSSES = ("loss_g_l1", "loss_g_gan", "loss_d")  # those that a stage does not have are logged as 0


@dataclass(frozen=True)
class Comparison:
    """What several runs came to.

    Attributes:
        table: a row for each run: the validation figures of its best epoch by score, and the
            running means of its losses at the end.
        remarks: what has to be known to read it.
        graphs: PNG files.
    """

    table: Table
    remarks: list[str]
    graphs: list[Path]


def compare_runs(runs: Sequence[Path], out: Path, *, overwrite: bool = False) -> Comparison:
    """Compare runs and draw their losses against iterations into `out`.

    Raises:
        RetintError: if one is not a run folder or has not finished an epoch, or `out` holds
            graphs and `overwrite` is not set.
    """
    if not overwrite and any((out / f"{file}.png").exists() for file in _GRAPHS):
        raise RetintError(f"{out} holds graphs: add --overwrite, or give another --out")
    names = _names(runs)
    validations = {name: _validations(run) for name, run in zip(names, runs, strict=True)}
    losses = {name: read_metrics(run, "train") for name, run in zip(names, runs, strict=True)}
    rows = [_row(name, validations[name], losses[name][-1]) for name in names]
    remarks = [*_differences(runs, names), *_races(names, validations)]
    return Comparison(Table(_HEADER, rows), remarks, _draw(names, losses, out))


def _row(name: str, validations: list[dict[str, Any]], last: dict[str, Any]) -> list[str]:
    best = best_epoch(validations)
    return [
        name,
        str(last["iteration"]),
        str(best["epoch"]),
        f"{best['psnr']:.2f}",
        f"{best['ab_error']:.3f}",
        f"{best['colorfulness']:.2f}",
        *(f"{last[key]:.3f}" if last[key] else "–" for key in _LOSSES),
        f"{validations[-1]['images_per_second']:.0f}",
    ]


def _names(runs: Sequence[Path]) -> list[str]:
    names = [run.resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [str(run) for run in runs]


def _validations(run: Path) -> list[dict[str, Any]]:
    lines = read_metrics(run, "validation")
    if not lines:
        raise RetintError(f"{run} has not finished an epoch yet: let it train on")
    return lines


def _differences(runs: Sequence[Path], names: Sequence[str]) -> list[str]:
    """Say what makes the figures of the runs unlike."""
    first, remarks = runs[0], []
    for run, name in zip(runs[1:], names[1:], strict=True):
        ours, theirs = read_facts(first), read_facts(run)
        data, other = read_recipe(first).data, read_recipe(run).data
        if _split_of(first) != _split_of(run) or not _same_photographs(ours, theirs):
            remarks.append(f"{name} was trained or validated on other photographs than {names[0]}")
        elif data.size != other.size:
            remarks.append(f"{name} saw {other.size} px, {names[0]} {data.size} px")
    return remarks


def _same_photographs(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    # Where runs of earlier versions do not say the names, the path stands for them.
    known = "names_sha256" if "names_sha256" in ours and "names_sha256" in theirs else "photographs"
    return all(ours[key] == theirs[key] for key in (known, "training", "validation"))


def _split_of(run: Path) -> tuple[str, int]:
    """What decides which photographs validate, beside their names and numbers."""
    recipe = read_recipe(run)
    return recipe.data.split, recipe.seed if recipe.data.split == "random" else 0


def _races(names: Sequence[str], validations: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Say who came first to what another run reached at best."""
    remarks = []
    for name in names:
        goal = min(validations[name], key=lambda line: line["ab_error"])
        for other in names:
            if other == name:
                continue
            reached = [v for v in validations[other] if v["ab_error"] <= goal["ab_error"]]
            if reached and reached[0]["iteration"] < goal["iteration"]:
                remarks.append(
                    f"{other} has {name}'s lowest ab error ({goal['ab_error']:.3f}, iteration "
                    f"{goal['iteration']}) by iteration {reached[0]['iteration']}"
                )
    return remarks


def _draw(names: Sequence[str], losses: dict[str, list[dict[str, Any]]], out: Path) -> list[Path]:
    drawn = []
    for file, (title, keys) in _GRAPHS.items():
        figure, axes = new_graph(title, "running mean of the epoch")
        for number, name in enumerate(names):
            axes.set_prop_cycle(None)  # the same colour for the same loss, a style for each run
            style = _STYLES[number % len(_STYLES)]
            for key, label in keys.items():
                lines = lines_with(key, losses[name])
                plot(axes, lines, key, f"{name}: {label}", linestyle=style)
        with written(out):
            drawn.append(save(figure, axes, out / f"{file}.png"))
    return drawn
