"""How the command line is read where no command is named, and how errors are printed."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from retint.cli.console import warn
from retint.errors import RetintError, lacks_memory

_GOES_ON = {
    "colorize": "of a folder, the same command goes on where it was",
    **dict.fromkeys(("video", "reproduce"), "the same command goes on where it was"),
    "train": "with --resume it goes on from the last checkpoint, if an epoch was done",
}
FILMS = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".avi", ".mpg", ".mpeg", ".webm", ".ts", ".m2ts", ".mts"),
    *(".vob", ".wmv", ".flv", ".3gp", ".ogv"),
)


class Group(TyperGroup):
    """Takes `retint photo.jpg` for `retint colorize photo.jpg`, and prints errors in one line.

    So `retint film.mp4` is `retint video film.mp4`.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; where none is named, by the suffix of the file."""
        first = args[0]
        there = os.path.exists(first)  # noqa: PTH110 - of too long a name it is False
        is_path = "/" in first or Path(first).suffix or there
        if first not in self.commands and is_path:
            is_film = Path(first).suffix.lower() in FILMS
            # What begins with a dash came after "--", which is gone by now.
            args = ["video" if is_film else "colorize", *["--"] * first.startswith("-"), *args]
        elif first not in self.commands and not first.startswith("-"):
            close = get_close_matches(first, self.commands, 1)
            mend = f"did you mean '{close[0]}'?" if close else "see retint --help"
            raise RetintError(f"there is no command, file or folder '{first}': {mend}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a failure ends it with status 1, an interrupt with 130."""
        try:
            return super().invoke(ctx)
        except RetintError as error:
            warn(str(error))
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            raise _stopped(ctx.invoked_subcommand) from error
        except Exception as error:
            if _was_interrupted(error):
                raise _stopped(ctx.invoked_subcommand) from error
            if not lacks_memory(error):
                raise
            warn("there is too little memory: end other programs")
            raise typer.Exit(1) from error


def _stopped(command: str | None) -> typer.Exit:
    mend = _GOES_ON.get(command or "")
    warn(f"stopped: {mend}" if mend else "stopped")
    return typer.Exit(130)


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether an interrupt is behind it: of one, a library that is loading makes another error."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None
