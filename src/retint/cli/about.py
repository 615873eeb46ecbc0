"""`retint models` and `retint info`: what there is."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from retint.cli.console import print_table
from retint.errors import RetintError


def models() -> None:
    """List the models that come with retint."""
    from retint.model import list_models, open_model
    from retint.tables import Table

    cards = [open_model(name).card for name in list_models()]
    header = ("name", "version", "size", "description")
    print_table(Table(header, [[str(card.get(key, "")) for key in header] for card in cards]))


def info(
    target: Annotated[
        str, typer.Argument(metavar="FILE|MODEL", help="A photograph, a film or a model.")
    ],
) -> None:
    """Say what is in a photograph or film, or what a model says of itself."""
    from retint.model import list_models, open_model
    from retint.places import HERE

    path = Path(target)
    is_named = target in list_models()  # whatever lies here under the name
    is_folder = not is_named and HERE.is_folder(path)
    if is_folder and not HERE.exists(path / "generator.onnx"):
        raise RetintError(
            f"{target} is a folder, and no run with a generator.onnx: name a photograph, a film, "
            "a model or a run"
        )
    if is_named or is_folder or target.lower().endswith(".onnx"):
        model = open_model(target)
        facts = {**model.card, "sha256": model.sha256}
        facts.pop("palette", None)  # 261 colours, of no use to a reader
    else:
        facts = _describe(path)
    width = max(map(len, facts))
    for key, value in facts.items():
        typer.echo(f"{key:{width}}  {value}")


def _describe(path: Path) -> dict[str, str]:
    from retint.photo import describe_photo

    try:
        return describe_photo(path)
    except RetintError:
        with suppress(ImportError, RetintError):  # it may be no film, either
            from retint.video import describe_film

            return describe_film(path)
        raise
