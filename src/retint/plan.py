"""What is to be coloured and where it goes, before anything is touched."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from retint.errors import RetintError
from retint.photo import GREY_MAP, SUFFIXES, is_output, known_suffixes, output_path
from retint.places import HERE, Places


@dataclass(frozen=True)
class Task:
    """A photograph and the files its colourings go to.

    Attributes:
        source: the photograph.
        targets: what is to be written.
        named: whether a person named it, and not a folder that it is in.
    """

    source: Path
    targets: tuple[Path, ...]
    named: bool = True


@dataclass
class Plan:
    """Tasks; problems, a line each, that keep others from being done; files named like results."""

    tasks: list[Task] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    results: int = 0


@dataclass(frozen=True)
class Shard:
    """A part of the work: the photographs whose paths fall to `index` of `count`, from 1."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `i/n`.

        >>> Shard.parse("2/8")
        Shard(index=2, count=8)

        Raises:
            RetintError: if it is written otherwise.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise RetintError(f"--shard {text}: write it as i/n, from 1/8 to 8/8 for eight shards")
        return cls(int(match[1]), int(match[2]))

    def holds(self, path: PurePath) -> bool:
        """Whether a path, relative to its folder, falls to this shard, whatever else there is.

        Its ending does not count: only in one plan it shows that 1.jpg and 1.png would both be
        written to one file.
        """
        name = path.as_posix().removesuffix(path.suffix)
        return zlib.crc32(os.fsencode(name)) % self.count == self.index - 1


def plan_tasks(
    paths: Sequence[Path],
    out: Path | None,
    *,
    samples: int = 1,
    first: int = 1,
    suffix: str | None = None,
    shard: Shard | None = None,
    may_be_empty: bool = False,
    places: Places = HERE,
) -> Plan:
    """Find the photographs of files and folders, and name the outputs.

    Args:
        paths: photographs and folders of them, searched with their sub-folders.
        out: a folder, in which sub-folders are mirrored; or, for one photograph, a file; None to
            write beside the photographs.
        samples: colourings of each photograph.
        first: number of the first of several, which is its seed.
        suffix: ending, and so format, of the outputs; that of the photograph if None.
        shard: the part of the photographs that is to be planned; all if None.
        may_be_empty: a folder without photographs is no problem.
        places: what knows the files.

    Raises:
        RetintError: if `out` cannot be where the results go.
    """
    plan = Plan()
    as_file = out is not None and out.suffix.lower() in SUFFIXES and not places.is_folder(out)
    if out is not None and as_file:
        several = len(paths) > 1 or places.is_folder(paths[0]) or samples > 1
        _check_file(out, suffix, several=several)
    elif out is not None:
        _check_folder(out, places)
    taken: dict[Path, Path] = {}
    for path in paths:
        for source, root in _sources(path, out, plan, may_be_empty, places):
            inside = places.inside(source, root)
            if shard is not None and not shard.holds(inside):
                continue
            if as_file and out is not None:
                targets: tuple[Path, ...] = (out,)
            else:
                folder = source.parent if out is None else out.joinpath(*inside.parts[:-1])
                numbers = [None] if samples == 1 else list(range(first, first + samples))
                names = (output_path(source, number, suffix).name for number in numbers)
                targets = tuple(folder / name for name in names)
            if targets[0] in taken and _is_one(source, taken[targets[0]], places):
                continue  # it was named twice
            problem = _collision(source, targets, taken, places)
            if problem:
                plan.problems.append(problem)
                continue
            taken |= dict.fromkeys(targets, source)
            plan.tasks.append(Task(source, targets, source == path))
    return plan


def _sources(
    path: Path, out: Path | None, plan: Plan, may_be_empty: bool, places: Places
) -> Iterator[tuple[Path, Path]]:
    """Photographs of a path, and the folder whose structure the output mirrors."""
    if not places.is_folder(path):
        yield path, path.parent
        return
    found = places.photographs(path, out, plan.problems)
    outputs = {file for file in found if is_output(file, places.exists)}
    plan.results += len(outputs)
    if len(found) == len(outputs) and not may_be_empty:
        plan.problems.append(f"{path} holds no pictures to colour: they end in {known_suffixes()}")
    for file in found:
        if file not in outputs:
            yield file, path


def _check_file(out: Path, suffix: str | None, *, several: bool) -> None:
    """Refuse a file that cannot be the result."""
    ending = out.suffix.lower()
    if several:
        raise RetintError(f"{out} is one file: give a folder for several pictures")
    if ending == GREY_MAP:
        grey = f"{out}: a {GREY_MAP} file holds grey alone"
        raise RetintError(f"{grey}: name it {out.with_suffix('.ppm').name}")
    if suffix and SUFFIXES[suffix] != SUFFIXES[ending]:
        raise RetintError(f"{out} is no {suffix} file: leave out --format, or rename it")


def _check_folder(out: Path, places: Places) -> None:
    """Refuse a folder for results that is a file, or was meant to be one."""
    if places.is_folder(out):
        return
    if places.exists(out):
        raise RetintError(f"{out} is a file and no picture: name a folder with -o")
    if re.fullmatch(r"\.[A-Za-z]\w{1,4}", out.suffix):
        raise RetintError(
            f"{out}: no picture that retint writes ends in '{out.suffix}': use "
            f"{known_suffixes()}, or make the folder first if it is one"
        )


def _is_one(source: Path, other: Path, places: Places) -> bool:
    return source == other or places.is_same(source, other)


def _collision(
    source: Path, targets: Sequence[Path], taken: dict[Path, Path], places: Places
) -> str | None:
    for target in targets:
        if target in taken:
            return f"{source} and {taken[target]} would both be written to {target}: rename one"
        if places.is_same(target, source):
            return (
                f"{target} is the photograph itself, which retint never replaces: "
                "name another with -o"
            )
    return None
