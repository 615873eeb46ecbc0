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
TASKS = 2000


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
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": ""},
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
    below, ticks = {parent}, 0
    for stat in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: int(path.parts[2])):
        with suppress(OSError):  # it has ended
            fields = stat.read_text().rpartition(")")[2].split()  # from the third on
            pid = int(stat.parts[2])
            if pid == parent or int(fields[1]) in below:
                below.add(pid)
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def cost_of_handing_out() -> float:
    """CPU time that the command itself spends on a photograph."""
    from retint.colorizer import Colorizer
    from retint.plan import Job
    from retint.scale.cluster import Cluster

    folder = Path("/nowhere")  # a photograph that is not there costs workers next to nothing
    jobs = [Job(folder / f"{n}.jpg", (folder / f"{n}-color.jpg",)) for n in range(TASKS)]
    outcomes = Cluster(workers=2).colorize_jobs(
        jobs, Colorizer(), {}, strokes=None, recolor=False, overwrite=False, quality=95
    )
    times = [time.process_time() for _ in outcomes]
    return (times[-1] - times[0]) / (TASKS - 1)


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
    print(f"handing one out takes the command {cost_of_handing_out() * 1000:.2f} ms of CPU time")


if __name__ == "__main__":
    main()
