"""Aggregates over strata, against the formulas of rliable's paper and by enumeration."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import trim_mean

from study.measures.stratified import (
    Interval,
    Stratum,
    interquartile_mean,
    over_strata,
    share_beyond,
)


def strata(*values: tuple[float, ...]) -> list[Stratum]:
    """Strata of equal weight, drawn apart."""
    return [Stratum(one, 1.0, k) for k, one in enumerate(values)]


@pytest.mark.parametrize("n", [4, 12, 40])
def test_the_interquartile_mean_is_the_trimmed_mean(n: int) -> None:
    """With values of equal weight whose number is divisible by four."""
    values = np.random.default_rng(n).normal(size=(3, n))
    found = interquartile_mean(values, np.full(n, 1 / n))
    assert found == pytest.approx(trim_mean(values, 0.25, axis=1))


@pytest.mark.parametrize("sizes", [(3, 5), (3, 3), (1, 2, 7), (5,)])
def test_strata_weigh_the_same_whatever_their_seeds(sizes: tuple[int, ...]) -> None:
    """As if each seed were repeated until all strata had the same number of seeds, divisible by four."""
    rng = np.random.default_rng(sum(sizes))
    values = [rng.normal(size=n) for n in sizes]
    each = 4 * np.lcm.reduce(sizes)
    repeated = np.concatenate([np.repeat(one, each // len(one)) for one in values])
    found = over_strata(strata(*(tuple(one.tolist()) for one in values)), interquartile_mean, 0.95)
    assert found.value == pytest.approx(trim_mean(repeated, 0.25))


def test_probability_of_improvement() -> None:
    """The paper's sum over tasks and runs, with ties counted half and runs paired by seed."""
    mine = [[0.9, 0.8, 0.7], [0.5, 0.5]]
    theirs = [[0.8, 0.8, 0.9], [0.4, 0.1]]
    by_hand = 0.0
    for x, y in zip(mine, theirs, strict=True):
        by_hand += (
            sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in zip(x, y, strict=True)) / len(x) / 2
        )
    differences = [tuple(a - b for a, b in zip(x, y, strict=True)) for x, y in zip(mine, theirs, strict=True)]
    found = over_strata(strata(*differences), share_beyond(0.0, above=True), 0.95)
    assert found.value == pytest.approx(by_hand) == 0.75
    assert over_strata(strata(*differences), share_beyond(0.0, above=False), 0.95).value == pytest.approx(
        0.25
    )


def test_the_interval_is_that_of_all_resamples() -> None:
    """The quartiles of the drawn means lie where those of all 27 x 27 resamples lie."""
    values = ((0.0, 1.0, 5.0), (2.0, 3.0, 9.0))
    every = [
        trim_mean(np.repeat([*first, *second], 4), 0.25)
        for first in product(values[0], repeat=3)
        for second in product(values[1], repeat=3)
    ]
    found = over_strata(strata(*values), interquartile_mean, 0.5)
    for end, tail in ((found.low, 0.25), (found.high, 0.75)):
        assert np.quantile(every, tail - 0.04) <= end <= np.quantile(every, tail + 0.04)


def test_the_same_bits_each_time() -> None:
    """Nothing is drawn from a clock."""
    one = strata((1.0, 2.0, 3.5), (0.1, 0.7, 0.3))
    assert over_strata(one, interquartile_mean, 0.95) == over_strata(one, interquartile_mean, 0.95)


def test_variants_of_a_study_are_resampled_together() -> None:
    """Their seeds are the same runs of the baseline: a difference between two equal ones never varies."""

    def apart(value_DN: np.ndarray, weight_N: np.ndarray) -> np.ndarray:
        return np.asarray(value_DN[:, :3].mean(1) - value_DN[:, 3:].mean(1))

    values = (1.0, 2.0, 4.0)
    together = [Stratum(values, 1.0, "study"), Stratum(values, 1.0, "study")]
    assert over_strata(together, apart, 0.95) == Interval(0.0, 0.0, 0.0)
    assert over_strata(strata(values, values), apart, 0.95).high > 0
