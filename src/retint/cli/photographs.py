"""`retint colorize`: photographs, and folders of them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from retint.cli import options
from retint.cli.console import log_details, warn
from retint.cli.extras import needs_extra
from retint.cli.group import FILMS
from retint.cli.options import (
    Model,
    PathOrUrl,
    Provider,
    Seed,
    Strength,
    Verbose,
    refuse,
)
from retint.errors import RetintError


def path_or_url(text: str | Path) -> Path:
    """As of all commands, for Ray; its name is what `--help` shows."""
    return options.path_or_url(text, "colorize --engine ray", "scale")


class _Engine(StrEnum):
    threads = "threads"
    ray = "ray"


def colorize(
    paths: Annotated[
        list[PathOrUrl],
        typer.Argument(
            parser=path_or_url,
            metavar="PATH...",
            help="Photographs, and folders of them; with --engine ray, also URLs.",
        ),
    ],
    out: Annotated[
        PathOrUrl | None,
        typer.Option(
            "--out",
            "-o",
            parser=path_or_url,
            metavar="OUT",
            help="Folder to write into; or, for one photograph, the file to write. "
            "By default results lie beside the photographs.",
        ),
    ] = None,
    model: Model = "default",
    seed: Seed = None,
    samples: Annotated[
        int,
        typer.Option(
            min=1,
            help="Different colourings of each: photo-color-1.jpg is that of --seed 1, and so on; "
            "with --seed S they begin with photo-color-S.jpg.",
        ),
    ] = 1,
    strength: Strength = 1.0,
    hints: Annotated[
        list[str] | None,
        typer.Option(
            "--hint",
            metavar="X,Y,#RRGGBB",
            help="A colour wanted at a place, in pixels from the top left. Repeatable.",
        ),
    ] = None,
    strokes: Annotated[
        Path | None,
        typer.Option(
            "--hints",
            metavar="FILE",
            help="Colours wanted at places: painted on a transparent PNG of the photograph's size, "
            "or lines as of --hint in a .txt file.",
        ),
    ] = None,
    detail: Annotated[
        int | None,
        typer.Option(
            min=64,
            max=2048,
            metavar="PIXELS",
            help="Short side of what the network sees: more for small things in large pictures.",
        ),
    ] = None,
    recolor: Annotated[
        bool, typer.Option("--recolor", help="Colour photographs that have colours already, too.")
    ] = False,
    keep_tone: Annotated[
        bool,
        typer.Option(
            "--keep-tone",
            help="Take the lightness of sepia and yellowed prints as it is, tone and all.",
        ),
    ] = False,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="Of the results: jpg, png, tif, webp, avif, heic (an extra), jp2, bmp or ppm; "
            "else the photograph's own.",
        ),
    ] = None,
    quality: Annotated[
        int, typer.Option(min=1, max=100, help="Of JPEG, WebP, AVIF and HEIC results.")
    ] = 95,
    no_provenance: Annotated[
        bool,
        typer.Option(
            "--no-provenance", help="Do not write into the results that colours were inferred."
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Read the photographs, say what would be written, and write nothing."
        ),
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: colour what comes into the folders.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Page to write: thumbnails, and what failed; JSON lines go beside it.",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Only the I-th of N parts, for several machines."),
    ] = None,
    engine: Annotated[
        _Engine,
        typer.Option(help="What does the work: this process, or many with Ray, here or elsewhere."),
    ] = _Engine.threads,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes of --engine ray; else one for each core."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Ray cluster to work on, or auto; else this machine does."
        ),
    ] = None,
    provider: Provider = None,
    verbose: Verbose = False,
) -> None:
    """Colourise photographs: photo.jpg becomes photo-color.jpg; the originals stay as they are.

    A run of a folder that was stopped goes on where it was when it is called again.
    """
    log_details(verbose)
    from retint.batch import Manner
    from retint.colorizer import Options
    from retint.hints import parse_hint
    from retint.many import Request, Run
    from retint.photo import format_of_name
    from retint.places import HERE
    from retint.plan import Shard

    manner = Manner(
        Options(
            seed=seed,
            strength=strength,
            hints=[parse_hint(text) for text in hints or ()],
            keep_tone=keep_tone,
            detail=detail,
        ),
        strokes,
        recolor=recolor,
        overwrite=overwrite,
        quality=quality,
        dry=dry_run,
    )
    request = Request(
        paths,
        out,
        model=model,
        provider=provider,
        manner=manner,
        samples=samples,
        suffix=format_of_name(format_).suffixes[0] if format_ else None,
        shard=Shard.parse(shard) if shard else None,
        provenance=not no_provenance,
        report=report,
    )
    if all(path.suffix.lower() in FILMS and not request.places.is_folder(path) for path in paths):
        raise RetintError(f"{paths[0]} is a film: colour it with retint video {paths[0]}")
    refuse({"--watch": watch and dry_run}, "cannot be had with --dry-run")
    refuse(
        {"--hint": watch and hints, "--hints": watch and strokes},
        "belongs to one photograph: leave out --watch",
    )

    if engine is _Engine.ray:
        kept_out = {"--watch": watch, "--hint": hints, "--hints": strokes, "--provider": provider}
        refuse(kept_out, "cannot be had with --engine ray")
        with needs_extra("colorize --engine ray", "scale"):
            from retint.scale.run import colorize_many

        totals = colorize_many(request, typer.echo, warn, address, workers)
    else:
        urls = {str(path): not isinstance(path, Path) for path in (*paths, out) if path}
        refuse({"--workers": workers, "--address": address, **urls}, "needs --engine ray")
        refuse(
            {"--watch": watch and not all(map(HERE.is_folder, paths))},
            "looks into folders that are there: give them alone",
        )
        run = Run(request, typer.echo, warn)
        if watch:
            with _stop_on_signals() as stop:
                run.watch(stop)
            return
        totals = run.once()
    if totals.files > 1 or totals.done_before:
        typer.echo(str(totals), err=True)
    if totals.failed:
        raise typer.Exit(1)


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """Set when SIGINT or SIGTERM comes; a second one ends the process as ever."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(*_: object) -> None:
        stop.set()
        restore()

    for number in before:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        restore()
