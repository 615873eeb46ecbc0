"""What is done of a film, kept beside its output, so that a killed run can go on."""

from __future__ import annotations

import json
import logging
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from retint.errors import RetintError
from retint.locks import locked
from retint.video.film import Film, Frame, Pixels
from retint.video.stabilize import Look
from retint.video.writing import Encoder
from retint.whole import replace_whole, whole_file

log = logging.getLogger(__name__)

_SHORTEST = 12  # frames of a segment that a cut ends
_SETTINGS, _LOCK = "settings.json", "lock"
_DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile, zlib.error)


@dataclass(frozen=True)
class State:
    """Where the segments end.

    Attributes:
        frames: how many are in them.
        end: when the last of them ends, in ticks of the film's time base.
        look: the last frame, as the colours of the next one need it.
    """

    frames: int = 0
    end: int = 0
    look: Look | None = None


@contextmanager
def held_work(folder: Path, settings: dict[str, Any]) -> Iterator[Work]:
    """The work in a folder, which is made if need be; other runs are kept off it.

    Raises:
        RetintError: if another run has it.
        OSError: if it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    taken = f"another run is at work in {folder}: wait for its end, or name another output with -o"
    with locked(folder / _LOCK, taken):
        yield Work(folder, settings)


class Work:
    """The folder of finished segments.

    Args:
        folder: where; it is emptied if it is the work of other settings.
        settings: all that the segments depend on.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        said = folder / _SETTINGS
        wanted = json.dumps(settings, indent=1, sort_keys=True)
        if not said.is_file() or said.read_bytes() != wanted.encode():
            for file in folder.iterdir():
                if file.name != _LOCK:
                    file.unlink()
            said.write_text(wanted, "utf-8")
        self.segments: list[Path] = []
        while self._path(".nut").is_file():
            self.segments.append(self._path(".nut"))

    def load(self) -> State:
        """State at the end of the finished segments."""
        if not self.segments:
            return State()
        path = self.segments[-1].with_suffix(".npz")
        try:
            with np.load(path, allow_pickle=False) as stored:
                look = Look(stored["lightness"], stored["ab"])
                return State(int(stored["frames"]), int(stored["end"]), look)
        except _DAMAGE as error:
            raise RetintError(f"{path} is damaged: remove {self.folder} to begin anew") from error

    def begin(self) -> Path:
        """File to write the next segment to."""
        return self._path(".partial")

    def finish(self, state: State) -> None:
        """Count the file that `begin` named as finished."""
        assert state.look is not None
        path = self._path(".nut")
        # In this order: whenever the run is killed, or power fails, the last segment has its state.
        with (
            whole_file(path.with_suffix(".npz"), sole=True) as beside,
            beside.open("wb") as stream,
        ):
            np.savez(
                stream,
                frames=state.frames,
                end=state.end,
                lightness=state.look.lightness,
                ab=state.look.ab,
            )
        replace_whole(self.begin(), path)
        if self.segments:
            self.segments[-1].with_suffix(".npz").unlink(missing_ok=True)
        self.segments.append(path)

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, suffix: str) -> Path:
        return self.folder / f"{len(self.segments):05}{suffix}"


class Recorder:
    """Writes frames into segments, which end at cuts or when they are long enough.

    Left by an error, it leaves the segment it was at unfinished.
    """

    def __init__(self, film: Film, work: Work, longest: int) -> None:
        self._film, self._work, self._longest = film, work, longest
        self._encoder: Encoder | None = None
        self._count, self._state, self._started = 0, State(), 0.0

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        if self._encoder is not None:
            self._encoder.close(whole=False)

    def write(self, pixels: Pixels, frame: Frame, state: State, *, cut: bool) -> None:
        """Append a coloured frame.

        Args:
            pixels: its colours, (H, W, 3).
            frame: its time.
            state: of the film with this frame in it.
            cut: whether it begins a shot.
        """
        if self._count == self._longest or (cut and self._count >= _SHORTEST):
            self.finish()
        if self._encoder is None:
            self._encoder = Encoder(self._film, self._work.begin())
            self._started = time.perf_counter()
        self._encoder.write(pixels, frame)
        self._state = state
        self._count += 1

    def finish(self) -> None:
        """Finish the segment, if there is one."""
        if self._encoder is None:
            return
        self._encoder.close()
        self._work.finish(self._state)
        seconds = time.perf_counter() - self._started
        log.debug("%s: %d frames in %.1f s", self._work.segments[-1], self._count, seconds)
        self._encoder, self._count = None, 0
