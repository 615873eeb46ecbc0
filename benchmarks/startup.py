"""Time until `retint --help` and one small photograph are done, against importing what it needs.

    python benchmarks/startup.py [--rounds N]

The commands take turns on a machine that may be busy with other things: trust the ratio.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from child import RETINT, run_child

SAMPLE = Path(__file__).parent.parent / "samples" / "cat.jpg"
BASE = "import numpy, cv2, onnxruntime"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        photograph: list[str | Path] = [RETINT, "colorize", SAMPLE, "-o", folder, "--overwrite"]
        commands: dict[str, list[str | Path]] = {
            f'python -c "{BASE}"': [sys.executable, "-c", BASE],
            "retint --help": [RETINT, "--help"],
            f"retint colorize {SAMPLE.name}": photograph,
        }
        for command in commands.values():
            run_child(command)  # files into memory, byte code onto the disk
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(arguments.rounds):
            for name, command in commands.items():
                times[name].append(run_child(command).seconds)

    base = median(next(iter(times.values())))
    table = Table("command", title=f"start-up, median of {arguments.rounds}")
    for column in ("seconds", "fastest", "slowest", "ratio to the first"):
        table.add_column(column, justify="right")
    for name, seconds in times.items():
        middle = median(seconds)
        row = (middle, min(seconds), max(seconds), middle / base)
        table.add_row(name, *(f"{number:.2f}" for number in row))
    Console().print(table)


if __name__ == "__main__":
    main()
