"""What a survey shows: photographs as they are, and coloured once by every model, in a folder."""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retint import __version__
from retint.errors import RetintError, first_line, written
from retint.evaluation.systems import (
    FolderSystem,
    JudgedPicture,
    System,
    in_colors_of,
    open_systems,
)
from retint.merge import Coloring, merge
from retint.photo import read_photo
from retint.photo.picture import to_8_bit
from retint.pictures import spread
from retint.places import HERE
from retint.plan import plan_tasks
from retint.tone import Kind, kind_of
from retint.whole import partial_path, whole_folder

SIZE = 256
"""Side of the pictures, pixels, as in pix2pix."""

TRUTH, WRONG = "truth", "wrong"
"""Columns of the pictures beside the models: the photograph itself, and an attention check."""

_PICTURES = "pictures"
_DESCRIPTION = "survey.json"  # among the pictures, so that all of it appears at once
_RAINBOW_CHROMA = np.float32(60.0)  # ab units, where sRGB has them


@dataclass(frozen=True)
class Protocol:
    """How every session goes; by default as in Isola et al. 2017, section 4.1.

    Attributes:
        practice: trials with feedback, which do not count.
        trials: trials that count, without feedback.
        checks: trials of attention in addition, at random places among those that count: the
            photograph against a rainbow across it.
            Zhang et al. 2016 had them in 10% of the trials; pix2pix had none.
        seconds: that each picture is shown.
    """

    practice: int = 10
    trials: int = 40
    checks: int = 4
    seconds: float = 1.0

    @property
    def length(self) -> int:
        """Trials of a session; each needs a photograph of its own."""
        return self.practice + self.trials + self.checks


@dataclass(frozen=True)
class Survey:
    """A folder of pictures that are ready to be shown.

    Attributes:
        folder: where they lie.
        id: tells surveys of one address apart.
        photographs: folder that they were made from, as it was given.
        models: what colours them, as it was given.
        names: of the models.
        limit: of the photographs, or None.
        protocol: how every session goes.
        pictures: names of the photographs that are used.
        left_out: photographs and folders that could not be used, and why.
        retint: version that made it.
    """

    folder: Path
    id: str
    photographs: str
    models: tuple[str, ...]
    names: tuple[str, ...]
    limit: int | None
    protocol: Protocol
    pictures: tuple[str, ...]
    left_out: tuple[str, ...]
    retint: str = __version__

    def picture(self, number: int, column: str) -> bytes:
        """A photograph as it is shown: the `TRUTH`, `WRONG`, or by the model of that name."""
        return self.picture_path(number, column).read_bytes()

    def picture_path(self, number: int, column: str) -> Path:
        """Where it lies."""
        return self.folder / _PICTURES / self.file_name(number, column)

    def file_name(self, number: int, column: str) -> str:
        """Name of that picture's file, which raters never get to know."""
        kind = column if column in (TRUTH, WRONG) else f"model-{self.names.index(column) + 1}"
        return f"{number + 1:05d}-{kind}.png"


def open_survey(folder: Path) -> Survey:
    """Open a survey that was built.

    Raises:
        RetintError: if there is none.
    """
    file = folder / _PICTURES / _DESCRIPTION
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        protocol = Protocol(**values.pop("protocol"))
        for key in ("models", "names", "pictures", "left_out"):
            values[key] = tuple(values[key])
        return Survey(folder=folder, protocol=protocol, **values)
    except FileNotFoundError:
        raise RetintError(f"{folder} holds no survey: 'retint survey run' makes one") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RetintError(f"{file} is damaged, or of another version of retint") from error


def _in_silence(_: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _: None)


def build_survey(
    photographs: Path,
    models: Sequence[str],
    folder: Path,
    protocol: Protocol,
    limit: int | None = None,
    task: Callable[[int], AbstractContextManager[Callable[[int], None]]] = _in_silence,
) -> Survey:
    """Colour photographs for a survey; or open it, if it was built in the same way before.

    Args:
        photographs: a folder of colour photographs.
        models: as `retint evaluate` takes them.
        folder: to be made.
        protocol: how every session goes.
        limit: use so many photographs, spread over all; None for all.
        task: called with the number of photographs; opens what is called with how many are done.

    Raises:
        RetintError: if `folder` holds something else, a model or a photograph cannot be used, or
            there are too few photographs.
    """
    pictures = folder / _PICTURES
    try:
        if (pictures / _DESCRIPTION).exists():
            return _same(open_survey(folder), photographs, models, protocol, limit)
        left = partial_path(pictures, sole=True)  # of a run that was killed
        if folder.exists() and any(path != left for path in folder.iterdir()):
            raise RetintError(f"{folder} is in use and holds no survey: choose another --out")
    except OSError as error:
        raise RetintError(
            f"{folder} cannot be used: {first_line(error)}: choose another --out"
        ) from error
    systems = open_systems(list(models))
    names = tuple(system.name for system in systems)
    if len({*names, TRUTH, WRONG}) < len(names) + 2:
        raise RetintError(f"the models {', '.join(names)} need names of their own: rename one")
    found, problems = _find(photographs)
    sources = spread(found, limit)
    survey = Survey(
        folder=folder,
        id=secrets.token_hex(4),
        photographs=str(photographs),
        models=tuple(models),
        names=names,
        limit=limit,
        protocol=protocol,
        pictures=(),
        left_out=tuple(problems),
    )
    with written(folder), whole_folder(pictures, sole=True) as building:
        with task(len(sources)) as advance:
            colored = _colored(photographs, sources, systems)
            survey = _write_pictures(survey, building, colored, advance)
        _write_description(survey, building)
    return survey


