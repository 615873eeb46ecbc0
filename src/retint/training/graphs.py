"""Pictures of a run: loss graphs as in the report (chapter 6) and grids of colourings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from retint import lab
from retint.training.run import read_metrics
from retint.whole import whole_file

matplotlib.use("Agg")

_LABELS = {
    "loss_d_fake": "D, generated",
    "loss_d_real": "D, real",
    "loss_d": "D",
    "loss_g_gan": "G, GAN",
    "loss_g_l1": "G, L1",
    "loss_g": "G",
    "d_accuracy": "D's accuracy",
}


def draw_graphs(run: Path, out: Path) -> None:
    """Draw the report's graphs 1 to 3 of one run, D's accuracy, and its validation figures.

    1: D's losses and G's GAN loss; 2: G's loss; 3: G's and D's losses; all against iterations.
    """
    lines = read_metrics(run, "train")
    graphs = {
        "graph-1-d-and-g-gan": (
            "Graph 1: losses of D, and G's GAN loss",
            ("loss_d_fake", "loss_d_real", "loss_d", "loss_g_gan"),
        ),
        "graph-2-g": ("Graph 2: G's loss", ("loss_g", "loss_g_l1")),
        "graph-3-g-and-d": ("Graph 3: losses of G and D", ("loss_g", "loss_g_gan", "loss_d")),
        "d-accuracy": ("Share of patches that D tells rightly", ("d_accuracy",)),
    }
    for name, (title, keys) in graphs.items():
        if not any(line[keys[0]] for line in lines):
            continue  # no stage had a discriminator yet
        figure, axes = new_graph(title, "running mean of the epoch")
        for key in keys:
            plot(axes, lines_with(key, lines), key, _LABELS[key])
        save(figure, axes, out / f"{name}.png")
    validations = read_metrics(run, "validation")
    if validations:
        figure, axes = new_graph("Validation", "share of grey's error, of the truth's colour")
        plot(axes, validations, "ab_error", "ab error / grey's")
        plot(axes, validations, "colorfulness", "colourfulness / truth's")
        save(figure, axes, out / "validation.png")


def new_graph(title: str, y_label: str) -> tuple[Figure, Any]:
    """Empty axes against iterations."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel="iteration", ylabel=y_label)
    axes.grid(alpha=0.3)
    return figure, axes


def lines_with(loss: str, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of metrics lines, those of stages that have a loss: the others log it as 0."""
    return [line for line in lines if line[loss]]


def plot(
    axes: Any, lines: list[dict[str, Any]], key: str, label: str, linestyle: str = "solid"
) -> None:
    """Add one quantity of metrics lines to a graph, and to its legend, if there are any."""
    if not lines:
        return
    iterations = [line["iteration"] for line in lines]
    axes.plot(
        iterations,
        [line[key] for line in lines],
        label=label,
        linestyle=linestyle,
        marker="." if len(lines) < 9 else None,
    )


def save(figure: Figure, axes: Any, path: Path) -> Path:
    """Write a graph as PNG."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, sole=True) as beside:
        figure.savefig(beside, format="png", dpi=120)
    return path


def save_grid(lightness: Tensor, ab: Tensor, true_ab: Tensor, path: Path) -> None:
    """Write a grid of pictures: grey in row 1, generated in row 2, truth in row 3.

    Args:
        lightness: (N, 1, H, W), `L/50 - 1`.
        ab: generated, (N, 2, H, W), `ab/110`.
        true_ab: the same of the truth.
        path: PNG file to write.
    """
    rows = [
        lab.normalized_lab_to_rgb(lightness, chroma, axis=1)
        for chroma in (torch.zeros_like(ab), ab, true_ab)
    ]
    pixels = torch.stack(rows).clamp(0, 1).mul(255).round().byte().cpu().numpy()
    grid = np.concatenate([np.concatenate(list(row), axis=2) for row in pixels], axis=1)
    with whole_file(path, sole=True) as beside:
        Image.fromarray(grid.transpose(1, 2, 0)).save(beside, "PNG")
