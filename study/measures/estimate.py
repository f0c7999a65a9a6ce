"""Numbers with intervals over seeds, and how they are subtracted, divided and worded."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import ndtri, stdtrit

from study.measures.grid_error import EXACT, GridError
from study.measures.prior import NO_PRIOR, Prior, prior_of


@dataclass(frozen=True)
class Missing:
    """Why there is no estimate, in words."""

    reason: str


INFLATION = 2.0
"""How many times its error an interval may have where the prior of its spread is wrong."""
ROUNDING = 1e-13
"""A mean that is smaller than its largest value by this factor is zero."""


@dataclass(frozen=True)
class Estimate:
    """A measure computed once per seed, on landscapes paired by seed.

    The interval is Student's over seeds, widened by what seeds cannot show. An edge is known only to lie
    between two cells of the grid, so the measure carries an error that is the same for every seed
    (`study.measures.grid_error` says how large).

        mean ± sqrt( max(t · s / sqrt(S), z · o)² + q² )

    Here s is the standard deviation over seeds, and at least half of the measure's resolution r. Seeds that
    tie in a coarse measure, such as a share of 200 examples, show that the next step is rare, not that it
    never comes: r/2 is the deviation of a fair coin between two neighbouring values. Where the `prior` tells
    more of the spread, t has its degrees of freedom too, and s² becomes (d0 s0² + (S - 1) s²) / (d0 + S - 1).
    But the interval is never shorter than Student's over the seeds alone at `INFLATION` times the error. So
    the prior can be as wrong as it likes, and the error of an interval is at most that.

    With o, the part of the grid's error that differs between seeds, it is likewise. And q is the quantile of
    a symmetric beta distribution with standard deviation `grid.sd` on ±`grid.reach`: uniform for one edge,
    nearly triangular for two, nearly normal for many.

    How often it covers is measured by `make calibration` (tests/README.md has the tables).

    Attributes:
        values_S: the measure of each seed's landscape.
        grid: the error from looking for edges on a grid [same unit].
        lower_bound: the truth may be larger, because a region touches the border of the grid.
        upper_bound: the truth may be smaller, for the same reason in what is compared with.
        least: no value can be smaller; an interval ends there.
        most: no value can be larger.
        resolution: distance of neighbouring values that the measure of one seed can take; 0 where it has
            none.
        prior: what is known of the spread beside the seeds.
    """

    values_S: tuple[float, ...]
    grid: GridError = EXACT
    _: KW_ONLY
    lower_bound: bool = False
    upper_bound: bool = False
    least: float = -math.inf
    most: float = math.inf
    resolution: float = 0.0
    prior: Prior = NO_PRIOR

    @property
    def n(self) -> int:
        return len(self.values_S)

    @cached_property
    def mean(self) -> float:
        if not self.values_S:
            return math.nan
        mean = float(np.mean(self.values_S))
        # Differences that cancel leave a rounding, which nobody wants to read as 1.11e-16.
        return 0.0 if abs(mean) < ROUNDING * max(map(abs, self.values_S)) else mean

    @property
    def turned(self) -> Estimate:
        """The measure with the other sign."""
        return replace(
            self,
            values_S=tuple(-value for value in self.values_S),
            lower_bound=self.upper_bound,
            upper_bound=self.lower_bound,
            least=-self.most,
            most=-self.least,
        )

    @property
    def shown(self) -> float:
        """The mean, or the end of what values can be where the mean lies beyond it.

        What is chosen on the other seeds is right on the average, so that it may be below 0 where the truth
        is not. Verdicts rest on the mean.
        """
        return self._possible(self.mean)

    def _possible(self, value: float) -> float:
        return min(max(value, self.least), self.most)

    @property
    def df(self) -> float:
        """Degrees of freedom of the spread."""
        return self.n - 1 + self.prior.df

    @cached_property
    def own_variance(self) -> float:
        """Variance of one seed's value as the seeds show it, and at least that of the resolution."""
        return max(float(np.var(self.values_S, ddof=1)), (self.resolution / 2) ** 2)

    @cached_property
    def deviation(self) -> float:
        """Standard deviation of one seed's value, the prior weighed in; needs two seeds."""
        total = self.prior.df * self.prior.variance + (self.n - 1) * self.own_variance
        return math.sqrt(total / self.df)

    def half_width(self, confidence: float) -> float:
        """Half of the interval's length; infinite with fewer than two seeds."""
        return self.half_width_after(self.n, confidence) if self.n > 1 else math.inf

    def half_width_after(self, seeds: int, confidence: float, deviation: float | None = None) -> float:
        """The same with another number of seeds; there must be two now.

        Args:
            deviation: of one seed's value; the present one if it is not given.
        """
        # What others say about the spread grows with the seeds, too.
        df = self.df * (seeds - 1) / (self.n - 1)
        spread = (self.deviation if deviation is None else deviation) / math.sqrt(seeds)
        alone = (math.sqrt(self.own_variance) if deviation is None else deviation) / math.sqrt(seeds)
        own = self.grid.own * math.sqrt(self.n / seeds)
        tail = (1 + confidence) / 2
        least = max(1 - INFLATION * (1 - tail), 0.5)
        over_seeds = max(
            float(stdtrit(df, tail)) * spread if spread else 0.0,
            float(stdtrit(seeds - 1, least)) * alone if alone and self.prior.df else 0.0,
            float(ndtri(tail)) * own if own else 0.0,
        )
        return math.hypot(over_seeds, self.grid.quantile(tail))

    def interval(self, confidence: float) -> tuple[float, float] | None:
        """(low, high), or None with fewer than two seeds."""
        half = self.half_width(confidence)
        if not math.isfinite(half):
            return None
        return self._possible(self.mean - half), self._possible(self.mean + half)

    def p(self, threshold: float) -> float:
        """1 - the largest confidence at which the interval excludes the threshold.

        It is 1 where nothing varies and the measure knows no resolution: then nothing says how certain it is.
        """
        return self._p(abs(self.mean - threshold))

    def p_within(self, threshold: float, margin: float) -> float:
        """1 - the largest confidence at which the interval lies within threshold ± margin.

        Two one-sided tests (Schuirmann 1987), at the level of the interval that is shown.
        """
        return self._p(max(margin - abs(self.mean - threshold), 0.0))

    def _p(self, distance: float) -> float:
        """1 - the largest confidence at which half of the interval is no longer than that."""
        if self.n < 2 or distance == 0 or not math.isfinite(distance):
            return 1.0
        if self.half_width(0.5) == 0 or self.half_width(0.0) >= distance:
            return 1.0
        # It takes half a second to load, and `study plan` must answer soon.
        from scipy import optimize

        top = 1 - 1e-12  # at a confidence of 1 Student's quantile is infinite
        if self.half_width(top) <= distance:
            return 1e-12
        touching = optimize.brentq(lambda confidence: self.half_width(confidence) - distance, 0.0, top)
        return 1.0 - float(touching)


