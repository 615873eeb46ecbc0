"""Time until `retint --help` and a photograph of one megapixel are done, against the least.

That is a Python process that imports NumPy, OpenCV and ONNX Runtime and runs the network once.

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

from child import RETINT, call_apart, run_child
from colorize import make_photograph
from retint.model import model_path
from retint.tables import Table

BASE = """
import sys
import cv2, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
shapes = {"lightness": (1, 1, 256, 384), "hints": (1, 3, 256, 384)}
session.run(["ab"], {name: numpy.zeros(shape, numpy.float32) for name, shape in shapes.items()})
"""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        photograph = Path(folder) / "photograph.jpg"
        call_apart(make_photograph, photograph, 1)
        commands: dict[str, list[str | Path]] = {
            "imports and one network pass": [sys.executable, "-c", BASE, model_path("default")],
            "retint --help": [RETINT, "--help"],
            "retint colorize, 1 megapixel": [RETINT, "colorize", photograph, "--overwrite"],
        }
        for command in commands.values():
            run_child(command)  # files into memory, byte code onto the disk
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(arguments.rounds):
            for name, command in commands.items():
                times[name].append(run_child(command).seconds)

    base = median(next(iter(times.values())))
    rows = []
    for name, seconds in times.items():
        middle = median(seconds)
        figures = (middle, min(seconds), max(seconds), middle / base)
        rows.append([name, *(f"{figure:.2f}" for figure in figures)])
    title = f"start-up, median of {arguments.rounds}"
    header = (title, "seconds", "fastest", "slowest", "ratio to the first")
    Console().print(Table(header, rows).rich())


if __name__ == "__main__":
    main()
