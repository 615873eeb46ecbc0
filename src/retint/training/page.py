"""The page of a run, index.html: its curves and pictures, renewed while it trains."""

from __future__ import annotations

from pathlib import Path

from retint.pages import render
from retint.training.recipe import Recipe
from retint.training.run import read_metrics
from retint.whole import write_text


def write_page(run: Path, recipe: Recipe, seconds_left: float | None) -> None:
    """Write index.html from what lies in a run folder.

    Args:
        run: a run folder that has logged something.
        recipe: its recipe.
        seconds_left: how long it will still train; None once it is finished.
    """
    validations = read_metrics(run, "validation")
    epochs = sum(stage.epochs for stage in recipe.stages)
    status = f"{validations[-1]['epoch'] if validations else 0} of {epochs} epochs"
    if seconds_left is not None:
        status += f", {duration(seconds_left)} left"
    page = render(
        "training/page.html.j2",
        name=recipe.name,
        description=recipe.description,
        status=status,
        finished=seconds_left is None,
        graphs=_newest_last(run / "graphs"),
        validations=validations[::-1],
        grids=_newest_last(run / "grids")[::-1],
    )
    write_text(run / "index.html", page)


def duration(seconds: float) -> str:
    """A time span as people say it.

    >>> duration(8000), duration(90), duration(20)
    ('2 h 13 min', '2 min', '20 s')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _newest_last(folder: Path) -> list[str]:
    return [file.name for file in sorted(folder.glob("*.png"), key=lambda f: f.stat().st_mtime)]
