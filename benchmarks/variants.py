"""How much a model's colourings differ by seed, and how much colour hints help.

    python benchmarks/variants.py PHOTOS [--model NAME|FILE] [--limit N]

Seeds: the mean CIEDE2000 between two of three colourings of one photograph, beside each one's
distance to the truth: variety is worth something only where it stays plausible. Hints: the true
colour is shown at random points, as in Zhang et al. 2017 (figure 6), and PSNR is taken against
their number. Photographs are judged as `retint evaluate` does, at 256 x 256.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from retint import Colorizer, Hint
from retint.evaluation.metrics import ciede2000, colorfulness, psnr
from retint.evaluation.protocol import lab_of, load_picture
from retint.evaluation.systems import JudgedPicture
from retint.pictures import find_pictures, spread
from retint.tables import Table

SEEDS = (1, 2, 3)
POINTS = (0, 1, 2, 5, 10, 50)
SIZE = 256
LIMIT = 108  # photographs: so many are in the tables of docs/models.md


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--limit", type=int, default=LIMIT, help="photographs, spread over all")
    arguments = parser.parse_args()

    chosen = spread(find_pictures(arguments.photos), arguments.limit)
    colorizer = Colorizer(arguments.model)
    loaded = (load_picture(picture, SIZE) for picture in chosen)
    tests = [test for test in loaded if not isinstance(test, str)]
    variety = np.mean([by_seed(colorizer, test) for test in track(tests, "seeds")], axis=0)
    random = np.random.default_rng(0)
    guided = np.mean([by_hints(colorizer, test, random) for test in track(tests, "hints")], axis=0)

    console = Console(width=120)
    console.print(f"{arguments.model}, {len(tests)} photographs of {arguments.photos}")
    cells = [f"{value:.2f}" for value in variety]
    header = ("", "between two", "to the truth", "colour / truth")
    rows = [
        ["no seed", "0.00", cells[2], cells[4]],
        [f"seeds {', '.join(map(str, SEEDS))}", cells[0], cells[1], cells[3]],
    ]
    console.print("CIEDE2000", Table(header, rows).rich())
    points = ("points shown", *map(str, POINTS))
    console.print(Table(points, [("PSNR dB", *(f"{value:.2f}" for value in guided))]).rich())


def by_seed(colorizer: Colorizer, test: JudgedPicture) -> tuple[float, ...]:
    """Distances between seeds, of seeds to the truth, without seed to the truth; colourfulness."""
    truth = lab_of(test.truth)
    pixels = [colorizer(test.grey, seed=seed) for seed in SEEDS]
    results = [lab_of(result) for result in pixels]
    automatic = colorizer(test.grey)
    true_color = colorfulness(test.truth / 255)
    return (
        float(np.mean([ciede2000(one, other).mean() for one, other in combinations(results, 2)])),
        float(np.mean([ciede2000(result, truth).mean() for result in results])),
        float(ciede2000(lab_of(automatic), truth).mean()),
        float(np.mean([colorfulness(result / 255) for result in pixels])) / true_color,
        colorfulness(automatic / 255) / true_color,
    )


def by_hints(colorizer: Colorizer, test: JudgedPicture, random: np.random.Generator) -> list[float]:
    """PSNR with so many points shown, dB."""
    places = [(int(x), int(y)) for x, y in random.integers(SIZE, size=(max(POINTS), 2))]
    hints = [
        Hint(x, y, (int(test.truth[y, x, 0]), int(test.truth[y, x, 1]), int(test.truth[y, x, 2])))
        for x, y in places
    ]
    truth = test.truth / 255
    return [psnr(colorizer(test.grey, hints=hints[:count]) / 255, truth) for count in POINTS]


if __name__ == "__main__":
    main()
