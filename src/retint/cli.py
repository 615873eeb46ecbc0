"""The `retint` command: parses, calls, prints. Heavy imports stay inside the commands."""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer.core import TyperGroup

from retint import __version__
from retint.errors import RetintError, lacks_memory

if TYPE_CHECKING:
    from retint.tables import Table

    PathOrUrl = Path
else:
    PathOrUrl = str  # of a Path, typer would make one of what path_or_url gives


_FILMS = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".mpg", ".mpeg", ".webm")


class _Group(TyperGroup):
    """Takes `retint photo.jpg` for `retint colorize photo.jpg`, and prints errors in one line.

    So `retint film.mp4` is `retint video film.mp4`.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        first = args[0]
        is_path = "/" in first or Path(first).suffix or Path(first).exists()
        if first not in self.commands and is_path:
            is_film = Path(first).suffix.lower() in _FILMS
            args = ["video" if is_film else "colorize", *args]
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except RetintError as error:
            typer.echo(f"retint: {error}", err=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(130) from error
        except Exception as error:
            if not lacks_memory(error):
                raise
            typer.echo("retint: there is too little memory: end other programs", err=True)
            raise typer.Exit(1) from error


class _SurveyGroup(TyperGroup):
    """Takes `retint survey photos/` for `retint survey run photos/`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in self.commands:
            args = ["run", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=_Group, add_completion=False, pretty_exceptions_enable=False)


def main() -> None:
    """Run the command line."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of files that are odd, but readable
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files need not be text
            stream.reconfigure(errors="surrogateescape" if os.name == "posix" else "replace")
    app()


_DRIVERS = {
    **dict.fromkeys(("http", "https"), "aiohttp requests"),
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
}
"""Packages that fsspec wants for a URL's scheme."""


def path_or_url(text: str | Path, command: str = "data", extra: str = "train") -> Path:
    """A path of photographs, or what stands for one at a URL that fsspec knows."""
    if "://" not in str(text):
        return Path(text)
    with _needs_extra(command, extra):
        from upath import UPath

    try:
        remote: Any = UPath(text)
        remote.fs  # noqa: B018 - what the scheme needs is only missed here
    except (ImportError, ValueError) as error:
        driver = _DRIVERS.get(str(text).partition("://")[0])
        mend = f": pip install {driver}" if driver and isinstance(error, ImportError) else ""
        raise RetintError(f"{text} cannot be opened ({error}){mend}") from error
    return cast(Path, remote)


def _path_or_url_of_many(text: str | Path) -> Path:
    return path_or_url(text, "colorize --engine ray", "scale")


def _log_details(wanted: bool) -> None:
    if wanted:
        logging.basicConfig(format="%(message)s")
        logging.getLogger("retint").setLevel(logging.DEBUG)


_Photos = Annotated[
    PathOrUrl,
    typer.Argument(
        parser=path_or_url,
        metavar="PHOTOS",
        help="Colour photographs: a folder, archives of them, or a URL.",
    ),
]
_Host = Annotated[str, typer.Option(help="Address to listen at.")]
_Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at.")]
_Insecure = Annotated[
    bool, typer.Option("--insecure", help="Let everybody in who reaches the address.")
]
_Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say what is done in detail.")]
_Model = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE", help="A name of `retint models`, an ONNX file, or a run folder."
    ),
]
_Seed = Annotated[
    int | None,
    typer.Option(min=0, help="Choose one of the colourings; the same seed, the same colours."),
]
_Strength = Annotated[
    float,
    typer.Option(min=0.0, max=10.0, help="Gain on the colours: 0 is grey, 1 as the model says."),
]
_Provider = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="ONNX Runtime provider to compute with, such as CUDA; else the CPU."
    ),
]


