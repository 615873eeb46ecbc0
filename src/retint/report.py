"""Report on many photographs: JSON lines as the work goes, a page with thumbnails at its end."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2

from retint.batch import Outcome
from retint.errors import RetintError
from retint.pages import render
from retint.photo import encode_photo, read_photo

_MOST_PICTURES = 500  # on the page: it carries its thumbnails
_THUMBNAIL = 320  # pixels on the long side


class Report:
    """Collects what becomes of photographs.

    Args:
        path: of the page; the JSON lines go to a file beside it that ends in .jsonl.
        settings: how the photographs are coloured, for the page.
        overwrite: replace an earlier report.

    Raises:
        RetintError: if there is one and `overwrite` is not set, or it cannot be written.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], *, overwrite: bool) -> None:
        self._page = path if path.suffix.lower() in (".html", ".htm") else Path(f"{path}.html")
        self._lines = self._page.with_suffix(".jsonl")
        self._settings = settings
        self._pictures: list[dict[str, str]] = []
        self._colored = 0
        self._failures: list[str] = []
        self._skipped: list[str] = []
        for file in (self._page, self._lines):
            if file.exists() and not overwrite:
                raise RetintError(f"{file} exists: choose another --report, or add --overwrite")
        try:
            self._page.parent.mkdir(parents=True, exist_ok=True)
            self._lines.write_text("")
        except OSError as error:
            raise RetintError(f"{self._lines} cannot be written: {error.strerror}") from error

    def add(self, outcome: Outcome) -> None:
        """Write the line of a photograph; remember it for the page."""
        width, height = outcome.size or (None, None)
        line = {
            "source": str(outcome.job.source),
            "written": [str(path) for path in outcome.written],
            "error": outcome.error,
            "skipped": outcome.skipped,
            "note": outcome.note,
            "width": width,
            "height": height,
            "seconds": round(outcome.seconds, 3),
        }
        with self._lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if outcome.error:
            self._failures.append(outcome.error)
        elif outcome.skipped:
            self._skipped.append(outcome.skipped)
        else:
            self._colored += 1
        for written in outcome.written[: _MOST_PICTURES - len(self._pictures)]:
            self._pictures.append(
                {
                    "name": f"{outcome.job.source} → {written}",
                    "before": _thumbnail(outcome.job.source),
                    "after": _thumbnail(written),
                }
            )

    def add_problem(self, line: str) -> None:
        """Remember what kept a photograph from being started."""
        self._failures.append(line)
        with self._lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"error": line}) + "\n")

    def write(self) -> Path:
        """Write the page."""
        page = render(
            "retint",
            "report.html.j2",
            counts=f"{self._colored} coloured, {len(self._failures)} failed, "
            f"{len(self._skipped)} left alone",
            settings=", ".join(f"{name} {value}" for name, value in self._settings.items()),
            failures=self._failures,
            skipped=self._skipped,
            pictures=self._pictures,
            more=max(0, self._colored - len(self._pictures)),
        )
        beside = self._page.with_name(f".{self._page.name}.partial")
        beside.write_text(page, encoding="utf-8", errors="backslashreplace")
        os.replace(beside, self._page)  # noqa: PTH105 - rename, atomically
        return self._page


def _thumbnail(path: Path) -> str:
    """A small JPEG, in base 64."""
    photo = read_photo(path)
    height, width = photo.pixels.shape[:2]
    scale = min(1.0, _THUMBNAIL / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(photo.pixels, size, interpolation=cv2.INTER_AREA)
    bare = replace(
        photo, pixels=small, alpha=None, exif=None, xmp=None, iptc=None, texts={}, pages=()
    )
    return base64.b64encode(encode_photo(bare, "JPEG", quality=80)).decode()
