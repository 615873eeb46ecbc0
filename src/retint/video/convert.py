"""Film + model -> film: frame by frame, steady over time, segment by segment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from retint import __version__
from retint.errors import RetintError, exists_line, written
from retint.merge import fit_coloring, merge, seen_lightness, sharpen
from retint.model import Model, open_model
from retint.photo.names import COLORED
from retint.video.film import Film
from retint.video.segments import Recorder, State, Work, held_work
from retint.video.stabilize import Look, Motion, steady
from retint.video.writing import FORMATS, fitting, join
from retint.whole import exists, partial_path, replace_whole


@dataclass(frozen=True)
class FilmOptions:
    """How a film is coloured.

    Attributes:
        model: a name of `retint models`, an .onnx file, or a run folder.
        provider: ONNX Runtime provider to compute with; the CPU if None.
        seed: which of the possible colourings; None for the most likely one.
        strength: gain on the colours; 0 is grey.
    """

    model: str = "default"
    provider: str | None = None
    seed: int | None = None
    strength: float = 1.0


class Painter:
    """Colours frames, each with regard to the one before.

    Attributes:
        look: the frame before; None before the first.
    """

    def __init__(
        self, model: Model, options: FilmOptions, quarter_turns: int = 0, look: Look | None = None
    ) -> None:
        self.look = look
        self._model, self._options, self._turns = model, options, quarter_turns

    def paint(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bool]:
        """Colour sRGB pixels, (H, W) or (H, W, 3); whether a new shot begins, too."""
        lightness = seen_lightness(pixels, *self._model.input_size(*pixels.shape[:2]))
        ab = self._predict(lightness)
        motion = None if self.look is None else Motion(self.look.lightness, lightness)
        cut = motion is None or motion.is_cut
        if self.look is not None and motion is not None and not cut:
            ab = steady(motion, self.look, ab)
        self.look = Look(lightness, ab)
        return merge(pixels, fit_coloring(lightness, ab), self._options.strength), cut

    def _predict(self, lightness: NDArray[Any]) -> NDArray[Any]:
        """Predicted ab (h, w, 2); the network sees the frame upright, as it learnt."""
        upright = np.ascontiguousarray(np.rot90(lightness, self._turns))
        ab = sharpen(upright, self._model.predict(upright, self._options.seed))
        return np.ascontiguousarray(np.rot90(ab, -self._turns))


def output_path(source: Path) -> Path:
    """Name of the coloured film beside its source: film-color.mp4, in .mkv what is not written."""
    suffix = source.suffix if source.suffix.lower() in FORMATS else ".mkv"
    return source.with_name(f"{source.stem}{COLORED}{suffix}")


def colorize_film(
    film: Film,
    target: Path,
    options: FilmOptions,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda _done: None,
    say: Callable[[str], None] = lambda _line: None,
    segment_frames: int = 96,
) -> None:
    """Colour a film; go on where a killed call of the same arguments left off.

    Args:
        film: just opened.
        target: the file to write, whole or not at all.
        options: how.
        overwrite: replace `target`.
        progress: called with how many frames are done.
        say: called with a line for each thing that could not be kept.
        segment_frames: frames of a segment at most, which a killed run has to do again.

    Raises:
        RetintError: if the film cannot be read or the result not be written.
    """
    _check_target(film.path, target, overwrite)
    suffix = target.suffix.lower()
    others, refused = fitting(film, suffix)
    for line in refused:
        say(f"{film.path}: {line}")
    if film.width % 2 or film.height % 2:
        say(f"{film.path} has an odd size, which H.264 has not: its last pixels are doubled")
    model = open_model(options.model, [options.provider] if options.provider else None)
    settings = _settings(film.path, model, options, segment_frames)
    with (
        written(target, av.FFmpegError),
        held_work(partial_path(target, sole=True), settings) as work,
    ):
        state = _color_frames(film, model, options, work, segment_frames, progress)
        if not work.segments:
            work.remove()
            raise RetintError(f"{film.path} has no frame that can be read: it may be damaged")
        joined = work.folder / "joined"
        join(
            film,
            work.segments,
            joined,
            format_=FORMATS[suffix],
            end=state.end,
            others=others,
            comment=_provenance(model, options),
        )
        _check_target(film.path, target, overwrite)  # hours may have passed
        replace_whole(joined, target)
        work.remove()
    if film.damaged:
        say(f"{film.path} is damaged or cut short: what could be read of it is coloured")


def _color_frames(
    film: Film,
    model: Model,
    options: FilmOptions,
    work: Work,
    segment_frames: int,
    progress: Callable[[int], None],
) -> State:
    """Colour the frames that are not in finished segments yet; where the film ends."""
    state = work.load()
    painter: Painter | None = None
    with Recorder(film, work, segment_frames) as recorder:
        # Frames that are done are decoded again: not every format can be entered anywhere.
        for number, frame in enumerate(film.frames()):
            if number < state.frames:
                continue
            painter = painter or Painter(model, options, film.quarter_turns, state.look)
            pixels, cut = painter.paint(film.pixels(frame))
            state = State(number + 1, frame.end, painter.look)
            recorder.write(pixels, frame, state, cut=cut)
            progress(state.frames)
        recorder.finish()
    return state


def _check_target(source: Path, target: Path, overwrite: bool) -> None:
    if target.suffix.lower() not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        wrong = f"{target}: films are not written as '{target.suffix}'"
        raise RetintError(f"{wrong}: use {known}, or a folder that is there")
    there = exists(target)
    if there and source.exists() and target.samefile(source):
        raise RetintError(
            f"{target} is the film itself, which retint never replaces: name another with -o"
        )
    if there and not overwrite:
        raise RetintError(exists_line(target))


def _settings(
    source: Path, model: Model, options: FilmOptions, segment_frames: int
) -> dict[str, Any]:
    """All that the frames of the segments depend on."""
    film = source.stat()
    return {
        "retint": __version__,
        "libraries": [av.__version__, cv2.__version__, np.__version__],
        "source": [str(source.resolve()), film.st_size, film.st_mtime_ns],
        "model": model.sha256,
        "provider": options.provider,
        "seed": options.seed,
        "strength": options.strength,
        "segment_frames": segment_frames,
    }


def _provenance(model: Model, options: FilmOptions) -> str:
    """What the file says of its colours; IPTC's term is for programs."""
    card = model.card
    seed = "none" if options.seed is None else options.seed
    return (
        f"colours inferred by retint {__version__}, model {card['name']} {card['version']} "
        f"({model.sha256}), seed {seed}, strength {options.strength:g}; "
        "digital source type compositeWithTrainedAlgorithmicMedia"
    )
