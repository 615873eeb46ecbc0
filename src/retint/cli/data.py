"""`retint data`: photographs before they train a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retint.cli.console import print_table
from retint.cli.extras import needs_extra
from retint.cli.options import Photos
from retint.errors import RetintError

app = typer.Typer(help="Check, measure and pack photographs before they train a model.")


@app.command()
def check(
    photos: Photos,
    duplicates: Annotated[
        bool, typer.Option(help="Look for near-duplicates, mirrored ones too.")
    ] = True,
) -> None:
    """Name the pictures that training is better off without, and say why, one a line."""
    with needs_extra("data check"):
        from retint.dataset.check import check_pictures
        from retint.pictures import find_pictures
        from retint.progress import Progress

    pictures = find_pictures(photos)
    with Progress().task("checking", len(pictures)) as advance:
        checked = check_pictures(pictures, duplicates=duplicates, progress=advance)
    for finding in checked.findings:
        typer.echo(finding)
    typer.echo(f"{len(checked.good)} good, {len(checked.findings)} not", err=True)


@app.command()
def stats(
    photos: Photos,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE.png", help="Figure to write.")
    ] = Path("colours.png"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the figure.")] = False,
) -> None:
    """Print what colours and sizes the photographs have, and draw them."""
    from retint.places import HERE

    if HERE.exists(out) and not overwrite:
        raise RetintError(f"{out} exists: add --overwrite, or give another --out")
    with needs_extra("data stats"):
        from retint.dataset.stats import draw_statistics, make_place, measure_pictures
        from retint.pictures import find_pictures
        from retint.progress import Progress

    pictures = find_pictures(photos)
    make_place(out)
    with Progress().task("measuring", len(pictures)) as advance:
        statistics = measure_pictures(pictures, advance)
    print_table(statistics.table())
    draw_statistics(statistics, out)
    typer.echo(f"wrote {out}")


@app.command()
def pack(
    photos: Photos,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder to make.")],
    short_side: Annotated[
        int | None,
        typer.Option(min=32, metavar="PIXELS", help="Scale larger pictures down to this."),
    ] = None,
    shard_megabytes: Annotated[
        int, typer.Option(min=1, metavar="MB", help="Largest size of a shard.")
    ] = 100,
    unique: Annotated[
        bool, typer.Option("--unique", help="Leave near-duplicates out, too.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the order of the pictures.")] = 0,
) -> None:
    """Write photographs, shuffled, to WebDataset tar shards; unusable ones are left out."""
    with needs_extra("data pack"):
        from retint.dataset.check import check_pictures
        from retint.dataset.pack import pack_pictures, require_new
        from retint.pictures import find_pictures
        from retint.progress import Progress

    require_new(out)
    pictures = find_pictures(photos)
    progress = Progress()
    dropped = []
    if unique:
        with progress.task("checking", len(pictures)) as advance:
            checked = check_pictures(pictures, progress=advance)
        pictures = checked.good
        dropped = [str(finding) for finding in checked.findings]
    with progress.task("packing", len(pictures)) as advance:
        packed = pack_pictures(
            pictures,
            out,
            short_side=short_side,
            shard_bytes=shard_megabytes * 1_000_000,
            seed=seed,
            progress=advance,
        )
    for line in [*dropped, *packed.left_out]:
        typer.echo(f"left out {line}", err=True)
    typer.echo(f"shards: {len(packed.shards)} with {packed.pictures} photographs in {out}")