def pooled(found: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """The differences of a method to every other transform, each with the spread of the others as its prior.

    Args:
        found: by transform, from the same seeds.
    """
    if len({one.n for one in found.values()}) != 1 or min(one.n for one in found.values()) < 2:
        return dict(found)
    values_KS = np.array([one.values_S for one in found.values()])
    return {
        name: replace(one, prior=prior_of(np.delete(values_KS, k, axis=0), one.own_variance))
        for k, (name, one) in enumerate(found.items())
    }


def worded(
    estimate: Estimate, confidence: float, turn: Callable[[float], float] = float, digits: str = ".3g"
) -> str:
    """`≥ 4.2 [3.7, 4.7]`: mean and interval, with the sign of a bound.

    Args:
        turn: how a number is shown; it makes a ratio of its logarithm.
        digits: format of a number.
    """
    interval = estimate.interval(confidence)
    span = f" [{turn(interval[0]):{digits}}, {turn(interval[1]):{digits}}]" if interval else ""
    bound = bound_of(lower=estimate.lower_bound, upper=estimate.upper_bound)
    return f"{bound}{turn(estimate.shown):{digits}}{span}"


def bound_of(*, lower: bool, upper: bool, at_least: str = "≥ ", at_most: str = "≤ ") -> str:
    """What is said before a number of which the border of the grid leaves something open.

    Args:
        lower: the truth may be larger. upper: it may be smaller. Of both together no sign can be made.
        at_least, at_most: how each of them is said.
    """
    if lower and upper:
        return "above or below "
    return at_least * lower + at_most * upper


def exponential(logarithm: float) -> float:
    """e to that power, without overflow: 1e304 stands for everything larger."""
    return math.exp(min(logarithm, 700.0))


def difference(a: Estimate, b: Estimate) -> Estimate:
    """a - b, paired by seed."""
    values = tuple(x - y for x, y in zip(a.values_S, b.values_S, strict=True))
    return _paired(values, a.grid + b.grid, a, b, max(a.resolution, b.resolution))


def ratio(a: Estimate, b: Estimate) -> Estimate | None:
    """ln(a / b), paired by seed; None where one of the values is not positive."""
    if min(*a.values_S, *b.values_S, 1.0) <= 0:  # 1.0: with no seeds at all min would have nothing to compare
        return None
    values = tuple(math.log(x / y) for x, y in zip(a.values_S, b.values_S, strict=True))
    resolution = max(a.resolution / a.mean, b.resolution / b.mean)
    return _paired(values, a.grid.relative(a.mean) + b.grid.relative(b.mean), a, b, resolution)


def _paired(
    values: tuple[float, ...], grid: GridError, a: Estimate, b: Estimate, resolution: float
) -> Estimate:
    """What grows with a and falls with b: where b may be larger than it looks, this may be smaller."""
    return Estimate(
        values,
        grid,
        lower_bound=a.lower_bound or b.upper_bound,
        upper_bound=a.upper_bound or b.lower_bound,
        resolution=resolution,
    )
