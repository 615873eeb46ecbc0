"""What a run has done, in a file beside its results, so that a stopped run goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retint.errors import RetintError, written
from retint.photo.provenance import now
from retint.places import HERE, Places
from retint.plan import Task

NAME = "retint-journal.jsonl"


@dataclass(frozen=True)
class _Entry:
    """What a result was made of, and in which run."""

    run: int
    source: str
    size: int
    modified: int


class Journal:
    """The journal of an output folder: a line for each run, one for each photograph done.

    Args:
        path: its file, which is made with the first line.
        settings: all that decides how the results look; what was done with others counts as not
            done.
        places: what knows the files.

    Attributes:
        goes_on: whether this is a run that was stopped and goes on, or is on its way.
        date: when the run began, ISO 8601; of a run that goes on, when it began at first.

    Raises:
        RetintError: if the file is there and is no journal.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], places: Places = HERE) -> None:
        self._path = path
        self._places = places
        self._settings = dict(settings)
        self._done: dict[str, _Entry] = {}  # by result: a photograph may have several sets of them
        self._run = 0
        self._torn_at: int | None = None
        self.date = now()
        self.goes_on = self._read()

    def is_done(self, task: Task, *, anew: bool = False) -> bool:
        """Whether the task is in the journal, its photograph unchanged and its results there.

        Args:
            task: photograph and results.
            anew: count only what this run has done before it was stopped.
        """
        known = self.was_begun(task) if anew else self._knows(task)
        return known and all(map(self._places.exists, task.targets))

    def was_begun(self, task: Task) -> bool:
        """Whether this run was stopped in the middle of the task: some results may be there.

        Of a photograph that was changed since, they are not this task's.
        """
        return self.goes_on and self._knows(task, self._run)

    def record(self, tasks: Iterable[Task]) -> None:
        """Write down tasks.

        To be called before them where their results do not exist yet, so that none can be there
        without being in the journal; after them where they replace others.
        """
        lines: list[Mapping[str, Any]] = []
        for task in tasks:
            state = self._places.state(task.source)
            if state is None:
                continue
            if not self.goes_on:
                lines.append({"run": self._settings, "date": self.date})
                self.goes_on = True
                self._run += 1
            size, modified = state
            source, targets = _key(task.source), [_key(target) for target in task.targets]
            lines.append({"source": source, "size": size, "modified": modified, "targets": targets})
        if lines:
            self._write(lines)

    def finish(self) -> None:
        """Write down that the run came to its end; the next one has a date of its own."""
        if self.goes_on:
            self._write([{"finished": now()}])
            self.goes_on = False

    def _knows(self, task: Task, run: int | None = None) -> bool:
        """Whether all results are in the journal, of the photograph as it is now, and of a run."""
        state = self._places.state(task.source)
        if state is None:
            return False
        entries = (self._done.get(_key(target)) for target in task.targets)
        return all(
            entry is not None
            and (entry.source, entry.size, entry.modified) == (_key(task.source), *state)
            and run in (None, entry.run)
            for entry in entries
        )

    def _write(self, lines: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(line) + "\n" for line in lines)
        with written(self._path):
            if self._torn_at is not None:
                self._places.cut(self._path, self._torn_at)
                self._torn_at = None
            self._places.append(self._path, text.encode())

    def _read(self) -> bool:
        """Learn what is done; whether a run with these settings was stopped before its end."""
        stopped = matches = False
        try:
            data = self._places.read(self._path)
            for entry in _entries(data):
                if "run" in entry:
                    self._run += 1
                    matches = stopped = entry["run"] == self._settings
                    self.date = entry["date"] if matches else self.date
                    continue
                if "finished" in entry:
                    stopped = False
                    continue
                made = _Entry(self._run, entry["source"], entry["size"], entry["modified"])
                for target in entry["targets"]:
                    if matches:
                        self._done[target] = made
                    else:  # another result has taken the place of ours
                        self._done.pop(target, None)
            if data and not data.endswith(b"\n"):  # cut when there is a line to write, not before
                self._torn_at = data.rfind(b"\n") + 1
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RetintError(
                f"{self._path} is no journal of retint, or damaged: move it away, and use "
                "--overwrite to do again what it says is done"
            ) from error
        if not stopped:
            self.date = now()
        return stopped


def _entries(data: bytes) -> Iterator[dict[str, Any]]:
    """The lines of a journal, but for the last if a killed run left it unfinished."""
    for line in data.split(b"\n")[:-1]:
        yield json.loads(line)


def _key(path: Path) -> str:
    return str(path.absolute())
