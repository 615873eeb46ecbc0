"""What colours and sizes a set of pictures has, in numbers and as one figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from retint import lab
from retint.errors import written
from retint.evaluation.metrics import ab_histogram, colorfulness
from retint.palette import ab_palette
from retint.pictures import Finding, Picture, is_colorless, look_at_all, none_usable, open_picture
from retint.tables import Table
from retint.whole import whole_file

_SIDE = 64  # pictures are looked at so small
_REACH = (-115, 115)  # of the squares of `ab_histogram`, in a and in b
_MOST_CHROMA = 135  # sRGB's blue has 133.8
_RARE = 1e-5  # of the pixels; colours below it teach nothing


@dataclass(frozen=True)
class _Look:
    """One picture: its size, and the ab histogram, chroma histogram and colourfulness of it."""

    size: tuple[int, int]
    ab: NDArray[np.float64]
    mean_ab: NDArray[np.float64]
    chroma: NDArray[np.float64]
    colorfulness: float


@dataclass(frozen=True)
class Statistics:
    """Figures of a set; every picture counts the same, whatever its size.

    Attributes:
        left_out: unreadable, grey and tiny pictures, and why.
        sides: (N,) shorter sides, pixels.
        mean_ab: mean a and b.
        ab: (23, 23) share of the pixels by a and b, in squares of 10.
        chroma: (135,) share of the pixels by chroma.
        colorfulness: (N,) M3 of Hasler and Suesstrunk.
    """

    left_out: list[str]
    sides: NDArray[np.int64]
    mean_ab: NDArray[np.float64]
    ab: NDArray[np.float64]
    chroma: NDArray[np.float64]
    colorfulness: NDArray[np.float64]

    def palette_share(self) -> float:
        """Share of the palette's colours that more than one in 100,000 pixels has."""
        a, b = ((ab_palette() + 115) // 10).astype(int).T
        return float((self.ab[a, b] > _RARE).mean())

    def table(self) -> Table:
        """The figures, one a row."""
        low, middle, high = np.quantile(self.sides, (0, 0.5, 1))
        dull, median, vivid = np.quantile(self.colorfulness, (0.1, 0.5, 0.9))
        rows = [
            ("photographs", f"{len(self.sides)}"),
            ("left out", f"{len(self.left_out)}"),
            ("shorter side, least, median, most", f"{low:.0f}, {middle:.0f}, {high:.0f} px"),
            ("mean a, b", f"{self.mean_ab[0]:.2f}, {self.mean_ab[1]:.2f}"),
            ("mean chroma", f"{float(self.chroma @ (np.arange(len(self.chroma)) + 0.5)):.1f}"),
            ("pixels of chroma below 10", f"{self.chroma[:10].sum():.0%}"),
            ("colourfulness, 10%, median, 90%", f"{dull:.0f}, {median:.0f}, {vivid:.0f}"),
            (f"of the palette's {len(ab_palette())} colours", f"{self.palette_share():.0%}"),
        ]
        return Table(("", "value"), rows)


def measure_pictures(
    pictures: Sequence[Picture], progress: Callable[[int], None] = lambda _: None
) -> Statistics:
    """Measure colours and sizes; `progress` is called with the number of pictures done.

    Raises:
        RetintError: if no picture can be used.
    """
    left_out: list[Finding] = []
    looks = [look for _, look in look_at_all(pictures, _look, left_out, progress)]
    if not looks:
        raise none_usable(left_out)
    return Statistics(
        [str(finding) for finding in left_out],
        np.array([min(look.size) for look in looks]),
        np.mean([look.mean_ab for look in looks], axis=0),
        np.mean([look.ab for look in looks], axis=0),
        np.mean([look.chroma for look in looks], axis=0),
        np.array([look.colorfulness for look in looks]),
    )


def _look(picture: Picture) -> _Look | str:
    image = open_picture(picture)
    if isinstance(image, str):
        return image
    pixels = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX))
    if is_colorless(pixels):
        return "grey"
    rgb = pixels / 255
    ab = lab.rgb_to_lab(rgb)[..., 1:].reshape(-1, 2)
    chroma, _ = np.histogram(
        np.hypot(ab[:, 0], ab[:, 1]), bins=_MOST_CHROMA, range=(0, _MOST_CHROMA)
    )
    count = len(ab)
    return _Look(
        image.size, ab_histogram(ab) / count, ab.mean(axis=0), chroma / count, colorfulness(rgb)
    )


def make_place(path: Path) -> None:
    """Make the folder of a figure, before long work for it.

    Raises:
        RetintError: if that fails.
    """
    with written(path):
        path.parent.mkdir(parents=True, exist_ok=True)


def draw_statistics(statistics: Statistics, path: Path) -> None:
    """Draw `figure_of` as one PNG, whole or not at all."""
    figure = figure_of(statistics)
    with written(path), whole_file(path) as beside:
        figure.savefig(beside, format="png", dpi=120)


def figure_of(statistics: Statistics) -> Figure:
    """Ab plane, chroma, colourfulness and sizes."""
    figure = Figure(figsize=(10, 8), layout="constrained")
    plane, chroma, colorful, sizes = figure.subplots(2, 2).flat
    with np.errstate(divide="ignore"):
        shown = plane.imshow(
            np.log10(statistics.ab), extent=(*_REACH, *_REACH), origin="lower", vmin=-6, vmax=0
        )
    figure.colorbar(shown, ax=plane, label="share of the pixels, log10")
    plane.plot(*statistics.mean_ab[::-1], "r+")
    plane.set(title="ab plane, and its mean", xlabel="b", ylabel="a")
    chroma.stairs(statistics.chroma, fill=True)
    chroma.set(title="Chroma", xlabel="chroma", ylabel="share of the pixels")
    colorful.hist(statistics.colorfulness, bins=40)
    measure = "as of Hasler and Suesstrunk: 0 grey, 45 average, 109 extreme"
    colorful.set(title="Colourfulness", xlabel=measure, ylabel="photographs")
    sizes.hist(statistics.sides, bins=40)
    sizes.set(title="Size", xlabel="shorter side, pixels", ylabel="photographs")
    return figure
