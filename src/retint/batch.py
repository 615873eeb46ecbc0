"""Many photographs: decoding, colouring and encoding at the same time, with bounded memory."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from retint.colorizer import Colorizer, Options
from retint.errors import RetintError, lacks_memory
from retint.hints import read_hints
from retint.photo import QUALITY, Photo, losses, read_photo, read_sizes, write_photo
from retint.photo.provenance import read_provenance
from retint.plan import Job
from retint.tone import Kind, kind_of

log = logging.getLogger(__name__)

_MOST_PIXELS = 100_000_000  # in work at a time, unless one photograph alone has more
_AHEAD = 2  # photographs decoded, and results encoded, while another is coloured


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        job: photograph and wanted results.
        written: files that were written, or would have been in a dry run.
        error: what went wrong, in a line, or None.
        skipped: why it was left alone, in a line, or None.
        note: what a person should know of it, in a line, or None.
        size: width and height in pixels, if it could be read.
        seconds: of work on it, in all stages.
    """

    job: Job
    written: tuple[Path, ...] = ()
    error: str | None = None
    skipped: str | None = None
    note: str | None = None
    size: tuple[int, int] | None = None
    seconds: float = 0.0


def colorize_jobs(
    jobs: Iterable[Job],
    colorizer: Colorizer,
    options: Options,
    *,
    strokes: Path | None = None,
    recolor: bool = False,
    overwrite: bool = False,
    quality: int = QUALITY,
    dry: bool = False,
) -> Iterator[Outcome]:
    """Do the jobs in their order; a bad photograph is told in its outcome and the rest goes on.

    One colouring is that of the seed in `options`, or the most likely one; several are those of
    that seed, or 1, and of the seeds after it.

    Args:
        jobs: photographs and their results.
        colorizer: the opened model.
        options: how to colour, the same for all.
        strokes: a file of further hints.
        recolor: colour photographs that have colours already, too.
        overwrite: replace results that exist.
        quality: of formats that have one, 1 to 100.
        dry: only read the photographs, to tell what would become of them.
    """
    work = _Work(colorizer, options, strokes, recolor, overwrite, quality, dry)
    coming = iter(jobs)
    reading: deque[tuple[Job, int, Future[_Read]]] = deque()
    writing: deque[tuple[int, Future[Outcome]]] = deque()
    in_work = 0
    with ThreadPoolExecutor(_AHEAD) as readers, ThreadPoolExecutor(_AHEAD) as writers:
        job = next(coming, None)
        while job or reading or writing:
            while job and len(reading) < _AHEAD:
                pixels = _pixels_of(job)
                if in_work and in_work + pixels > _MOST_PIXELS:
                    break
                in_work += pixels
                reading.append((job, pixels, readers.submit(work.read, job)))
                job = next(coming, None)
            if reading:
                current, pixels, read = reading.popleft()
                colored = work.color(current, read.result())
                del read  # the photograph can go as soon as it is written
                writing.append((pixels, writers.submit(work.write, colored)))
                del colored
            while writing and (not reading or len(writing) > _AHEAD or writing[0][1].done()):
                pixels, outcome = writing.popleft()
                yield outcome.result()
                in_work -= pixels


@dataclass(frozen=True)
class _Read:
    """A photograph that was read, or an outcome that ends the job; numbers of pages to keep."""

    outcome: Outcome
    photo: Photo | None = None
    options: Options | None = None
    kept: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Colored:
    outcome: Outcome
    photos: tuple[Photo, ...] = ()


