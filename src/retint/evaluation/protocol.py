"""Measure systems on the same photographs, baselines beside them, always in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from retint import __version__, lab
from retint.errors import RetintError
from retint.evaluation import metrics
from retint.evaluation.perceptual import (
    FEATURE_BACKBONE,
    INCEPTION_SIDE,
    InceptionFeatures,
    LiteFeatures,
    Lpips,
    ShiftTolerantLpips,
)
from retint.evaluation.systems import (
    FolderSystem,
    Grey,
    JudgedPicture,
    ModelSystem,
    Pixels,
    System,
    mean_color_beside,
)
from retint.pictures import Finding, Picture, decode, look_at_all

_RESAMPLES = 1000
COMPONENTS = 64  # of the lite features: their full covariance wants more pictures than sets have
_INCEPTION = 2048  # features
_TRUTH = "truth"


@dataclass(frozen=True)
class Metric:
    """A column of the table.

    Its figure over a set is `sum(values) / sum(weights)`, both columns of the figures of single
    pictures; without `weights` the mean of `values`.
    """

    key: str
    title: str
    values: str
    weights: str | None = None
    better: str = "lower"
    digits: int = 3


METRICS = (
    Metric("psnr", "PSNR dB", "psnr", better="higher", digits=2),
    Metric("ssim", "SSIM", "ssim", better="higher"),
    Metric("ciede2000", "CIEDE2000", "ciede2000", digits=2),
    Metric("colorfulness", "colour / truth", "colorfulness", "true_colorfulness", "near 1", 2),
    Metric("auc", "AuC", "auc", better="higher"),
    Metric("auc_rebalanced", "AuC rebal.", "balanced_hits", "balance", "higher"),
    Metric("st_lpips", "ST-LPIPS", "st_lpips"),
    Metric("lpips", "LPIPS", "lpips"),
)
"""Columns that are means over pictures; the Frechet distance is one over sets."""

RANKED_BY = "ciede2000"
"""Figure that says which pictures came out best and worst."""


@dataclass(frozen=True)
class Protocol:
    """Everything that has to be said for the figures to be repeated.

    `sees` is the short side of what each model's network sees, pixels.
    """

    photographs: str
    count: int
    left_out: int
    size: int
    seed: int | None
    mean_color: str
    frechet: str
    sees: dict[str, int]
    retint: str = __version__

    def line(self) -> str:
        """The protocol in one line."""
        seed = "none" if self.seed is None else self.seed
        sees = "".join(f"{name} sees {pixels} px; " for name, pixels in self.sees.items())
        return (
            f"{self.count} photographs of {self.photographs} ({self.left_out} left out), middle "
            f"square at {self.size} x {self.size} px, bicubic; means over pictures, 95% bootstrap "
            f"intervals in results.json and report.html; seed {seed}; {sees}mean colour of "
            f"{self.mean_color}; Frechet distance over {self.frechet}; retint {self.retint}"
        )


@dataclass(frozen=True)
class Interval:
    """A figure and its 95% bootstrap interval over pictures."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        protocol: how.
        pictures: the photographs that were used.
        systems: what was measured, the baselines first.
        figures: by system, then by column, (N,) figures of the single pictures.
        summary: by system, then by key of a metric: the figure of the set.
        frechet: by system.
        left_out: photographs that could not be used, and why.
    """

    protocol: Protocol
    pictures: list[Picture]
    systems: list[System]
    figures: dict[str, dict[str, NDArray[np.float64]]]
    summary: dict[str, dict[str, Interval]]
    frechet: dict[str, float]
    left_out: list[str]


class _Judges:
    """The networks of the perceptual figures."""

    def __init__(self, lpips: Path | None, inception: Path | None) -> None:
        self.distances: dict[str, Callable[[Pixels, Pixels], float]] = {
            "st_lpips": ShiftTolerantLpips()
        }
        if lpips is not None:
            self.distances["lpips"] = Lpips(lpips)
        self.features: Callable[[Pixels], NDArray[np.float32]]
        if inception is not None:
            self.features = InceptionFeatures(inception)
            self._frechet = (
                f"Inception V3 features ({inception.name}), {_INCEPTION}, of the squares resized "
                f"to {INCEPTION_SIDE} x {INCEPTION_SIDE} px"
            )
        else:
            self.features = LiteFeatures()
            self._frechet = (
                f"{FEATURE_BACKBONE} features, {COMPONENTS} main components of them, of the "
                "squares as they are"
            )
        self._components = 0 if inception is not None else COMPONENTS

    def frechet(self, count: int) -> str:
        """Which distance it is that is measured over so many photographs."""
        few = count <= (self._components or _INCEPTION)  # their covariance has not its full rank
        return self._frechet + " (a rough figure, of so few photographs)" * few

    def frechet_distances(self, features: dict[str, NDArray[Any]]) -> dict[str, float]:
        """Distance of each set of features (N, D) from the truth's."""
        if self._components:
            axes = metrics.principal_components(features[_TRUTH], self._components)
            features = {name: values @ axes for name, values in features.items()}
        return {
            name: metrics.feature_distance(values, features[_TRUTH])
            for name, values in features.items()
            if name != _TRUTH
        }


