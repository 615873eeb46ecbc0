"""`retint serve`: the page and the HTTP service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retint.cli.console import log_details
from retint.cli.extras import needs_extra
from retint.cli.options import Host, Insecure, Port, Provider, Verbose, check_host


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8765,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="RETINT_TOKEN", help="What clients have to send as Authorization: Bearer."
        ),
    ] = None,
    insecure: Insecure = False,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where jobs are kept; else the user's data folder."),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="NAME|FILE",
            help="A model that ships, a model file or a run folder; several to choose from, the "
            "first unless another is asked for.",
        ),
    ] = None,
    provider: Provider = None,
    most_megapixels: Annotated[
        int, typer.Option(min=1, help="Largest photograph that is taken.")
    ] = 100,
    waiting: Annotated[
        int, typer.Option(min=0, help="Requests that may wait; more are sent away.")
    ] = 32,
    verbose: Verbose = False,
) -> None:
    """Show a page, and answer over HTTP: POST /v1/colorize, jobs, OpenAPI at /openapi.json."""
    log_details(verbose)
    check_host(host, token, insecure)
    with needs_extra("serve", "web"):
        from retint.web.serve import serve as listen
        from retint.web.settings import Settings, data_folder

    settings = Settings(
        data=data or data_folder(),
        token=token,
        most_pixels=most_megapixels * 1_000_000,
        waiting=waiting,
    )
    listen(models or ["default"], provider, settings, host, port)
