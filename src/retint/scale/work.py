"""One photograph in a process that may be anywhere: what is at a URL is fetched and put back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from retint.batch import Outcome, colorize_jobs
from retint.colorizer import Colorizer, Options
from retint.errors import RetintError
from retint.photo import format_of, sidecar_of
from retint.plan import Job
from retint.scale.urls import fetch, fetch_if_there, is_url, put, remove, there


@dataclass(frozen=True)
class Settings:
    """How to colour; the options of `retint.batch.colorize_jobs`."""

    options: Options
    recolor: bool
    overwrite: bool
    quality: int
    dry: bool


def colorize_job(job: Job, colorizer: Colorizer, settings: Settings) -> Outcome:
    """Do a job whose photograph and results may be at URLs.

    What is at a URL passes through files here, so that formats that are not read or written in one
    go need no help from the driver, and results are those of local files, byte for byte.
    """
    if not any(map(is_url, (job.source, *job.targets))):
        return _color(job, colorizer, settings)
    with TemporaryDirectory(prefix="retint-") as scratch:
        staged = _Staged(job, Path(scratch))
        try:
            staged.fetch(overwrite=settings.overwrite)
            outcome = _color(staged.local, colorizer, settings)
            return staged.named(outcome) if settings.dry else staged.deliver(outcome)
        except RetintError as error:
            return Outcome(job, error=str(error))


def _color(job: Job, colorizer: Colorizer, settings: Settings) -> Outcome:
    (outcome,) = colorize_jobs(
        [job],
        colorizer,
        settings.options,
        recolor=settings.recolor,
        overwrite=settings.overwrite,
        quality=settings.quality,
        dry=settings.dry,
    )
    return outcome


class _Staged:
    """A job with a local file for each that is at a URL.

    Attributes:
        local: the job in terms of local files.
    """

    def __init__(self, job: Job, scratch: Path) -> None:
        self._job = job
        self._near = {
            path: scratch / kind / path.name if is_url(path) else path
            for kind, paths in (("in", [job.source]), ("out", job.targets))
            for path in paths
        }
        self.local = Job(self._near[job.source], tuple(self._near[path] for path in job.targets))
        for path in self._near.values():
            if path.is_relative_to(scratch):
                path.parent.mkdir(exist_ok=True)

    def fetch(self, *, overwrite: bool) -> None:
        """Copy the photograph, and what lies beside it or where its results go."""
        for path in (self._job.source, *self._job.targets):
            if is_url(path) and _has_sidecar(path):
                fetch_if_there(sidecar_of(path), sidecar_of(self._near[path]))
        if is_url(self._job.source):
            fetch(self._job.source, self.local.source)
        for target in self._job.targets:
            if is_url(target) and not overwrite and there(target):
                raise RetintError(
                    f"{target} exists: add --overwrite to replace it, or choose another -o"
                )

    def deliver(self, outcome: Outcome) -> Outcome:
        """Put the results where they belong, and name the files as the job does."""
        named = self.named(outcome)
        for target in filter(is_url, named.written):
            if _has_sidecar(target):  # before the picture, so that there is none without it
                self._deliver_sidecar(target)
            put(self._near[target], target)
        return named

    def named(self, outcome: Outcome) -> Outcome:
        """The outcome of the local job in terms of the job."""
        written = (path for path in self._job.targets if self._near[path] in outcome.written)
        return replace(
            outcome,
            job=self._job,
            written=tuple(written),
            error=self._as_named(outcome.error),
            skipped=self._as_named(outcome.skipped),
            note=self._as_named(outcome.note),
        )

    def _deliver_sidecar(self, target: Path) -> None:
        sidecar, local = sidecar_of(target), sidecar_of(self._near[target])
        if local.exists():
            put(local, sidecar)
        else:
            remove(sidecar)

    def _as_named(self, line: str | None) -> str | None:
        for path, local in self._near.items():
            line = line and line.replace(str(local), str(path))
        return line


def _has_sidecar(path: Path) -> bool:
    try:
        return not format_of(path).metadata
    except RetintError:
        return False  # reading it says why
