"""Report on many photographs: JSON lines as the work goes, a page with thumbnails at its end."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from retint.batch import Outcome
from retint.errors import RetintError, written
from retint.pages import render
from retint.photo import encode_photo, read_photo
from retint.photo.picture import shrunk
from retint.places import HERE
from retint.plan import Task
from retint.progress import Progress
from retint.whole import whole_file

_MOST_PICTURES = 500  # on the page: it carries its thumbnails
_THUMBNAIL = 320  # pixels on the long side
_KEYS = {"source", "written", "error", "skipped"}  # of a line, at least
_START = b'{"source": '


class Report:
    """Writes a line for each photograph, and in the end the page of all lines.

    Args:
        path: of the page; the JSON lines go to a file beside it that ends in .jsonl.
        settings: how the photographs are coloured, for the page.
        go_on: add to the lines of a run that was stopped.
        overwrite: replace an earlier report.

    Raises:
        RetintError: if there is one that is neither to be added to nor replaced, or it cannot be
            written.
    """

    def __init__(
        self, path: Path, settings: Mapping[str, Any], *, go_on: bool, overwrite: bool
    ) -> None:
        if HERE.is_folder(path):
            raise RetintError(f"{path} is a folder: name the page, such as {path / 'report.html'}")
        self._page = path if path.suffix.lower() in (".html", ".htm") else Path(f"{path}.html")
        self._lines = self._page.with_suffix(".jsonl")
        self._settings = settings
        go_on = go_on and HERE.exists(self._lines)  # else the page is not that of the run
        for file in (self._page, self._lines):
            if HERE.exists(file) and not (overwrite or go_on or self._is_unused()):
                raise RetintError(f"{file} exists: choose another --report, or add --overwrite")
        with written(self._lines):
            self._page.parent.mkdir(parents=True, exist_ok=True)
            before = self._lines.read_bytes() if go_on else b""
            entries = self._entries(before)  # first: the file may be somebody's own
            if before:  # a killed run may have left half a line
                HERE.cut(self._lines, before.rfind(b"\n") + 1)
            else:
                self._lines.write_bytes(b"")
        self._coloured = {
            entry["source"] for entry in entries if entry["written"] and not entry["error"]
        }

    def add(self, outcome: Outcome) -> None:
        """Write the line of a photograph."""
        width, height = outcome.size or (None, None)
        self._write(
            source=str(outcome.task.source),
            written=[str(path) for path in outcome.written],
            error=outcome.error,
            skipped=outcome.skipped,
            note=outcome.note,
            width=width,
            height=height,
            seconds=round(outcome.seconds, 3),
        )

    def add_done(self, task: Task) -> None:
        """Write the line of a photograph that an earlier run has coloured, if it has none yet."""
        if str(task.source) not in self._coloured:
            self.add(Outcome(task, written=task.targets, note="done before"))
            self._coloured.add(str(task.source))

    def add_problem(self, line: str, source: Path | None = None) -> None:
        """Write the line of what kept a photograph, if it is known which, from being started."""
        name = None if source is None else str(source)
        self._write(source=name, written=[], error=line, skipped=None)

    def write(self) -> Path:
        """Write the page; say how far it is, where that takes long."""
        entries = self._entries(self._lines.read_bytes())
        failures = [entry["error"] for entry in entries if entry["error"]]
        skipped = [entry["skipped"] for entry in entries if entry["skipped"]]
        pairs = [(entry["source"], target) for entry in entries for target in entry["written"]]
        page = render(
            "retint",
            "report.html.j2",
            counts=f"{len(entries) - len(failures) - len(skipped)} coloured, "
            f"{len(failures)} failed, {len(skipped)} left alone",
            settings=", ".join(
                f"{name} {value}" for name, value in self._settings.items() if value
            ),
            failures=failures,
            skipped=skipped,
            pictures=_with_thumbnails(pairs[:_MOST_PICTURES]),
            more=max(0, len(pairs) - _MOST_PICTURES),
        )
        with written(self._page), whole_file(self._page) as beside:
            beside.write_text(page, encoding="utf-8")
        return self._page

    def _write(self, **line: Any) -> None:
        with written(self._lines), self._lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _entries(self, data: bytes) -> list[dict[str, Any]]:
        try:
            return _parsed(data)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RetintError(
                f"{self._lines} is no list of a report, or damaged: move it away, or choose "
                "another --report"
            ) from error

    def _is_unused(self) -> bool:
        """Whether a run ended before its first photograph, so that there is nothing to lose."""
        return not HERE.exists(self._page) and self._lines.stat().st_size == 0


def _parsed(data: bytes) -> list[dict[str, Any]]:
    """The last line of each photograph, as a run that goes on adds others, and of each problem."""
    *whole, torn = data.split(b"\n")
    entries = [json.loads(line) for line in whole]
    if torn[: len(_START)] != _START[: len(torn)] or any(_KEYS - entry.keys() for entry in entries):
        raise ValueError("these are no lines of a report")
    return list({entry["source"] or entry["error"]: entry for entry in entries}.values())


def _with_thumbnails(pairs: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    shown = []
    with Progress().task("thumbnails", len(pairs)) as advance:
        for done, pair in enumerate(pairs, start=1):
            shown.append(_pair(*pair))
            advance(done)
    return shown


def _pair(source: str, target: str) -> dict[str, str]:
    """A photograph and its colouring, for the page; what has vanished meanwhile has no picture."""
    return {
        "name": f"{source} → {target}",
        "before": _thumbnail(Path(source)),
        "after": _thumbnail(Path(target)),
    }


def _thumbnail(path: Path) -> str:
    """A small JPEG, in base 64; nothing of a file that cannot be read any more."""
    try:
        photo = read_photo(path)
    except RetintError:
        return ""
    small = shrunk(photo.pixels, _THUMBNAIL)
    bare = replace(
        photo, pixels=small, alpha=None, exif=None, xmp=None, iptc=None, texts={}, pages=()
    )
    return base64.b64encode(encode_photo(bare, "JPEG", quality=80)).decode()