def evaluate(
    source: Path,
    pictures: Sequence[Picture],
    systems: Sequence[System],
    *,
    size: int = 256,
    seed: int | None = None,
    lpips: Path | None = None,
    inception: Path | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Measure systems on colour photographs.

    Args:
        source: what `pictures` were found in.
        pictures: the photographs; unreadable, tiny and grey ones are left out.
        systems: what is measured beside the baselines.
        size: side of the squares that are judged, pixels.
        seed: that of the systems; for the protocol.
        lpips: torchvision's AlexNet weights for LPIPS, which is left out without them.
        inception: weights of FID's Inception; EfficientNet-lite0 takes its place without them.
        progress: called with the number of photographs done.

    Raises:
        RetintError: if no photograph can be used, a system cannot colour one, or two have a name.
    """
    mean_color = mean_color_beside(systems)
    systems = [Grey(), mean_color, *systems]
    _check_names(systems)
    judges = _Judges(lpips, inception)
    used, left_out, histogram = _scan(pictures, systems, size)
    if len(used) < 2:
        raise RetintError(
            f"{source} has {len(used)} usable colour photographs, and 2 are needed: give more"
            + (f" ({left_out[0]})" if left_out else "")
        )

    def judge(picture: Picture) -> dict[str, tuple[dict[str, float], NDArray[np.float32]]]:
        test = reload_picture(picture, size)
        rows = {}
        for system in systems:
            result = system.color(test)
            figures = figures_of(result, test.truth, histogram)
            figures |= {key: far(result, test.truth) for key, far in judges.distances.items()}
            rows[system.name] = (figures, judges.features(result))
        rows[_TRUTH] = ({}, judges.features(test.truth))
        return rows

    judged = []
    with _one_torch_thread(), ThreadPoolExecutor() as pool:
        for done, rows in enumerate(pool.map(judge, used), start=1):
            judged.append(rows)
            progress(done)

    features = {name: np.stack([rows[name][1] for rows in judged]) for name in judged[0]}
    figures = {
        system.name: {
            column: np.array([rows[system.name][0][column] for rows in judged])
            for column in judged[0][system.name][0]
        }
        for system in systems
    }
    protocol = Protocol(
        str(source),
        len(used),
        len(left_out),
        size,
        seed,
        mean_color.source,
        judges.frechet(len(used)),
        {system.name: system.sees for system in systems if isinstance(system, ModelSystem)},
    )
    return Evaluation(
        protocol,
        used,
        systems,
        figures,
        {name: summarize(columns) for name, columns in figures.items()},
        judges.frechet_distances(features),
        left_out,
    )


def _check_names(systems: Sequence[System]) -> None:
    names = [*(system.name for system in systems), _TRUTH]
    for name in names:
        if names.count(name) > 1:
            raise RetintError(
                f"two rows of the table are called '{name}': rename the folder or file"
            )


def _scan(
    pictures: Sequence[Picture], systems: Sequence[System], size: int
) -> tuple[list[Picture], list[str], NDArray[np.int64]]:
    """Find the usable pictures, those left out and why, and the `ab_histogram` of all truths.

    Raises:
        RetintError: if one has no colouring in a folder of them: the measuring takes long.
    """
    folders = [system for system in systems if isinstance(system, FolderSystem)]

    def histogram_of(picture: Picture) -> NDArray[np.int64] | str:
        test = load_picture(picture, size)
        if isinstance(test, str):
            return test
        for folder in folders:
            folder.check(test)
        return metrics.ab_histogram(lab_of(test.truth)[..., 1:])

    left_out: list[Finding] = []
    found = list(look_at_all(pictures, histogram_of, left_out))
    used = [picture for picture, _ in found]
    histogram = np.sum([histogram for _, histogram in found], axis=0)
    return used, [str(finding) for finding in left_out], histogram


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Let pictures run in parallel instead of the parts of one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def load_picture(picture: Picture, size: int) -> JudgedPicture | str:
    """Cut a photograph for a test, or say why it is of no use."""
    pixels = decode(picture, lambda image: image)
    if isinstance(pixels, str):
        return pixels
    path = PurePosixPath(picture.name)
    if not picture.in_archive and len(path.parts) > 1:
        path = path.relative_to(path.parts[0])
    is_own = isinstance(picture.file, Path) and not picture.in_archive  # a file here, all of it
    file = picture.file if is_own else None
    return JudgedPicture.cut(path.with_suffix("").as_posix(), pixels, size, file)


def reload_picture(picture: Picture, size: int) -> JudgedPicture:
    """Load a picture that was usable before.

    Raises:
        RetintError: if it no longer is.
    """
    test = load_picture(picture, size)
    if isinstance(test, str):
        raise RetintError(f"{picture.name} changed while it was in use: {test}")
    return test


def figures_of(result: Pixels, truth: Pixels, histogram: NDArray[np.int64]) -> dict[str, float]:
    """Figures of one colouring, (S, S, 3); `histogram` is the `ab_histogram` of all truths."""
    shown, true = result.astype(np.float64) / 255, truth.astype(np.float64) / 255
    lab_shown, lab_true = lab.rgb_to_lab(shown), lab.rgb_to_lab(true)
    ab, true_ab = lab_shown[..., 1:], lab_true[..., 1:]
    weights = metrics.rebalancing_weights(true_ab, histogram)
    balance = float(weights.mean())
    return {
        "psnr": metrics.psnr(shown, true),
        "ssim": metrics.ssim(shown, true),
        "ciede2000": float(metrics.ciede2000(lab_shown, lab_true).mean()),
        "colorfulness": metrics.colorfulness(shown),
        "true_colorfulness": metrics.colorfulness(true),
        "auc": metrics.ab_accuracy_auc(ab, true_ab),
        "balanced_hits": balance * metrics.ab_accuracy_auc(ab, true_ab, weights),
        "balance": balance,
    }


def summarize(columns: dict[str, NDArray[np.float64]]) -> dict[str, Interval]:
    """Figures of a set and their bootstrap intervals, by metric."""
    summary = {}
    for metric in METRICS:
        if metric.values not in columns:
            continue
        values = columns[metric.values]
        weights = columns[metric.weights] if metric.weights else np.ones(len(values))
        low, high = metrics.bootstrap(values, weights, _RESAMPLES)
        summary[metric.key] = Interval(float(values.sum() / weights.sum()), low, high)
    return summary


def lab_of(picture: Pixels) -> NDArray[np.float64]:
    """CIE Lab of sRGB bytes, (S, S, 3)."""
    return lab.rgb_to_lab(picture.astype(np.float64) / 255)
