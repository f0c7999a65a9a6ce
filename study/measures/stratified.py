"""Numbers over several strata of seeds: interquartile mean, share beyond a threshold, bootstrap intervals.

Reference: Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", NeurIPS
2021, arXiv:2108.13264.
Differs from the reference: strata may have different numbers of seeds and still weigh what they are given, so
that the quarters of the interquartile mean may cut through a value.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from study.measures.array_types import Floats

DRAWS = 2000
"""Bootstrap draws behind an interval."""
DRAW = 0
"""Of the random numbers: the same strata always give the same interval."""
TIE = 1e-9
"""Values that are nearer to a threshold than this lie on it, since subtracting leaves a rest."""


@dataclass(frozen=True)
class Stratum:
    """The values of one setting's seeds.

    Attributes:
        weight: of all its values together, relative to the other strata's.
        drawn_with: strata for which this is equal have the same seeds, and are resampled together.
    """

    values_S: tuple[float, ...]
    weight: float
    drawn_with: Hashable


@dataclass(frozen=True)
class Interval:
    """A number with its bootstrap interval."""

    value: float
    low: float
    high: float


Statistic = Callable[[Floats, Floats], Floats]
"""Of values [D, N] and their weights [N], which sum to 1; a number per draw [D]."""


def interquartile_mean(value_DN: Floats, weight_N: Floats) -> Floats:
    """Mean of the middle half, by weight: with equal weights the 25 % trimmed mean."""
    order_DN = np.argsort(value_DN, axis=-1, kind="stable")
    sorted_DN, own_DN = np.take_along_axis(value_DN, order_DN, -1), weight_N[order_DN]
    upper_DN = np.cumsum(own_DN, axis=-1)
    inside_DN = np.clip(np.minimum(upper_DN, 0.75) - np.maximum(upper_DN - own_DN, 0.25), 0, None)
    return np.asarray((sorted_DN * inside_DN).sum(-1) / inside_DN.sum(-1))


def share_beyond(threshold: float, *, above: bool) -> Statistic:
    """The share of values on one side of a threshold, of which those on it count half.

    With differences of runs that are paired by seed, and a threshold of 0, it is the probability of
    improvement.

    Differs from the reference: there every run of one method meets every run of the other.
    """

    def share(value_DN: Floats, weight_N: Floats) -> Floats:
        lead_DN = (value_DN - threshold) * (1 if above else -1)
        return np.asarray((np.where(np.abs(lead_DN) <= TIE, 0.5, lead_DN > 0) * weight_N).sum(-1))

    return share


def over_strata(strata: Sequence[Stratum], statistic: Statistic, confidence: float) -> Interval:
    """A statistic of all values, with the percentile interval of a bootstrap over seeds within strata.

    With three seeds per stratum such an interval is too short, as any bootstrap of three values is.
    """
    total = sum(one.weight for one in strata)
    weight_N = np.concatenate(
        [np.full(len(one.values_S), one.weight / total / len(one.values_S)) for one in strata]
    )
    rng = np.random.default_rng(DRAW)
    picks: dict[Hashable, np.ndarray] = {}
    drawn = []
    for one in strata:
        n = len(one.values_S)
        # The seeds' number too: a variant that lacks a seed cannot be drawn with the others.
        if (one.drawn_with, n) not in picks:
            picks[one.drawn_with, n] = rng.integers(n, size=(DRAWS, n))
        drawn.append(np.asarray(one.values_S)[picks[one.drawn_with, n]])
    seen_1N = np.concatenate([one.values_S for one in strata])[None]
    tail = (1 - confidence) / 2
    low, high = np.quantile(statistic(np.concatenate(drawn, axis=1), weight_N), [tail, 1 - tail])
    return Interval(float(statistic(seen_1N, weight_N)[0]), float(low), float(high))