def _write_pictures(
    survey: Survey,
    building: Path,
    colored: Iterable[tuple[str, dict[str, bytes] | str]],
    advance: Callable[[int], None],
) -> Survey:
    """Write all pictures into a folder; give the survey that has them."""
    used: list[str] = []
    left_out: list[str] = []
    for done, (name, columns) in enumerate(colored, start=1):
        if isinstance(columns, str):
            left_out.append(columns)
        else:
            for column, data in columns.items():
                (building / survey.file_name(len(used), column)).write_bytes(data)
            used.append(name)
        advance(done)
    wanted = survey.protocol.length
    if len(used) < wanted:
        raise RetintError(
            f"{survey.photographs} has {len(used)} usable colour photographs, a session needs "
            f"{wanted}: give more photographs, a higher --limit, or fewer --trials"
            + (f" ({left_out[0]})" if left_out else "")
        )
    return replace(survey, pictures=tuple(used), left_out=(*left_out, *survey.left_out))


def _write_description(survey: Survey, building: Path) -> None:
    values = asdict(survey)
    del values["folder"]  # it may be moved
    text = json.dumps(values, indent=2) + "\n"
    (building / _DESCRIPTION).write_text(text, encoding="utf-8")


def _same(
    survey: Survey, photographs: Path, models: Sequence[str], protocol: Protocol, limit: int | None
) -> Survey:
    asked = (str(photographs), tuple(models), protocol, limit)
    if asked != (survey.photographs, survey.models, survey.protocol, survey.limit):
        raise RetintError(
            f"{survey.folder} holds a survey with other photographs, models or options, named in "
            f"{_PICTURES}/{_DESCRIPTION} there: say the same as then, or choose another --out"
        )
    return survey


def _find(photographs: Path) -> tuple[list[Path], list[str]]:
    """Photographs in a folder, and what of it cannot be read."""
    if not HERE.is_folder(photographs):
        raise RetintError(f"{photographs} is no folder: give one of colour photographs")
    plan = plan_tasks([photographs], None)
    if not plan.tasks:
        raise RetintError(plan.problems[0])
    return [task.source for task in plan.tasks], plan.problems


def _colored(
    root: Path, sources: Sequence[Path], systems: Sequence[System]
) -> Iterator[tuple[str, dict[str, bytes] | str]]:
    """Names of photographs and their pictures by column, or why there are none."""

    def color(source: Path) -> tuple[str, dict[str, bytes] | str]:
        name = source.relative_to(root).with_suffix("").as_posix()
        try:
            pixels = to_8_bit(read_photo(source).pixels)
        except RetintError as error:
            return name, str(error)
        if min(pixels.shape[:2]) < SIZE:
            return name, f"{source} has less than {SIZE} pixels on a side"
        if kind_of(pixels) is not Kind.COLOURED:
            return name, f"{source} has no colours"
        picture = JudgedPicture.cut(name, pixels, SIZE, source)
        columns = {TRUTH: picture.truth, WRONG: wrong_colors(picture.truth)}
        columns |= {system.name: _shown(system, picture) for system in systems}
        return name, {column: encode(pixels) for column, pixels in columns.items()}

    with ThreadPoolExecutor() as pool:
        yield from pool.map(color, sources)


def _shown(system: System, picture: JudgedPicture) -> NDArray[np.uint8]:
    """The picture as a system colours it, at its own lightness: another would give it away."""
    colored = system.color(picture)
    return in_colors_of(colored, picture) if isinstance(system, FolderSystem) else colored


def wrong_colors(truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The photograph, (S, S, 3), at its own lightness, in a rainbow from corner to corner.

    Merely opposite or foreign colours can pass for true ones: those of lamps, cloth, flowers.
    """
    across = np.linspace(0, np.pi, len(truth), dtype=np.float32)
    hue = across[:, None] + across
    ab = _RAINBOW_CHROMA * np.stack((np.cos(hue), np.sin(hue)), axis=-1)
    return merge(truth, Coloring(np.zeros_like(ab), ab))


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of nothing but pixels; not compressed, so that its length tells nothing of them."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=0)
    return stream.getvalue()