@app.callback(invoke_without_command=True)
def retint(
    ctx: typer.Context,
    verbose: _Verbose = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Turn black-and-white photographs into colour.

    `retint photo.jpg` is short for `retint colorize photo.jpg` and writes photo-color.jpg.
    """
    _log_details(verbose)
    if version:
        typer.echo(f"retint {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


class _Engine(StrEnum):
    threads = "threads"
    ray = "ray"


@app.command()
def colorize(
    paths: Annotated[
        list[PathOrUrl],
        typer.Argument(
            parser=_path_or_url_of_many,
            metavar="PATH",
            help="Photographs, and folders of them; with --engine ray, also URLs.",
        ),
    ],
    out: Annotated[
        PathOrUrl | None,
        typer.Option(
            "--out",
            "-o",
            parser=_path_or_url_of_many,
            metavar="OUT",
            help="Folder to write into; or, for one photograph, the file to write. "
            "By default results lie beside the photographs.",
        ),
    ] = None,
    model: _Model = "default",
    seed: _Seed = None,
    samples: Annotated[
        int,
        typer.Option(
            min=1,
            help="Different colourings of each: photo-color-1.jpg is that of --seed 1, and so on; "
            "with --seed S they begin there.",
        ),
    ] = 1,
    strength: _Strength = 1.0,
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
            "--format", metavar="NAME", help="Format of the results, such as tiff; else the same."
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
            help="Page with thumbnails and failures to write; JSON lines go beside it.",
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
    provider: _Provider = None,
    verbose: _Verbose = False,
) -> None:
    """Colourise photographs: photo.jpg becomes photo-color.jpg; the originals stay as they are.

    A run of a folder that was stopped goes on where it was when it is called again.
    """
    _log_details(verbose)
    from retint.colorizer import Options
    from retint.hints import parse_hint
    from retint.many import Request, Run
    from retint.photo import format_of_name
    from retint.plan import Shard

    request = Request(
        paths,
        out,
        model=model,
        provider=provider,
        options=Options(
            seed=seed,
            strength=strength,
            hints=[parse_hint(text) for text in hints or ()],
            keep_tone=keep_tone,
            detail=detail,
        ),
        strokes=strokes,
        samples=samples,
        suffix=format_of_name(format_).suffixes[0] if format_ else None,
        shard=Shard.parse(shard) if shard else None,
        recolor=recolor,
        overwrite=overwrite,
        quality=quality,
        provenance=not no_provenance,
        report=report,
        dry=dry_run,
    )
    _refuse({"--watch": watch and dry_run}, "cannot be had with --dry-run")

    def warn(line: str) -> None:
        typer.echo(f"retint: {line}", err=True)

    if engine is _Engine.ray:
        kept_out = {"--watch": watch, "--hint": hints, "--hints": strokes, "--provider": provider}
        _refuse(kept_out, "cannot be had with --engine ray")
        with _needs_extra("colorize --engine ray", "scale"):
            from retint.scale.run import colorize_many

        totals = colorize_many(request, typer.echo, warn, address, workers)
    else:
        urls = {str(path): not isinstance(path, Path) for path in (*paths, out) if path}
        _refuse({"--workers": workers, "--address": address, **urls}, "needs --engine ray")
        run = Run(request, typer.echo, warn)
        if watch:
            run.watch()
            return
        totals = run.once()
    if totals.photographs > 1:
        typer.echo(str(totals), err=True)
    if totals.failed:
        raise typer.Exit(1)


@app.command()
def video(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A film.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="OUT",
            help="The .mp4, .mkv or .mov to write; by default beside the film.",
        ),
    ] = None,
    model: _Model = "default",
    seed: _Seed = None,
    strength: _Strength = 1.0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing file.")
    ] = False,
    provider: _Provider = None,
    verbose: _Verbose = False,
) -> None:
    """Colourise a film: film.mp4 becomes film-color.mp4, with its sound.

    A killed run goes on where it was when the same command is given again.
    """
    _log_details(verbose)
    with _needs_extra("video", "video"):
        from retint.progress import Progress
        from retint.video import Coloring, Film, colorize_film, output_path

    target = out or output_path(source)
    with Film(source) as film, Progress().task("colouring", film.length) as advance:
        colorize_film(
            film,
            target,
            Coloring(model, provider, seed, strength),
            overwrite=overwrite,
            progress=advance,
            say=lambda line: typer.echo(f"retint: {line}", err=True),
        )
    typer.echo(f"{source} -> {target}")


@app.command()
def models() -> None:
    """List the models that come with retint."""
    from retint.model import list_models, open_model
    from retint.tables import Table

    cards = [open_model(name).card for name in list_models()]
    header = ("name", "version", "size", "description")
    _print(Table(header, [[str(card.get(key, "")) for key in header] for card in cards]))


@app.command()
def info(
    target: Annotated[str, typer.Argument(metavar="FILE|MODEL", help="A photograph or a model.")],
) -> None:
    """Say what is in a photograph, or what a model says of itself."""
    from retint.model import list_models, open_model
    from retint.photo import describe_photo

    is_model = target in list_models() or target.lower().endswith(".onnx") or Path(target).is_dir()
    facts = open_model(target).card if is_model else describe_photo(Path(target))
    facts.pop("palette", None)  # 261 colours, of no use to a reader
    width = max(map(len, facts))
    for key, value in facts.items():
        typer.echo(f"{key:{width}}  {value}")


@app.command()
def serve(
    host: _Host = "127.0.0.1",
    port: _Port = 8765,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="RETINT_TOKEN", help="What clients have to send as Authorization: Bearer."
        ),
    ] = None,
    insecure: _Insecure = False,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where jobs are kept; else the user's data folder."),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="NAME|FILE",
            help="A model that ships, or a model file; several to choose from, the first unless "
            "another is asked for.",
        ),
    ] = None,
    provider: _Provider = None,
    most_megapixels: Annotated[
        int, typer.Option(min=1, help="Largest photograph that is taken.")
    ] = 100,
    waiting: Annotated[
        int, typer.Option(min=0, help="Requests that may wait; more are sent away.")
    ] = 32,
    verbose: _Verbose = False,
) -> None:
    """Show a page, and answer over HTTP: POST /v1/colorize, jobs, OpenAPI at /openapi.json."""
    _log_details(verbose)
    _check_host(host, token, insecure)
    with _needs_extra("serve", "web"):
        from retint.web.serve import serve as listen
        from retint.web.settings import Settings, data_folder

    settings = Settings(
        data=data or data_folder(),
        token=token,
        most_pixels=most_megapixels * 1_000_000,
        waiting=waiting,
    )
    listen(models or ["default"], provider, settings, host, port)


@app.command()
def train(
    photos: _Photos,
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
            metavar="MODEL|FILE",
            help="Start from a model that ships, or from an .onnx or .safetensors file.",
        ),
    ] = None,
    verbose: _Verbose = False,
) -> None:
    """Train a model on colour photographs."""
    _log_details(verbose)
    with _needs_extra("train"):
        from retint.training.loop import train as train_run
        from retint.training.recipe import load_recipe

    own = out / "recipe.yaml"
    if resume and not own.exists() and os.environ.get("RANK", "0") == "0":
        typer.echo(f"nothing to resume in {out}: starting anew", err=True)
    name = recipe or (str(own) if resume and own.exists() else "default")
    train_run(photos, load_recipe(name, changes or ()), out, resume=resume, init=init)


@app.command()
def evaluate(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="What to measure: names of models, .onnx files, run folders, and folders of "
            "pictures that any other program has coloured, named like the photographs.",
        ),
    ],
    photos: _Photos,
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
    verbose: _Verbose = False,
) -> None:
    """Measure models on colour photographs, beside grey and the mean colour.

    Prints the table and the protocol; writes results.json, pictures.csv, contact-sheet.jpg and
    report.html.
    """
    _log_details(verbose)
    with _needs_extra("evaluate"):
        from retint.evaluation.protocol import evaluate as measure
        from retint.evaluation.report import table_of, write_report
        from retint.evaluation.systems import open_systems
        from retint.outputs import check_free
        from retint.pictures import find_pictures
        from retint.progress import Progress

    check_free(out, overwrite=overwrite)
    systems = open_systems(targets, seed, aged=aged)
    pictures = find_pictures(photos)
    if limit is not None and limit < len(pictures):
        pictures = [pictures[i * len(pictures) // limit] for i in range(limit)]
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
    _print(table_of(evaluation))
    typer.echo(evaluation.protocol.line())
    for path in write_report(evaluation, out, overwrite=overwrite):
        typer.echo(f"wrote {path}")


@app.command()
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
    with _needs_extra("compare"):
        from retint.training.comparison import compare_runs

    comparison = compare_runs(runs, out, overwrite=overwrite)
    _print(comparison.table)
    for line in comparison.remarks:
        typer.echo(line)
    for graph in comparison.graphs:
        typer.echo(f"wrote {graph}")


@app.command()
def reproduce(
    photos: Annotated[
        PathOrUrl,
        typer.Argument(
            parser=path_or_url,
            metavar="PHOTOS",
            help="Colour photographs, the report had 5000: a folder or a tar.",
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
            "--small", help="128 px and networks of half the width, for machines without a GPU."
        ),
    ] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a part of both recipes."),
    ] = None,
    verbose: _Verbose = False,
) -> None:
    """Repeat the report's experiments: train both models, compare and test them, write report.md.

    Goes on where a stopped one left off.
    """
    _log_details(verbose)
    with _needs_extra("reproduce"):
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
    _print(done.comparison.table)
    for remark in done.comparison.remarks:
        typer.echo(remark)
    for evaluation in done.evaluations:
        typer.echo(evaluation.protocol.line())
        _print(table_of(evaluation))
    typer.echo(f"wrote {done.report}")


data_app = typer.Typer(help="Check, measure and pack photographs before they train a model.")
app.add_typer(data_app, name="data")


@data_app.command()
def check(
    photos: _Photos,
    duplicates: Annotated[
        bool, typer.Option(help="Look for near-duplicates, mirrored ones too.")
    ] = True,
) -> None:
    """Name the pictures that training is better off without, and say why, one a line."""
    with _needs_extra("data"):
        from retint.dataset.check import check_pictures
        from retint.pictures import find_pictures
        from retint.progress import Progress

    pictures = find_pictures(photos)
    with Progress().task("checking", len(pictures)) as advance:
        checked = check_pictures(pictures, duplicates=duplicates, progress=advance)
    for finding in checked.findings:
        typer.echo(finding)
    typer.echo(f"{len(checked.good)} good, {len(checked.findings)} not", err=True)


@data_app.command()
def stats(
    photos: _Photos,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE.png", help="Figure to write.")
    ] = Path("colours.png"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the figure.")] = False,
) -> None:
    """Print what colours and sizes the photographs have, and draw them."""
    if out.exists() and not overwrite:
        raise RetintError(f"{out} exists: add --overwrite, or give another --out")
    with _needs_extra("data"):
        from retint.dataset.stats import draw_statistics, measure_pictures
        from retint.pictures import find_pictures
        from retint.progress import Progress

    pictures = find_pictures(photos)
    with Progress().task("measuring", len(pictures)) as advance:
        statistics = measure_pictures(pictures, advance)
    _print(statistics.table())
    draw_statistics(statistics, out)
    typer.echo(f"wrote {out}")


@data_app.command()
def pack(
    photos: _Photos,
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
    with _needs_extra("data"):
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


class _Which(StrEnum):
    best = "best"
    last = "last"


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder of `retint train`.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="By default generator.onnx in RUN."),
    ] = None,
    which: Annotated[
        _Which, typer.Option(help="The best weights by validation, or the last.")
    ] = _Which.best,
) -> None:
    """Write a trained run as one ONNX file, for `retint colorize --model FILE`."""
    with _needs_extra("export"):
        from retint.export import export_run

    typer.echo(export_run(run, out, which.value))


survey = typer.Typer(cls=_SurveyGroup, no_args_is_help=True)
app.add_typer(survey, name="survey")


@survey.callback()
def _about_survey() -> None:
    """Ask people which of two photographs a computer has coloured: the fooling rate.

    `retint survey PHOTOS` is short for `retint survey run PHOTOS`.
    """


@survey.command("run")
def run_survey(
    photos: Annotated[
        Path, typer.Argument(metavar="PHOTOS", help="A folder of colour photographs.")
    ],
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "--models",
            metavar="MODEL",
            help="What is tested, as in `retint evaluate`. Repeatable; each session tests one. "
            "The default model if none is given.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="Folder of pictures and answers.")
    ] = Path("survey"),
    limit: Annotated[
        int, typer.Option(min=1, help="Use so many photographs, spread over all.")
    ] = 200,
    practice: Annotated[int, typer.Option(min=0, help="Trials with feedback.")] = 10,
    trials: Annotated[int, typer.Option(min=1, help="Trials that count.")] = 40,
    checks: Annotated[int, typer.Option(min=0, help="Trials of attention among these.")] = 4,
    seconds: Annotated[float, typer.Option(min=0.01, help="That each picture is shown.")] = 1.0,
    consent: Annotated[
        str | None, typer.Option(help="What raters agree to, in place of the page's own line.")
    ] = None,
    host: _Host = "127.0.0.1",
    port: _Port = 8766,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="RETINT_TOKEN", help="Let in raters whose address has #SECRET at its end."
        ),
    ] = None,
    insecure: _Insecure = False,
    verbose: _Verbose = False,
) -> None:
    """Colour photographs, then serve the page; the same command goes on after a stop."""
    _log_details(verbose)
    _check_host(host, token, insecure)
    with _needs_extra("survey", "web"):
        from retint.progress import Progress
        from retint.survey.app import CONSENT, create_app
        from retint.survey.build import Protocol, build_survey
        from retint.survey.store import Store
        from retint.web.serve import listen

    built = build_survey(
        photos,
        models or ["default"],
        out,
        Protocol(practice, trials, checks, seconds),
        limit,
        lambda total: Progress().task("colouring", total),
    )
    listen(create_app(built, Store(built), token=token, consent=consent or CONSENT), host, port)


@survey.command("report")
def report_survey(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of `retint survey run`.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="OUT", help="Folder to write; else FOLDER/report."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a report.")] = False,
) -> None:
    """Print how often raters were fooled; write results.json, pictures.csv and report.html.

    The survey may go on meanwhile.
    """
    from retint.outputs import check_free
    from retint.survey.build import open_survey
    from retint.survey.report import results_of, sessions_table, table_of, write_report
    from retint.survey.store import Store

    target = out or folder / "report"
    check_free(target, overwrite=overwrite)
    opened = open_survey(folder)
    results = results_of(opened, Store(opened).sessions())
    _print(table_of(results))
    _print(sessions_table(results))
    typer.echo(results.line())
    for path in write_report(results, target):
        typer.echo(f"wrote {path}")


def _refuse(options: Mapping[str, object], why: str) -> None:
    """Tell of the first of these options that was given."""
    for name, value in options.items():
        if value:
            raise RetintError(f"{name} {why}")


def _check_host(host: str, token: str | None, insecure: bool) -> None:
    if host not in ("127.0.0.1", "localhost", "::1") and token is None and not insecure:
        raise RetintError(
            f"--host {host} lets others in: add --token SECRET, or --insecure to let in everybody"
        )


def _print(table: Table) -> None:
    """Print a table; outside a terminal as wide as it wants to be."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 200).print(table.rich())


@contextmanager
def _needs_extra(command: str, extra: str = "train") -> Iterator[None]:
    """Tell who lacks an extra's packages, such as PyTorch, how to get them."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").startswith("retint"):
            raise  # a module of ours: no installation mends that
        raise RetintError(
            f"retint {command} needs the {extra} extra: run 'make install' in the clone, or "
            f"pip install '.[{extra}]' there"
        ) from error
