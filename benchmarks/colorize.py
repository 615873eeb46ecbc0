"""Time and memory of `retint colorize`, JPEG to JPEG, at 1, 12 and 48 megapixels.

    python benchmarks/colorize.py [--megapixels MP ...] [--rounds N]

The photographs are a sample enlarged, with grain, so that the files are as large as real ones. Each
is also decoded and encoded alone by Pillow, with the same settings as retint's. Both are commands
of their own, start-up included, and take turns; the figure to trust is the ratio.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from child import RETINT, Cost, run_child

SAMPLE = Path(__file__).parent.parent / "samples" / "coffee.jpg"
ASPECT = 3 / 2
GRAIN = 5.0  # standard deviation, grey levels
STAGES = ("decode", "network", "merge", "encode")

DECODE_AND_ENCODE = """
import sys
from PIL import Image
Image.MAX_IMAGE_PIXELS = None
image = Image.open(sys.argv[1]).convert("RGB")
image.save(sys.argv[2], quality=95, subsampling="4:4:4")
"""


def make_photograph(path: Path, megapixels: float) -> None:
    """Write the sample, enlarged and with grain, as a grey JPEG."""
    import numpy as np
    from PIL import Image

    height = round((megapixels * 1e6 / ASPECT) ** 0.5)
    with Image.open(SAMPLE) as sample:
        large = sample.resize((round(height * ASPECT), height), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(0).normal(0, GRAIN, (large.height, large.width))
    grey = np.clip(np.asarray(large) + grain, 0, 255).astype(np.uint8)
    Image.fromarray(grey).save(path, quality=95)


def print_stages(source: Path, target: Path) -> None:
    """Run the command in this process; print the seconds of each of `STAGES` on a line."""
    from retint import batch, cli, colorizer, model

    seconds = dict.fromkeys(STAGES, 0.0)

    def timed(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                seconds[stage] += time.perf_counter() - start

        return call

    for stage, owner, name in (
        ("decode", batch, "read_photo"),
        ("network", model.Model, "predict"),
        ("merge", colorizer, "fit_coloring"),
        ("merge", colorizer, "merge"),
        ("encode", batch, "write_photo"),
    ):
        setattr(owner, name, timed(stage, getattr(owner, name)))
    cli.app(["colorize", str(source), "-o", str(target), "--overwrite"], standalone_mode=False)
    (target.parent / "stages").write_text(" ".join(str(seconds[stage]) for stage in STAGES))


def measure(photograph: Path, rounds: int) -> tuple[list[Cost], list[Cost], list[float]]:
    """Costs of decoding and encoding and of retint, and the stages' shares of retint's time."""
    folder = photograph.parent
    target = folder / "out.jpg"
    plain: list[str | Path] = [sys.executable, "-c", DECODE_AND_ENCODE, photograph, target]
    retint: list[str | Path] = [RETINT, "colorize", photograph, "-o", target, "--overwrite"]
    alone, ours = [], []
    for _ in range(rounds):
        alone.append(run_child(plain))
        ours.append(run_child(retint))
    staged = run_child([sys.executable, __file__, "--stages", photograph, target])
    seconds = map(float, (folder / "stages").read_text().split())
    return alone, ours, [share / staged.seconds for share in seconds]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 12, 48])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stages", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stages:
        print_stages(*arguments.stages)
        return

    table = Table(title="retint colorize, JPEG to JPEG (medians)")
    columns = ("megapixels", "file, MB", "decode + encode, s", "retint, s", "ratio")
    memory = ("peak, MiB", "of decode + encode")
    for column in (*columns, *memory, *STAGES, "start-up, rest"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        for megapixels in arguments.megapixels:
            photograph = Path(folder) / "photograph.jpg"
            # In a process of its own: see run_child.
            make = multiprocessing.get_context("spawn").Process(
                target=make_photograph, args=(photograph, megapixels)
            )
            make.start()
            make.join()
            alone, ours, shares = measure(photograph, arguments.rounds)
            plain, full = (median(cost.seconds for cost in costs) for costs in (alone, ours))
            table.add_row(
                f"{megapixels:g}",
                f"{photograph.stat().st_size / 1e6:.1f}",
                f"{plain:.2f}",
                f"{full:.2f}",
                f"{full / plain:.2f}",
                *(f"{max(cost.memory for cost in costs):.0f}" for costs in (ours, alone)),
                *(f"{share:.0%}" for share in (*shares, 1 - sum(shares))),
            )
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
