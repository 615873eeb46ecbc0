"""What Ray's workers bring: one against two, and against the one-machine command.

    python benchmarks/scale.py [--photographs N] [--rounds N]

All compute on the same photographs, taking turns; a worker has one core, and the one-machine
command all of them. Starting is told apart from the work: photographs a second are those between
the first result and the last. The machine may be busy with other things, so trust the ratios.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console

from child import RETINT
from colorize import make_photograph
from retint.tables import Table

MEGAPIXELS = 1.0
TASKS = 2000


@dataclass(frozen=True)
class Timing:
    """Seconds of the whole process, and photographs a second while it worked."""

    seconds: float
    rate: float


def time_command(source: Path, out: Path, *options: str) -> Timing:
    """Colour a folder; results are told as they come."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [RETINT, "colorize", source, "-o", out, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": ""},
    )
    assert process.stdout is not None
    times = [time.perf_counter() for line in process.stdout if " -> " in line]
    _, errors = process.communicate()
    if process.returncode:
        sys.exit(f"retint failed: {errors.strip().splitlines()[-1]}")
    # The first results of two workers come together: as many as there are workers are left out.
    first = int(options[options.index("--workers") + 1]) if "--workers" in options else 1
    rate = (len(times) - first) / (times[-1] - times[first - 1])
    return Timing(time.perf_counter() - start, rate)


def handed_out_a_second() -> float:
    """Photographs that one process can hand out: those that cannot be read cost hardly more."""
    from retint.colorizer import Colorizer
    from retint.plan import Job
    from retint.scale.cluster import Cluster

    nowhere = [
        Job(Path(f"/nowhere/{n}.jpg"), (Path(f"/nowhere/{n}-color.jpg"),)) for n in range(TASKS)
    ]
    outcomes = Cluster(workers=2).colorize_jobs(
        nowhere, Colorizer(), {}, strokes=None, recolor=False, overwrite=False, quality=95
    )
    times = [time.perf_counter() for _ in outcomes]
    return (TASKS - 1) / (times[-1] - times[0])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = folder / "photographs"
        source.mkdir()
        make_photograph(source / "0000.jpg", MEGAPIXELS)
        for number in range(1, arguments.photographs):
            (source / f"{number:04d}.jpg").write_bytes((source / "0000.jpg").read_bytes())
        kinds: dict[str, tuple[str, ...]] = {
            "one worker": ("--engine", "ray", "--workers", "1"),
            "two workers": ("--engine", "ray", "--workers", "2"),
            "one-machine command": (),
        }
        rounds = [
            {
                kind: time_command(source, folder / f"{kind}-{number}", *options)
                for kind, options in kinds.items()
            }
            for number in range(arguments.rounds)
        ]
    rates = {kind: median(timings[kind].rate for timings in rounds) for kind in kinds}
    rows = [
        [
            kind,
            f"{rates[kind]:.2f}",
            f"{rates[kind] / rates['one worker']:.2f}",
            f"{median(timings[kind].seconds for timings in rounds):.1f} s",
        ]
        for kind in kinds
    ]
    header = ("", "photographs a second", "of one worker's", "whole process")
    Console().print(Table(header, rows).rich())
    print(
        f"{arguments.photographs} photographs of {MEGAPIXELS:g} megapixels, {os.cpu_count()} cores"
    )
    print(f"handed out at most: {handed_out_a_second():.0f} photographs a second")


if __name__ == "__main__":
    main()
