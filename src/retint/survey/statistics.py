"""Rates of raters' answers, how sure they are, and how many raters would make them surer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retint.evaluation.metrics import bootstrap

Counts = NDArray[np.int64]

_Z = 1.959963984540054  # 97.5% of a normal distribution lie below
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """Between which values a rate lies, at 95%."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.1%} to {self.high:.1%}"


def wilson(fooled: int, trials: int) -> Interval:
    """Score interval of a share of independent trials (Wilson 1927, J. Am. Stat. Assoc. 22, 209).

    >>> str(wilson(0, 10)), str(wilson(5, 10))
    ('0.0% to 27.8%', '23.7% to 76.3%')
    """
    share = fooled / trials
    scale = 1 + _Z**2 / trials
    centre = (share + _Z**2 / (2 * trials)) / scale
    spread = _Z / scale * math.sqrt(share * (1 - share) / trials + _Z**2 / (4 * trials**2))
    return Interval(max(0.0, centre - spread), min(1.0, centre + spread))


def cluster_bootstrap(fooled: Counts, trials: Counts) -> Interval:
    """Interval of the share over all, from whole raters drawn anew.

    A rater's answers hang together, so raters are drawn, not answers.

    Args:
        fooled: (R,) answers of each rater that were wrong.
        trials: (R,) answers of each.

    >>> str(cluster_bootstrap(np.array([0, 10]), np.array([10, 10])))
    '0.0% to 100.0%'
    """
    return Interval(*bootstrap(fooled, trials, _RESAMPLES))


@dataclass(frozen=True)
class Power:
    """How many raters make the interval narrow enough.

    Attributes:
        raters: wanted, those there are included.
        half_width: of the interval then.
        design_effect: how much more a rate varies between raters than if all were alike.
    """

    raters: int
    half_width: float
    design_effect: float


def power(fooled: Counts, trials: Counts, half_width: float = 0.03) -> Power:
    """Raters for an interval of the rate +- `half_width`, from how much raters differ so far.

    Raters' rates vary by chance, p (1 - p) / m for m trials each, and because people differ. The
    design effect (Kish 1965) is their variance over that of chance alone, 1 at least. p is the
    centre of Wilson's interval, which a rate of 0 does not make 0.

    >>> power(np.array([20, 20]), np.array([40, 40])).raters
    27
    """
    per_rater = float(trials.mean())
    interval = wilson(int(fooled.sum()), int(trials.sum()))
    share = (interval.low + interval.high) / 2
    chance = share * (1 - share) / per_rater
    rates = fooled / trials
    variance = float(rates.var(ddof=1)) if len(rates) > 1 else 0.0
    effect = max(1.0, variance / chance)
    return Power(math.ceil((_Z / half_width) ** 2 * chance * effect), half_width, effect)
