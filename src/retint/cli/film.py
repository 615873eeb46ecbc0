"""`retint video`: films."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retint.cli.console import log_details, warn
from retint.cli.extras import needs_extra
from retint.cli.options import Model, Provider, Seed, Strength, Verbose
from retint.errors import RetintError


def video(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A film.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="OUT",
            help="The .mp4, .m4v, .mkv or .mov to write, or a folder; by default beside the film.",
        ),
    ] = None,
    model: Model = "default",
    seed: Seed = None,
    strength: Strength = 1.0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing file.")
    ] = False,
    provider: Provider = None,
    verbose: Verbose = False,
) -> None:
    """Colourise a film: film.mp4 becomes film-color.mp4, with its sound.

    A killed run goes on where it was when the same command is given again.
    """
    log_details(verbose)
    from retint.places import HERE

    if not HERE.exists(source):
        raise RetintError(f"{source} does not exist")
    with needs_extra("video", "video"):
        from retint.progress import Progress
        from retint.video import Film, FilmOptions, colorize_film, output_path

    with Film(source) as film, Progress().task("colouring", film.length) as advance:
        target = output_path(source)
        if out is not None:
            target = out / target.name if HERE.is_folder(out) else out
        colorize_film(
            film,
            target,
            FilmOptions(model, provider, seed, strength),
            overwrite=overwrite,
            progress=advance,
            say=warn,
        )
    typer.echo(f"{source} -> {target}")
