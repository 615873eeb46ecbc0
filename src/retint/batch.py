"""Many photographs: as many at a time as there are cores, with bounded memory."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from retint.colorizer import Colorizer, Options
from retint.errors import RetintError, exists_line, lacks_memory
from retint.hints import read_hints
from retint.photo import (
    QUALITY,
    SUFFIXES,
    Photo,
    format_of,
    losses,
    read_photo,
    read_sizes,
    write_photo,
)
from retint.places import HERE
from retint.plan import Task
from retint.recolor import all_coloured, coloured_before, what_to_color

log = logging.getLogger(__name__)

_MOST_PIXELS = 100_000_000  # in work at a time, unless one photograph alone has more
# Photographs in work at a time. Each core with a photograph of its own does more than all of them
# with one: a network this small does not keep many busy.
_WORKERS = os.cpu_count() or 1


@dataclass(frozen=True)
class Manner:
    """How photographs are coloured and written, the same for all of a run.

    One colouring is that of the seed in `options`, or the most likely one; several are those of
    that seed, or 1, and of the seeds after it.

    Attributes:
        options: of the colouring.
        strokes: a file of further hints.
        recolor: colour photographs that have colours already, too.
        overwrite: replace results that exist.
        quality: of formats that have one, 1 to 100.
        dry: only read the photographs, to tell what would become of them.
    """

    options: Options = field(default_factory=Options)
    strokes: Path | None = None
    recolor: bool = False
    overwrite: bool = False
    quality: int = QUALITY
    dry: bool = False

    @property
    def first_seed(self) -> int:
        """Of several colourings; the others have those after it."""
        seed = self.options.get("seed")
        return 1 if seed is None else seed


@dataclass
class Outcome:
    """What became of a task.

    Attributes:
        task: photograph and wanted results.
        written: files that were written, or would have been in a dry run.
        error: what went wrong, in a line, or None.
        skipped: why it was left alone, in a line, or None.
        note: what a person should know of it, in a line, or None.
        size: width and height in pixels, if it could be read.
        seconds: of work on it.
    """

    task: Task
    written: tuple[Path, ...] = ()
    error: str | None = None
    skipped: str | None = None
    note: str | None = None
    size: tuple[int, int] | None = None
    seconds: float = 0.0

    def tell(self, line: str) -> None:
        """Add to the note."""
        self.note = f"{self.note}; {line}" if self.note else line


def colorize_tasks(
    tasks: Iterable[Task], colorizer: Colorizer, manner: Manner
) -> Iterator[Outcome]:
    """Do the tasks in their order; a bad photograph is told in its outcome and the rest goes on.

    Args:
        tasks: photographs and their results.
        colorizer: the opened model.
        manner: how to colour and write them.
    """
    work = _Work(colorizer, manner)
    coming = iter(tasks)
    some = list(islice(coming, 2))
    if len(some) == 1:  # it has all cores, and no thread of its own to start
        yield work.do(some[0])
        return
    begun: deque[tuple[int, Future[Outcome]]] = deque()
    with ThreadPoolExecutor(_WORKERS) as workers:
        try:
            for task in chain(some, coming):
                pixels = _pixels_of(task)
                while begun and (len(begun) > _WORKERS or _in_work(begun) + pixels > _MOST_PIXELS):
                    yield begun.popleft()[1].result()
                begun.append((pixels, workers.submit(work.do, task)))
            while begun:
                yield begun.popleft()[1].result()
        finally:
            for _, outcome in begun:
                outcome.cancel()


def _in_work(begun: Iterable[tuple[int, Future[Outcome]]]) -> int:
    return sum(pixels for pixels, outcome in begun if not outcome.done())


@dataclass(frozen=True)
class _Work:
    """What is the same for all tasks."""

    colorizer: Colorizer
    manner: Manner

    def do(self, task: Task) -> Outcome:
        """Decode, colour and encode a photograph."""
        outcome = Outcome(task)
        start = time.perf_counter()
        try:
            photo = read_photo(task.source)
            height, width = photo.pixels.shape[:2]
            outcome.size = width, height
            shown = f"{width} x {height}, {photo.pixels.dtype}"
            log.debug("%s: %s, read in %.2f s", task.source, shown, time.perf_counter() - start)
            self._color(photo, outcome)
        except Exception as error:
            outcome.error = _line_of(error, task)
        outcome.seconds = time.perf_counter() - start
        return outcome

    def _color(self, photo: Photo, outcome: Outcome) -> None:
        """Write the colourings of a photograph, or say why it is left alone."""
        source, targets = outcome.task.source, outcome.task.targets
        manner = self.manner
        if targets[0].suffix.lower() not in SUFFIXES:  # the photograph's own, as none was asked for
            none = f"retint writes no files that end in '{source.suffix}'"
            raise RetintError(f"{source}: {none}: add --format png, or name a file with -o")
        fitting, kept = what_to_color(photo, format_of(targets[0]).name, recolor=manner.recolor)
        if all_coloured(fitting, kept):
            outcome.skipped = f"{source} has colours already: add --recolor to colour it anew"
            return
        if coloured_before(fitting, kept):
            if not (outcome.task.named or manner.recolor):
                outcome.skipped = f"{source} was coloured by retint: name it to colour it anew"
                return
            outcome.tell(f"{source} is coloured anew from its lightness")
        if kept:
            numbers = ", ".join(str(number + 1) for number in kept)
            outcome.tell(f"{source}: pages that have colours stay as they are: {numbers}")
        if any(page.exif_damaged for page in (photo, *photo.pages)):
            outcome.tell(f"{source}: EXIF that is damaged is left out")
        options = manner.options.copy()
        if manner.strokes:
            painted = read_hints(manner.strokes, photo.pixels.shape[:2])
            options["hints"] = [*painted, *options.get("hints", ())]
        for number, target in enumerate(targets):
            if len(targets) > 1:
                options["seed"] = manner.first_seed + number
            self._write(fitting, kept, options, target)
            outcome.written += (target,)
            lost = losses(photo, target)
            if lost:
                outcome.tell(
                    f"{target} has lost {' and '.join(lost)}, which its format cannot hold"
                )

    def _write(self, photo: Photo, kept: tuple[int, ...], options: Options, target: Path) -> None:
        """Write a colouring; in a dry run, only see whether it can be had."""
        if self.manner.dry:
            self.colorizer.check(photo, keep=kept, **options)
            return
        start = time.perf_counter()
        colored = self.colorizer.colorize_photo(photo, keep=kept, **options)
        between = time.perf_counter()
        log.debug("%s: coloured in %.2f s", target, between - start)
        if not self.manner.overwrite and HERE.exists(target):  # since the run was planned
            raise RetintError(exists_line(target))
        write_photo(colored, target, overwrite=self.manner.overwrite, quality=self.manner.quality)
        log.debug("%s: written in %.2f s", target, time.perf_counter() - between)


def _line_of(error: Exception, task: Task) -> str:
    """What a person can mend; anything else is a bug, and goes on its way."""
    if isinstance(error, RetintError):
        return str(error)
    if not lacks_memory(error):
        raise error
    return f"{task.source} needs more memory than there is: scale it down"


def _pixels_of(task: Task) -> int:
    try:
        return sum(width * height for width, height in read_sizes(task.source))
    except (RetintError, MemoryError):
        return 0  # reading it says why
