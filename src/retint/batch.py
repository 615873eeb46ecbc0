"""Many photographs: plan what is read and written, then colour one after the other."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from retint.colorizer import Colorizer
from retint.errors import RetintError
from retint.hints import Hint, read_strokes
from retint.photo import SUFFIXES, is_output, output_path, read_photo, write_photo

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A photograph and the files its colourings go to."""

    source: Path
    targets: tuple[Path, ...]


@dataclass
class Plan:
    """Jobs to do; problems, a line each, that keep others from being done; how many are skipped."""

    jobs: list[Job] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    skipped: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of a job: files written, and what went wrong, if anything."""

    source: Path
    written: tuple[Path, ...]
    error: str | None = None


def plan_jobs(
    paths: Sequence[Path], out: Path | None, *, samples: int = 1, overwrite: bool = False
) -> Plan:
    """Find the photographs of files and folders, and name the outputs.

    Args:
        paths: photographs and folders of them, searched with their sub-folders.
        out: a folder, in which sub-folders are mirrored; or, for one photograph, a file; None to
            write beside the photographs.
        samples: colourings of each photograph.
        overwrite: whether outputs that exist are to be replaced; a problem otherwise.
    """
    plan = Plan()
    as_file = out is not None and out.suffix.lower() in SUFFIXES and not out.is_dir()
    if as_file and (len(paths) > 1 or paths[0].is_dir() or samples > 1):
        plan.problems.append(f"{out} is one file: give a folder for several pictures")
        return plan
    if out is not None and _looks_like_a_file(out) and not as_file:
        known = ", ".join(sorted(SUFFIXES))
        plan.problems.append(
            f"{out}: no picture that retint writes ends in '{out.suffix}': use {known}, or make "
            "the folder first if it is one"
        )
        return plan
    taken: dict[Path, Path] = {}
    for path in paths:
        for source, root in _sources(path, plan):
            if as_file and out is not None:
                targets: tuple[Path, ...] = (out,)
            else:
                folder = source.parent if out is None else out / source.parent.relative_to(root)
                numbers = [None] if samples == 1 else list(range(1, samples + 1))
                targets = tuple(folder / output_path(source, n).name for n in numbers)
            problem = _collision(source, targets, taken, overwrite)
            if problem:
                plan.problems.append(problem)
                continue
            taken |= dict.fromkeys(targets, source)
            plan.jobs.append(Job(source, targets))
    return plan


def colorize_jobs(
    jobs: Sequence[Job],
    colorizer: Colorizer,
    *,
    seed: int | None = None,
    strength: float = 1.0,
    hints: Sequence[Hint] = (),
    strokes: Path | None = None,
    overwrite: bool = False,
) -> Iterator[Outcome]:
    """Do the jobs; a bad photograph is told in its outcome and the rest goes on.

    One colouring is that of `seed`, or the most likely one; several are those of `seed`, or 1, and
    of the seeds after it. `hints`, and those in the picture `strokes`, go for all jobs.
    """
    for job in jobs:
        written: list[Path] = []
        try:
            start = time.perf_counter()
            photo = read_photo(job.source)
            height, width = photo.pixels.shape[:2]
            log.debug(
                "%s: %d x %d, %s, read in %.2f s",
                *(job.source, width, height, photo.pixels.dtype, time.perf_counter() - start),
            )
            painted = read_strokes(strokes, photo.pixels.shape[:2]) if strokes else []
            wanted = [*painted, *hints]
            for number, target in enumerate(job.targets):
                start = time.perf_counter()
                chosen = seed
                if len(job.targets) > 1:
                    chosen = (1 if seed is None else seed) + number
                colored = colorizer.colorize_photo(
                    photo, seed=chosen, strength=strength, hints=wanted
                )
                done = time.perf_counter()
                write_photo(colored, target, overwrite=overwrite)
                log.debug(
                    "%s: seed %s, coloured in %.2f s, written in %.2f s",
                    *(target, chosen, done - start, time.perf_counter() - done),
                )
                written.append(target)
        except RetintError as error:
            yield Outcome(job.source, tuple(written), str(error))
        except MemoryError:
            error_line = f"{job.source} needs more memory than there is: scale it down"
            yield Outcome(job.source, tuple(written), error_line)
        else:
            yield Outcome(job.source, tuple(written))


def _sources(path: Path, plan: Plan) -> Iterator[tuple[Path, Path]]:
    """Photographs of a path, and the folder whose structure the output mirrors."""
    if not path.is_dir():
        yield path, path.parent
        return
    found = sorted(
        file for file in path.rglob("*") if file.is_file() and file.suffix.lower() in SUFFIXES
    )
    outputs = {file for file in found if is_output(file)}
    plan.skipped += len(outputs)
    if len(found) == len(outputs):
        known = ", ".join(sorted(SUFFIXES))
        plan.problems.append(f"{path} holds no pictures to colour: they end in {known}")
    for file in found:
        if file not in outputs:
            yield file, path


def _looks_like_a_file(out: Path) -> bool:
    return not out.exists() and re.fullmatch(r"\.[A-Za-z]\w{1,4}", out.suffix) is not None


def _collision(
    source: Path, targets: Sequence[Path], taken: dict[Path, Path], overwrite: bool
) -> str | None:
    for target in targets:
        if target in taken:
            return f"{source} and {taken[target]} would both be written to {target}: rename one"
        if target.exists() and target.samefile(source):
            return (
                f"{target} is the photograph itself, which retint never replaces: choose another -o"
            )
        if target.exists() and not overwrite:
            return f"{target} exists: add --overwrite to replace it, or choose another -o"
    return None