@dataclass(frozen=True)
class _Work:
    """The three stages; each ends a job that it cannot do with an outcome that says so."""

    colorizer: Colorizer
    options: Options
    strokes: Path | None
    recolor: bool
    overwrite: bool
    quality: int
    dry: bool

    def read(self, job: Job) -> _Read:
        """Decode the photograph and see whether it is to be coloured."""
        start = time.perf_counter()
        outcome = Outcome(job)
        try:
            photo = read_photo(job.source)
            height, width = photo.pixels.shape[:2]
            outcome = replace(outcome, size=(width, height))
            options = self.options.copy()
            if self.strokes:
                painted = read_hints(self.strokes, (height, width))
                options["hints"] = [*painted, *options.get("hints", ())]
            kept: tuple[int, ...] = ()
            if read_provenance(photo.xmp):
                outcome = replace(outcome, note=f"{job.source} is coloured anew from its lightness")
            elif not self.recolor:
                kept = _coloured_pages(photo)
                if len(kept) > len(photo.pages):
                    line = f"{job.source} has colours already: add --recolor to replace them"
                    return _Read(replace(outcome, skipped=line))
                if kept:
                    numbers = ", ".join(str(number + 1) for number in kept)
                    line = f"{job.source}: pages that have colours stay as they are: {numbers}"
                    outcome = replace(outcome, note=line)
        except Exception as error:
            return _Read(_failed(outcome, error))
        seconds = time.perf_counter() - start
        shown = f"{width} x {height}, {photo.pixels.dtype}"
        log.debug("%s: %s, read in %.2f s", job.source, shown, seconds)
        return _Read(replace(outcome, seconds=seconds), photo, options, kept)

    def color(self, job: Job, read: _Read) -> _Colored:
        """All the colourings of a photograph."""
        outcome, photo = read.outcome, read.photo
        if photo is None or read.options is None:
            return _Colored(outcome)
        if self.dry:
            return _Colored(replace(outcome, written=job.targets))
        colored = []
        start = time.perf_counter()
        try:
            for number in range(len(job.targets)):
                options = read.options.copy()
                if len(job.targets) > 1:
                    seed = options.get("seed")
                    options["seed"] = (1 if seed is None else seed) + number
                result = self.colorizer.colorize_photo(photo, **options)
                colored.append(_with_pages_of(photo, result, read.kept))
        except Exception as error:
            return _Colored(_failed(outcome, error))
        seconds = time.perf_counter() - start
        log.debug("%s: coloured in %.2f s", job.source, seconds)
        return _Colored(replace(outcome, seconds=outcome.seconds + seconds), tuple(colored))

    def write(self, colored: _Colored) -> Outcome:
        """Encode the colourings."""
        outcome = colored.outcome
        start = time.perf_counter()
        for photo, target in zip(colored.photos, outcome.job.targets, strict=False):
            try:
                write_photo(photo, target, overwrite=self.overwrite, quality=self.quality)
            except Exception as error:
                return _failed(outcome, error)
            outcome = replace(outcome, written=(*outcome.written, target))
            lost = losses(photo, target)
            if lost:
                line = f"{target} has lost {' and '.join(lost)}, which its format cannot hold"
                outcome = replace(outcome, note="; ".join(filter(None, (outcome.note, line))))
        seconds = time.perf_counter() - start
        if outcome.written:
            log.debug("%s: written in %.2f s", outcome.job.source, seconds)
        return replace(outcome, seconds=outcome.seconds + seconds)


def _coloured_pages(photo: Photo) -> tuple[int, ...]:
    """Numbers, from 0, of the pages that have colours."""
    pages = enumerate((photo, *photo.pages))
    return tuple(number for number, page in pages if kind_of(page.pixels) is Kind.COLOURED)


def _with_pages_of(photo: Photo, colored: Photo, numbers: tuple[int, ...]) -> Photo:
    """A colouring with some pages, numbered from 0, as they were."""
    before, after = (photo, *photo.pages), (colored, *colored.pages)
    pages = [before[n] if n in numbers else page for n, page in enumerate(after)]
    return replace(pages[0], pages=tuple(pages[1:]))


def _failed(outcome: Outcome, error: Exception) -> Outcome:
    """What a person can mend; anything else is a bug, and goes on its way."""
    if isinstance(error, RetintError):
        return replace(outcome, error=str(error))
    if not lacks_memory(error):
        raise error
    line = f"{outcome.job.source} needs more memory than there is: scale it down"
    return replace(outcome, error=line)


def _pixels_of(job: Job) -> int:
    """Pixels of a job in work: those of the photograph and of its results."""
    try:
        pixels = sum(width * height for width, height in read_sizes(job.source))
    except (RetintError, MemoryError):
        return 0  # reading it says why
    return pixels * (1 + len(job.targets)) // 2
