"""What Ray's workers bring: one against two, and against the one-machine command.

    python benchmarks/scale.py [--photographs N] [--rounds N]

All compute on the same photographs, taking turns; a worker has one core, and the one-machine
command all of them. Starting is told apart from the work: photographs a second are those between
the first result and the last. On a machine that is busy with other things, trust the CPU time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console

from child import RETINT
from colorize import make_photograph
from retint.tables import Table

MEGAPIXELS = 1.0
EMPTY = 5000
RAY = ("--engine", "ray", "--workers")
ENVIRONMENT = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": ""}


@dataclass(frozen=True)
class Timing:
    """Seconds of the whole process; photographs a second, and CPU time of each, while it worked."""

    seconds: float
    rate: float
    cpu: float


def time_command(source: Path, out: Path, *options: str) -> Timing:
    """Colour a folder; results are told as they come."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [RETINT, "colorize", source, "-o", out, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    times, cpu = [], []
    for line in process.stdout:
        if " -> " in line:
            times.append(time.perf_counter())
            cpu.append(cpu_seconds(process.pid))
    _, errors = process.communicate()
    if process.returncode:
        sys.exit(f"retint failed: {errors.strip().splitlines()[-1]}")
    # The first results of two workers come together: as many as there are workers are left out.
    first = int(options[options.index("--workers") + 1]) if "--workers" in options else 1
    count = len(times) - first
    return Timing(
        seconds=time.perf_counter() - start,
        rate=count / (times[-1] - times[first - 1]),
        cpu=(cpu[-1] - cpu[first - 1]) / count,
    )


def cpu_seconds(parent: int) -> float:
    """Of a process and those below it, so far; on Linux."""
    below, seconds = {parent}, 0.0
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with suppress(OSError):  # it has ended
            above, spent = cpu_of(int(folder.name))
            if above in below or int(folder.name) == parent:
                below.add(int(folder.name))
                seconds += spent
    return seconds


def cpu_of(process: int) -> tuple[int, float]:
    """The process above one, and seconds that it has computed itself."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()  # from the third
    return int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost_of_handing_out(folder: Path) -> float:
    """CPU time that the command itself spends on a photograph; empty ones cost workers nothing."""
    empty = folder / "empty"
    empty.mkdir()
    for number in range(EMPTY):
        (empty / f"{number:05d}.jpg").touch()
    process = subprocess.Popen(
        [RETINT, "colorize", empty, "-o", folder / "none", *RAY, "2"],
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert process.stderr is not None
    spent = [cpu_of(process.pid)[1] for line in process.stderr if "is empty" in line]
    process.wait()
    return (spent[-1] - spent[0]) / (EMPTY - 1)


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
            "one worker": (*RAY, "1"),
            "two workers": (*RAY, "2"),
            "one-machine command": (),
        }
        rounds = [
            {
                kind: time_command(source, folder / f"{kind}-{number}", *options)
                for kind, options in kinds.items()
            }
            for number in range(arguments.rounds)
        ]
        handing_out = cost_of_handing_out(folder)
    rates = {kind: median(timings[kind].rate for timings in rounds) for kind in kinds}
    rows = [
        [
            kind,
            f"{rates[kind]:.2f}",
            f"{rates[kind] / rates['one worker']:.2f}",
            f"{median(timings[kind].cpu for timings in rounds):.3f} s",
            f"{median(timings[kind].seconds for timings in rounds):.1f} s",
        ]
        for kind in kinds
    ]
    header = ("", "photographs a second", "of one worker's", "CPU time of each", "whole process")
    Console(width=None if sys.stdout.isatty() else 100).print(Table(header, rows).rich())
    print(
        f"{arguments.photographs} photographs of {MEGAPIXELS:g} megapixels, {os.cpu_count()} cores"
    )
    print(f"handing one out takes the command {handing_out * 1000:.2f} ms of CPU time")


if __name__ == "__main__":
    main()
