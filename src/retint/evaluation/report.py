"""An evaluation as people read it: table, JSON, CSV, contact sheet and a page to open anywhere."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from retint.evaluation.protocol import (
    METRICS,
    RANKED_BY,
    Evaluation,
    Interval,
    Metric,
    reload_picture,
)
from retint.evaluation.systems import AgedInput, Grey, MeanColor, Pixels, System
from retint.outputs import check_free, write_files
from retint.pages import render
from retint.tables import Table

_SHEET_ROWS = 20
_SHEET_SIDE = 192
_EXTREMES = 20
_TEXT_HEIGHT = 22


def table_of(evaluation: Evaluation) -> Table:
    """The table of all systems, a row each."""
    metrics = _metrics_of(evaluation)
    arrows = {"higher": " ↑", "lower": " ↓", "near 1": ""}
    header = ["", *(metric.title + arrows[metric.better] for metric in metrics), "Frechet ↓"]
    rows = [
        [
            name,
            *(f"{summary[metric.key].value:.{metric.digits}f}" for metric in metrics),
            f"{evaluation.frechet[name]:.2f}",
        ]
        for name, summary in evaluation.summary.items()
    ]
    return Table(header, rows)


def _metrics_of(evaluation: Evaluation) -> list[Metric]:
    some = next(iter(evaluation.summary.values()))
    return [metric for metric in METRICS if metric.key in some]


def _intervals_of(evaluation: Evaluation) -> list[list[str]]:
    """What belongs to the cells of `table_of`; names and Frechet distances have no interval."""
    metrics = _metrics_of(evaluation)
    return [
        ["", *(_interval(summary[metric.key], metric.digits) for metric in metrics), ""]
        for summary in evaluation.summary.values()
    ]


def _interval(interval: Interval, digits: int) -> str:
    return f"{interval.low:.{digits}f} to {interval.high:.{digits}f}"


def write_report(evaluation: Evaluation, out: Path, *, overwrite: bool = False) -> list[Path]:
    """Write all files of an evaluation into a folder.

    results.json: protocol, figures, intervals; pictures.csv: figures of every picture;
    contact-sheet.jpg: pictures spread over the set; report.html: all in one page, with the
    pictures that came out best and worst.

    Raises:
        RetintError: if `out` holds such a file and `overwrite` is not set, or cannot be written.
    """
    check_free(out, overwrite=overwrite)
    contents = {
        "results.json": json.dumps(results_of(evaluation), indent=2).encode() + b"\n",
        "pictures.csv": os.fsencode(_csv_of(evaluation)),  # names of files need not be text
        "contact-sheet.jpg": _jpeg(_contact_sheet(evaluation)),
        "report.html": _page(evaluation).encode(),
    }
    return write_files(out, contents)


def results_of(evaluation: Evaluation) -> dict[str, object]:
    """Protocol and figures as plain values; intervals as value, low, high."""
    return {
        "protocol": asdict(evaluation.protocol),
        "systems": {
            name: {key: asdict(interval) for key, interval in summary.items()}
            | {"frechet": evaluation.frechet[name]}
            for name, summary in evaluation.summary.items()
        },
        "left_out": evaluation.left_out,
    }


def _csv_of(evaluation: Evaluation) -> str:
    stream = io.StringIO()
    columns = list(next(iter(evaluation.figures.values())))
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["system", "picture", *columns])
    for system, figures in evaluation.figures.items():
        for number, picture in enumerate(evaluation.pictures):
            values = (f"{figures[column][number]:.6g}" for column in columns)
            writer.writerow([system, picture.name, *values])
    return stream.getvalue()


def _contact_sheet(evaluation: Evaluation) -> Pixels:
    """Rows of pictures spread over the set: every system in a column, the truth in the last."""
    count = len(evaluation.pictures)
    chosen = np.linspace(0, count - 1, min(_SHEET_ROWS, count)).astype(int)
    titles = [*(system.name for system in evaluation.systems), "truth"]
    side = _SHEET_SIDE
    height = _TEXT_HEIGHT + side * len(chosen)
    sheet = Image.new("RGB", (side * len(titles), height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for column, title in enumerate(titles):
        draw.text((column * side + 4, 2), title, "black", font)
    for row, index in enumerate(chosen):
        for column, pixels in enumerate(_results(evaluation, int(index))):
            small = Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(small, (column * side, _TEXT_HEIGHT + row * side))
    return np.asarray(sheet)


def _results(evaluation: Evaluation, index: int) -> list[Pixels]:
    """One photograph as every system colours it, and as it is."""
    test = reload_picture(evaluation.pictures[index], evaluation.protocol.size)
    return [*(system.color(test) for system in evaluation.systems), test.truth]


@dataclass(frozen=True)
class _Shown:
    """A photograph on the page; pictures as JPEG in base64."""

    name: str
    figure: float
    before: str
    after: str
    truth: str


def _page(evaluation: Evaluation) -> str:
    extremes = [
        (system.name, *_best_and_worst(evaluation, system))
        for system in evaluation.systems
        if not isinstance(system, Grey | MeanColor)
    ]
    table = table_of(evaluation)
    return render(
        "evaluation/report.html.j2",
        header=table.header,
        rows=[
            list(zip(*cells, strict=True))
            for cells in zip(table.rows, _intervals_of(evaluation), strict=True)
        ],
        protocol=evaluation.protocol.line(),
        extremes=extremes,
        left_out=evaluation.left_out,
        ranked_by=RANKED_BY.upper(),
    )


def _best_and_worst(evaluation: Evaluation, system: System) -> tuple[list[_Shown], list[_Shown]]:
    figures = evaluation.figures[system.name][RANKED_BY]
    order = np.argsort(figures)
    count = min(_EXTREMES, len(order) // 2)

    def show(index: int) -> _Shown:
        test = reload_picture(evaluation.pictures[index], evaluation.protocol.size)
        before = system.seen(test) if isinstance(system, AgedInput) else test.grey
        pictures = (before, system.color(test), test.truth)
        encoded = (base64.b64encode(_jpeg(pixels)).decode() for pixels in pictures)
        return _Shown(test.name, float(figures[index]), *encoded)

    best = [show(int(index)) for index in order[:count]]
    worst = [show(int(index)) for index in order[::-1][:count]]
    return best, worst


def _jpeg(pixels: Pixels) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=85)
    return stream.getvalue()
