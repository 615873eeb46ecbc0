"""Options that several commands share, and what is asked of their values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from retint.cli.extras import needs_extra
from retint.errors import RetintError

if TYPE_CHECKING:
    PathOrUrl = Path
else:
    PathOrUrl = str  # of a Path, typer would make one of what path_or_url gives


_DRIVERS = {
    **dict.fromkeys(("http", "https"), "aiohttp requests"),
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
}
"""Packages that fsspec wants for a URL's scheme."""


def path_or_url(text: str | Path, command: str = "data", extra: str = "train") -> Path:
    """A path of photographs, or what stands for one at a URL that fsspec knows."""
    if not str(text):
        raise RetintError("an empty name was given where a file or folder is wanted")
    if "://" not in str(text):
        return Path(text)
    with needs_extra(f"{command} of URLs", extra):
        from upath import UPath

    try:
        remote: Any = UPath(text)
        remote.fs  # noqa: B018 - what the scheme needs is only missed here
    except (ImportError, ValueError) as error:
        driver = _DRIVERS.get(str(text).partition("://")[0])
        mend = f": pip install {driver}" if driver and isinstance(error, ImportError) else ""
        raise RetintError(f"{text} cannot be opened ({error}){mend}") from error
    return cast(Path, remote)


Photos = Annotated[
    PathOrUrl,
    typer.Argument(
        parser=path_or_url,
        metavar="PHOTOS",
        help="Colour photographs: a folder, archives of them, or a URL.",
    ),
]
Host = Annotated[str, typer.Option(help="Address to listen at.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at.")]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Let everybody in who reaches the address.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say what is done in detail.")]
Model = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE", help="A name of `retint models`, an ONNX file, or a run folder."
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(min=0, help="Choose one of the colourings; the same seed, the same colours."),
]
Strength = Annotated[
    float,
    typer.Option(min=0.0, max=10.0, help="Gain on the colours: 0 is grey, 1 as the model says."),
]
Provider = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="ONNX Runtime provider to compute with, such as CUDA; else the CPU."
    ),
]


def refuse(options: Mapping[str, object], why: str) -> None:
    """Tell of the first of these options that was given."""
    for name, value in options.items():
        if value:
            raise RetintError(f"{name} {why}")


def check_host(host: str, token: str | None, insecure: bool) -> None:
    """Refuse to listen to others without a token, unless that is asked for, and an empty one."""
    if token is not None and not token.strip():
        raise RetintError("--token is empty: give a secret, or leave --token out")
    if host not in ("127.0.0.1", "localhost", "::1") and token is None and not insecure:
        raise RetintError(
            f"--host {host} lets others in: add --token SECRET, or --insecure to let in everybody"
        )
