"""What colouring costs beyond what it cannot do without, on photographs of archives' sizes.

    python benchmarks/colorize.py [--rounds N] [--only NAME ...]

Each row compares retint with something else in the same run, taking turns; the machine may be busy
with other things, so trust the ratio. The photographs are a sample enlarged, with grain, so that
the files are as large as real ones.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from child import RETINT, call_apart, run_child
from retint.tables import Table

SAMPLE = Path(__file__).parent.parent / "samples" / "coffee.jpg"
ASPECT = 3 / 2
GRAIN = 5.0  # standard deviation, grey levels
BATCH, BATCH_MEGAPIXELS = 40, 2.0
Row = tuple[str, str, str, str, str, str]

READ_AND_WRITE = """
import sys, tifffile
pixels = tifffile.imread(sys.argv[1])
tifffile.imwrite(sys.argv[2], pixels[:, :, None].repeat(3, axis=2), photometric="rgb",
                 compression="lzw", predictor=True)
"""


def make_photograph(path: Path, megapixels: float, deep: bool = False) -> None:
    """Write the sample, enlarged and with grain: a grey JPEG, or a 16-bit TIFF."""
    import cv2
    import numpy as np

    height = round((megapixels * 1e6 / ASPECT) ** 0.5)
    size = (round(height * ASPECT), height)
    sample = cv2.imread(str(SAMPLE), cv2.IMREAD_GRAYSCALE)
    large = cv2.resize(np.asarray(sample), size, interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(0).standard_normal(large.shape, np.float32) * GRAIN
    grey = np.clip(large + grain, 0, 255)
    if deep:
        import tifffile

        pixels = (grey * 257).astype(np.uint16)
        tifffile.imwrite(path, pixels, compression="lzw", predictor=True)
    else:
        cv2.imwrite(str(path), grey.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 95])


def seconds_of(work: Callable[[], Any]) -> float:
    """Time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def one_file(folder: Path, rounds: int) -> list[Row]:
    """12 megapixels in a warm process, against its unavoidable stages and the plain way."""
    import numpy as np

    from retint import Colorizer
    from retint.merge import fit_coloring, merge, seen_lightness
    from retint.photo import encode_photo, read_photo

    path = folder / "photograph.jpg"
    make_photograph(path, 12)
    data = path.read_bytes()
    colorizer = Colorizer(provenance=False)
    model = colorizer.model
    photo = read_photo(data)
    small = seen_lightness(photo.pixels, *model.input_size(*photo.pixels.shape[:2]))
    ab = model.predict(small)
    colored = colorizer.colorize_photo(photo)
    stages: dict[str, Callable[[], Any]] = {
        "decode": lambda: read_photo(data),
        "network": lambda: model.predict(small),
        "encode": lambda: encode_photo(colored),
    }
    others: dict[str, Callable[[], Any]] = {
        "fit": lambda: fit_coloring(small, ab),
        "merge": lambda: merge(photo.pixels, fit_coloring(small, ab)),
    }

    def plain() -> None:
        """As tutorials do it: scikit-image's Lab, a squashed picture, a smooth enlargement."""
        import io

        from PIL import Image
        from skimage.color import lab2rgb, rgb2lab
        from skimage.transform import resize

        lab = rgb2lab(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
        lightness = resize(lab[:, :, 0], (256, 256)).astype(np.float32)
        lab[:, :, 1:] = resize(model.predict(lightness), lab.shape[:2])
        pixels = (lab2rgb(lab) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(io.BytesIO(), "JPEG", quality=95, subsampling=0)

    times: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        turn = {name: seconds_of(work) for name, work in (stages | others).items()}
        turn["all"] = seconds_of(lambda: encode_photo(colorizer.colorize_photo(read_photo(data))))
        turn["plain"] = seconds_of(plain)
        for name, spent in turn.items() if number else ():  # the first round warms up
            times.setdefault(name, []).append(spent)
    middle = {name: median(spent) for name, spent in times.items()}
    base = sum(middle[name] for name in stages)
    whole = middle["all"]
    shares = ", ".join(f"{name} {middle[name]:.2f} s" for name in (*stages, *others))
    return [
        row("12 megapixels, JPEG", whole, "decode + network + encode", base, "at most 2.0"),
        row("", whole, "scikit-image and Pillow", middle["plain"], "at most 0.1"),
        ("", "", f"stages: {shares}", "", "", ""),
    ]


def many_files(folder: Path, rounds: int) -> list[Row]:
    """A folder, against the slowest of its stages alone."""
    from retint import Colorizer
    from retint.batch import Manner, colorize_tasks
    from retint.photo import read_photo, write_photo
    from retint.plan import plan_tasks

    source = folder / "many"
    source.mkdir()
    make_photograph(source / "00.jpg", BATCH_MEGAPIXELS)
    for number in range(1, BATCH):
        (source / f"{number:02d}.jpg").write_bytes((source / "00.jpg").read_bytes())
    colorizer = Colorizer()
    tasks = plan_tasks([source], folder / "out").tasks
    anew = Manner(overwrite=True)
    photo = read_photo(tasks[0].source)
    colored = colorizer.colorize_photo(photo)

    def in_threads(work: Callable[[Any], Any]) -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(work, tasks))

    stages: dict[str, Callable[[], Any]] = {
        "decoding": lambda: in_threads(lambda task: read_photo(task.source)),
        "colouring": lambda: [colorizer.colorize_photo(photo) for _ in tasks],
        "encoding": lambda: in_threads(
            lambda task: write_photo(colored, task.targets[0], overwrite=True)
        ),
    }
    alone: dict[str, list[float]] = {name: [] for name in stages}
    together = []
    for _ in range(rounds):
        for name, work in stages.items():
            alone[name].append(seconds_of(work))
        together.append(seconds_of(lambda: list(colorize_tasks(tasks, colorizer, anew))))
    middle = {name: median(spent) for name, spent in alone.items()}
    slowest = max(middle, key=lambda name: middle[name])
    shares = ", ".join(f"{name} {spent:.1f} s" for name, spent in middle.items())
    return [
        row(
            f"{BATCH} of {BATCH_MEGAPIXELS:g} megapixels",
            *(median(together), f"{slowest} alone", middle[slowest], "at most 1.1"),
        ),
        ("", "", f"stages: {shares}", "", "", ""),
    ]


def large_scan(folder: Path, rounds: int) -> list[Row]:
    """100 megapixels with 16 bits, the whole process, against reading and writing."""
    scan, target = folder / "scan.tif", folder / "out.tif"
    call_apart(make_photograph, scan, 100, True)
    plain, ours = [], []
    for _ in range(rounds):
        plain.append(run_child([sys.executable, "-c", READ_AND_WRITE, scan, target]))
        ours.append(run_child([RETINT, "colorize", scan, "-o", target, "--overwrite"]))
    memory = max(cost.memory for cost in ours)
    seconds = (median(cost.seconds for cost in costs) for costs in (ours, plain))
    whole, base = seconds
    return [
        row("100 megapixels, 16-bit TIFF", whole, "reading + writing", base, "at most 2.5"),
        ("", f"{memory:.0f} MiB", "", "", "", "at most 1240 MiB"),
    ]


def row(what: str, ours: float, other: str, base: float, wanted: str) -> Row:
    """A row of the table."""
    return what, f"{ours:.2f} s", other, f"{base:.2f} s", f"{ours / base:.2f}", wanted


BENCHMARKS: dict[str, Callable[[Path, int], Sequence[Row]]] = {
    "scan": large_scan,  # first: later ones make this process, and so its children, larger
    "one": one_file,
    "many": many_files,
}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS))
    arguments = parser.parse_args()
    rows: list[Row] = []
    for name in BENCHMARKS:
        if name in arguments.only:
            with tempfile.TemporaryDirectory() as folder:
                rows += BENCHMARKS[name](Path(folder), arguments.rounds)
    header = ("photographs", "retint", "compared with", "it takes", "ratio", "wanted")
    Console(width=140).print(Table(header, rows).rich())


if __name__ == "__main__":
    main()
