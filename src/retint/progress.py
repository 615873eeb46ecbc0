"""Progress of long work on stderr: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

_BAR_AFTER = 2.0  # seconds; shorter work needs no bar
_LINE_EVERY = 30.0  # seconds

Title = str | Callable[[], str]
"""What is done, or what says it each time it is shown."""


class Progress:
    """Says what goes on; silent in all processes of a distributed run but the first."""

    def __init__(self, visible: bool = True) -> None:
        self._console = Console(stderr=True, quiet=not visible, highlight=False)

    def say(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def task(self, title: Title, total: int) -> Iterator[Callable[[int], None]]:
        """Give a function to be called with how many of `total` are done."""
        shown = self._bar if self._console.is_terminal else self._lines
        with shown(title, total) as advance:
            yield advance

    @contextmanager
    def _bar(self, title: Title, total: int) -> Iterator[Callable[[int], None]]:
        bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # a pipe gets its lines as they are
        )
        task = bars.add_task(_said(title), total=total)
        timer = threading.Timer(_BAR_AFTER, bars.start)
        timer.start()
        try:
            yield lambda done: bars.update(task, completed=done, description=_said(title))
        finally:
            timer.cancel()
            timer.join()
            bars.stop()

    @contextmanager
    def _lines(self, title: Title, total: int) -> Iterator[Callable[[int], None]]:
        said = time.monotonic()

        def advance(done: int) -> None:
            nonlocal said
            if time.monotonic() - said > _LINE_EVERY:
                said = time.monotonic()
                self.say(f"{_said(title)}: {done} of {total}")

        yield advance


def _said(title: Title) -> str:
    return title if isinstance(title, str) else title()
