"""Training models: `retint train`, `evaluate`, `compare`, `reproduce`, `export`."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from retint.cli.console import log_details, print_table
from retint.cli.extras import needs_extra
from retint.cli.options import PathOrUrl, Photos, Verbose, path_or_url
from retint.errors import RetintError


def train(
    photos: Photos,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="RUN", help="The run folder to make.")
    ],
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="A recipe that ships, or a YAML file; 'default' if none is given, or with "
            "--resume the run's own.",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a part of the recipe."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in RUN.")
    ] = False,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL|RUN|FILE",
            help="Start from a model that ships, a run folder, or an .onnx or .safetensors file.",
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Train a model on colour photographs."""
    log_details(verbose)
    with needs_extra("train"):
        from retint.training.loop import train as train_run
        from retint.training.recipe import load_recipe

    own = out / "recipe.yaml"
    if resume and not (recipe or own.exists()):
        raise RetintError(f"there is no run in {out}: check --out, or leave out --resume")
    if resume and not (out / "checkpoint.pt").exists() and os.environ.get("RANK", "0") == "0":
        typer.echo(f"nothing to resume in {out}: starting anew", err=True)
    name = recipe or (str(own) if resume and own.exists() else "default")
    train_run(photos, load_recipe(name, changes or ()), out, resume=resume, init=init)


def evaluate(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="What to measure: names of models, .onnx files, run folders, and folders of "
            "pictures that any other program has coloured, named like the photographs.",
        ),
    ],
    photos: Photos,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the report.")
    ] = Path("evaluation"),
    size: Annotated[
        int, typer.Option(min=64, help="Side of the squares that are judged, pixels.")
    ] = 256,
    limit: Annotated[
        int | None, typer.Option(min=2, help="Use so many photographs, spread over all.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="As of `retint colorize`.")] = None,
    aged: Annotated[
        bool,
        typer.Option("--aged", help="Add a row for each model on pictures aged like old prints."),
    ] = False,
    lpips: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="torchvision's AlexNet weights: adds LPIPS."),
    ] = None,
    inception: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="torch-fidelity's Inception weights: the Frechet distance is FID."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a report.")] = False,
    verbose: Verbose = False,
) -> None:
    """Measure models on colour photographs, beside grey and the mean colour.

    Prints the table and the protocol; writes results.json, pictures.csv, contact-sheet.jpg and
    report.html.
    """
    log_details(verbose)
    with needs_extra("evaluate"):
        from retint.evaluation.protocol import evaluate as measure
        from retint.evaluation.report import table_of, write_report
        from retint.evaluation.systems import open_systems
        from retint.outputs import check_free
        from retint.pictures import find_pictures, spread
        from retint.progress import Progress

    check_free(out, overwrite=overwrite)
    systems = open_systems(targets, seed, aged=aged)
    pictures = spread(find_pictures(photos), limit)
    with Progress().task("measuring", len(pictures)) as advance:
        evaluation = measure(
            photos,
            pictures,
            systems,
            size=size,
            seed=seed,
            lpips=lpips,
            inception=inception,
            progress=advance,
        )
    print_table(table_of(evaluation))
    typer.echo(evaluation.protocol.line())
    for path in write_report(evaluation, out, overwrite=overwrite):
        typer.echo(f"wrote {path}")


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN...", help="Run folders of `retint train`.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the graphs.")
    ] = Path("comparison"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace graphs.")] = False,
) -> None:
    """Compare runs: a table of validation figures, graphs of the losses (the report's 4 and 5)."""
    if len(runs) < 2:
        raise typer.BadParameter("give two run folders at least")
    with needs_extra("compare"):
        from retint.training.comparison import compare_runs

    comparison = compare_runs(runs, out, overwrite=overwrite)
    print_table(comparison.table)
    for line in comparison.remarks:
        typer.echo(line)
    for graph in comparison.graphs:
        typer.echo(f"wrote {graph}")


def reproduce(
    photos: Annotated[
        PathOrUrl,
        typer.Argument(
            parser=path_or_url,
            metavar="PHOTOS",
            help="Colour photographs, the report had 5000: a folder, archives of them, or a URL.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for runs and report.")
    ] = Path("reproduction"),
    tests: Annotated[
        list[PathOrUrl] | None,
        typer.Option(
            "--test",
            parser=path_or_url,
            metavar="PHOTOS",
            help="Photographs to test on, such as COCO's. Repeatable.",
        ),
    ] = None,
    small: Annotated[
        bool,
        typer.Option(
            "--small",
            help="128 px, networks of half the width, and EfficientNet-lite0 in place of ResNet18: "
            "for machines without a GPU.",
        ),
    ] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a part of both recipes; options of "
            "generators go to the one that has them.",
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Repeat the report's experiments: train both models, compare and test them, write report.md.

    Goes on where a stopped one left off.
    """
    log_details(verbose)
    with needs_extra("reproduce"):
        from retint.evaluation.report import table_of
        from retint.reproduce import reproduce as repeat

    done = repeat(
        photos,
        out,
        tests or (),
        small=small,
        changes=changes or (),
        say=lambda text: typer.echo(text, err=True),
    )
    print_table(done.comparison.table)
    for remark in done.comparison.remarks:
        typer.echo(remark)
    for evaluation in done.evaluations:
        typer.echo(evaluation.protocol.line())
        print_table(table_of(evaluation))
    typer.echo(f"wrote {done.report}")


class _Which(StrEnum):
    best = "best"
    last = "last"


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder of `retint train`.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="By default generator.onnx in RUN."),
    ] = None,
    which: Annotated[
        _Which, typer.Option(help="The best weights by validation, or the last.")
    ] = _Which.best,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE.")] = False,
) -> None:
    """Write a trained run as one ONNX file, for `retint colorize --model FILE`."""
    with needs_extra("export"):
        from retint.export import export_run

    typer.echo(export_run(run, out, which.value, overwrite=overwrite))
