"""The command line: reads arguments, calls the package, prints. No logic of its own.

NumPy, OpenCV, ONNX Runtime and PyTorch are imported inside the commands that need them, so that
`retint --help` answers at once.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from retint import __version__
from retint.errors import RetintError

if TYPE_CHECKING:
    from retint.batch import Outcome

_BAR_AFTER = 2.0  # seconds


class _PhotosByDefault(TyperGroup):
    """`retint photo.jpg` means `retint colorize photo.jpg`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        first = args[0]
        # A misspelled command should stay a misspelled command, hence the second condition.
        if first not in self.commands and (Path(first).suffix or Path(first).exists()):
            args = ["colorize", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="retint",
    cls=_PhotosByDefault,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"retint {__version__}")
        raise typer.Exit


def _log_details(wanted: bool) -> None:
    if wanted:
        logging.basicConfig(format="%(message)s")
        logging.getLogger("retint").setLevel(logging.DEBUG)


Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", callback=_log_details, help="Say more on the way.")
]


@app.callback()
def _retint(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Say which version this is."
        ),
    ] = False,
    _verbose: Verbose = False,
) -> None:
    """Turn black-and-white photographs into colour.

    'retint photo.jpg' writes photo-color.jpg beside it.
    """


@app.command()
def colorize(
    paths: Annotated[list[Path], typer.Argument(help="Photographs and folders of photographs.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to write to; for one photograph, a file too."),
    ] = None,
    model: Annotated[
        str, typer.Option(help="A name from 'retint models', or an .onnx file.")
    ] = "default",
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another colouring.")] = 0,
    samples: Annotated[
        int, typer.Option(min=1, help="Colourings of each photograph, by seed, seed + 1, ...")
    ] = 1,
    strength: Annotated[
        float, typer.Option(min=0.0, help="Colourfulness: 0 is grey, 1 as predicted.")
    ] = 1.0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that exist.")
    ] = False,
    provider: Annotated[
        str | None, typer.Option(help="What ONNX Runtime computes on: cpu, cuda, coreml, ...")
    ] = None,
    _verbose: Verbose = False,
) -> None:
    """Colour photographs: photo.jpg becomes photo-color.jpg, beside it or in the output folder."""
    from retint import batch
    from retint.colorizer import Colorizer

    plan = batch.plan(paths, output, samples=samples, overwrite=overwrite)
    for problem in plan.problems:
        _complain(problem)
    coloured, failed = 0, len(plan.problems)
    if plan.jobs:
        colorizer = Colorizer(model, providers=[provider] if provider else None)
        outcomes = batch.run(plan.jobs, colorizer, seed=seed, strength=strength)
        for outcome in _with_progress(outcomes, len(plan.jobs)):
            if outcome.problem:
                _complain(outcome.problem)
                failed += 1
            else:
                coloured += 1
    if coloured + failed + plan.skipped > 1:
        typer.echo(f"{coloured} coloured, {failed} failed, {plan.skipped} skipped")
    if failed:
        raise typer.Exit(1)


@app.command()
def models() -> None:
    """List the models that come with retint."""
    from retint.model import list_models, open_model

    for name in list_models():
        model = open_model(name)
        megabytes = model.path.stat().st_size / 1e6
        typer.echo(f"{name}  {model.card.version}  {megabytes:.1f} MB  {model.card.description}")


@app.command()
def info(
    target: Annotated[str, typer.Argument(help="A photograph, an .onnx file or a model's name.")],
) -> None:
    """Describe a photograph or a model."""
    from retint.model import describe_model, is_model
    from retint.photo import describe_photo

    fields = describe_model(target) if is_model(target) else describe_photo(Path(target))
    width = max(map(len, fields))
    for name, value in fields.items():
        typer.echo(f"{name:<{width}}  {value}")


def _complain(problem: str) -> None:
    typer.echo(f"retint: {problem}", err=True)


def _with_progress(outcomes: Iterator[Outcome], total: int) -> Iterator[Outcome]:
    """Say what each job wrote; on a terminal, show a bar once the work has lasted a while."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    started = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=True) as bar:
        task = bar.add_task("", total=total)
        for outcome in outcomes:
            for written in outcome.written:
                typer.echo(f"{outcome.source} -> {written}")
            yield outcome
            bar.advance(task)
            if bar.disable and console.is_terminal and time.monotonic() - started > _BAR_AFTER:
                bar.disable = False
                bar.start()


def main(argv: list[str] | None = None) -> None:
    """Run the command line; exits with 0, 1 (something failed) or 2 (wrong usage)."""
    try:
        app(args=argv, prog_name="retint")
    except RetintError as error:
        _complain(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
