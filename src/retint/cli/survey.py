"""`retint survey`: people asked which photograph a computer has coloured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from retint.cli.console import log_details, print_table
from retint.cli.extras import needs_extra
from retint.cli.options import Host, Insecure, Port, Verbose, check_host


class _SurveyGroup(TyperGroup):
    """Takes `retint survey photos/` for `retint survey run photos/`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in self.commands:
            args = ["run", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=_SurveyGroup, no_args_is_help=True)


@app.callback()
def _about_survey() -> None:
    """Ask people which of two photographs a computer has coloured: the fooling rate.

    `retint survey PHOTOS` is short for `retint survey run PHOTOS`.
    """


@app.command("run")
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
    checks: Annotated[
        int, typer.Option(min=0, help="Trials of attention in addition, at random places.")
    ] = 4,
    seconds: Annotated[float, typer.Option(min=0.01, help="That each picture is shown.")] = 1.0,
    consent: Annotated[
        str | None, typer.Option(help="What raters agree to, in place of the page's own line.")
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = 8766,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="RETINT_TOKEN", help="Let in raters whose address has #SECRET at its end."
        ),
    ] = None,
    insecure: Insecure = False,
    verbose: Verbose = False,
) -> None:
    """Colour photographs, then serve the page; the same command goes on after a stop."""
    log_details(verbose)
    check_host(host, token, insecure)
    with needs_extra("survey", "web"):
        from retint.progress import Progress
        from retint.survey.app import CONSENT, create_app
        from retint.survey.build import Protocol, build_survey
        from retint.survey.store import Store
        from retint.web.serve import answer, bound

    with bound(host, port) as listener:  # first: colouring takes a while
        built = build_survey(
            photos,
            models or ["default"],
            out,
            Protocol(practice, trials, checks, seconds),
            limit,
            lambda total: Progress().task("colouring", total),
        )
        survey = create_app(built, Store(built), token=token, consent=consent or CONSENT)
        answer(survey, listener)


@app.command("report")
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
    from retint.survey.store import read_sessions

    target = out or folder / "report"
    check_free(target, overwrite=overwrite)
    opened = open_survey(folder)
    results = results_of(opened, read_sessions(opened))
    print_table(table_of(results))
    print_table(sessions_table(results))
    typer.echo(results.line())
    for path in write_report(results, target):
        typer.echo(f"wrote {path}")
