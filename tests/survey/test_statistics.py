"""The figures of the human test against published ones, and against simulation."""

import numpy as np
import pytest

from retint.survey.statistics import cluster_bootstrap, power, wilson


@pytest.mark.parametrize(
    ("fooled", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_tabulated(fooled, trials, low, high):
    """Newcombe 1998, Statistics in Medicine 17, 857, table I, method 3."""
    interval = wilson(fooled, trials)
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


def raters(chance, count):
    """Raters who differ: each is fooled with a probability of their own, 0.3 on average."""
    rates = chance.beta(6, 14, count)
    return chance.binomial(40, rates), np.full(count, 40)


def test_the_bootstrap_covers_what_wilson_misses_when_raters_differ():
    chance = np.random.default_rng(5)
    covered = {"wilson": 0, "bootstrap": 0}
    for _ in range(150):
        fooled, trials = raters(chance, 40)
        by_wilson = wilson(int(fooled.sum()), int(trials.sum()))
        by_raters = cluster_bootstrap(fooled, trials)
        covered["wilson"] += by_wilson.low < 0.3 < by_wilson.high
        covered["bootstrap"] += by_raters.low < 0.3 < by_raters.high
    assert covered["bootstrap"] >= 0.9 * 150
    assert covered["wilson"] < 0.85 * 150


def test_as_many_raters_as_asked_for_give_the_interval_asked_for():
    chance = np.random.default_rng(6)
    asked = power(*raters(chance, 2000), half_width=0.03)
    assert asked.design_effect > 2
    means = [raters(chance, asked.raters)[0].mean() / 40 for _ in range(2000)]
    assert np.mean(np.abs(np.array(means) - 0.3) < 0.03) == pytest.approx(0.95, abs=0.02)


def test_who_is_never_fooled_still_needs_some_raters():
    assert power(np.zeros(5, int), np.full(5, 40)).raters >= 1
