"""One photograph in a process that may be anywhere: what is at a URL is fetched and put back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from retint.batch import Manner, Outcome, colorize_tasks
from retint.colorizer import Colorizer
from retint.errors import RetintError, exists_line
from retint.photo import format_of, sidecar_of
from retint.plan import Task
from retint.scale.urls import fetch, fetch_if_there, is_url, put, remove, there


def colorize_task(task: Task, colorizer: Colorizer, manner: Manner) -> Outcome:
    """Do a task whose photograph and results may be at URLs.

    What is at a URL passes through files here, so that formats that are not read or written in one
    go need no help from the driver, and results are those of local files, byte for byte.
    """
    if not any(map(is_url, (task.source, *task.targets))):
        return _color(task, colorizer, manner)
    try:
        with TemporaryDirectory(prefix="retint-") as scratch:
            staged = _Staged(task, Path(scratch))
            staged.fetch(overwrite=manner.overwrite)
            outcome = _color(staged.local, colorizer, manner)
            return staged.named(outcome) if manner.dry else staged.deliver(outcome)
    except RetintError as error:
        return Outcome(task, error=str(error))
    except OSError as error:
        cause = error.strerror or str(error)
        return Outcome(task, error=f"{task.source} finds no room in the temporary folder: {cause}")


def _color(task: Task, colorizer: Colorizer, manner: Manner) -> Outcome:
    (outcome,) = colorize_tasks([task], colorizer, manner)
    return outcome


class _Staged:
    """A task with a local file for each that is at a URL.

    Attributes:
        local: the task in terms of local files.
    """

    def __init__(self, task: Task, scratch: Path) -> None:
        self._task = task
        self._near = {
            path: scratch / kind / path.name if is_url(path) else path
            for kind, paths in (("in", [task.source]), ("out", task.targets))
            for path in paths
        }
        near = tuple(self._near[path] for path in task.targets)
        self.local = replace(task, source=self._near[task.source], targets=near)
        for path in self._near.values():
            if path.is_relative_to(scratch):
                path.parent.mkdir(exist_ok=True)

    def fetch(self, *, overwrite: bool) -> None:
        """Copy the photograph, and what lies beside it or where its results go."""
        for path in (self._task.source, *self._task.targets):
            if is_url(path) and _has_sidecar(path):
                fetch_if_there(sidecar_of(path), sidecar_of(self._near[path]))
        if is_url(self._task.source):
            fetch(self._task.source, self.local.source)
        for target in self._task.targets:
            if is_url(target) and not overwrite and there(target):
                raise RetintError(exists_line(target))

    def deliver(self, outcome: Outcome) -> Outcome:
        """Put the results where they belong, and name the files as the task does."""
        named = self.named(outcome)
        for target in filter(is_url, named.written):
            if _has_sidecar(target):  # before the picture, so that there is none without it
                self._deliver_sidecar(target)
            put(self._near[target], target)
        return named

    def named(self, outcome: Outcome) -> Outcome:
        """The outcome of the local task in terms of the task."""
        written = (path for path in self._task.targets if self._near[path] in outcome.written)
        return replace(
            outcome,
            task=self._task,
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
