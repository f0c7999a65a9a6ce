"""What more seeds would bring: the chance of a verdict by then, and how many seeds it takes."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import chdtri, ndtr

from study.claims.finding import Comparison
from study.claims.verdicts import NO_DIFFERENCE, REFUTED, SUPPORTED, Question
from study.measures.estimate import Estimate

POWER = 0.8
"""Chance of a verdict at which a number of seeds counts as enough."""
MOST = 1_000
"""More seeds than this are never."""
QUANTILES = (np.arange(9) + 0.5) / 9
"""Of what the deviation of a seed may be, as far as the seeds tell it."""


@dataclass(frozen=True)
class Future:
    """A comparison after more seeds, if they are like those that are there.

    Attributes:
        now: the comparison; its estimate has two seeds or more.
        seeds: how many there will be.
        level: of a verdict then.
    """

    now: Comparison
    seeds: int
    level: float

    def predicted(self) -> dict[str, float]:
        """Chance of each verdict, given the seeds that are there: the predictive distribution.

        The deviation σ of a seed is known up to s² · df / χ²(df), and given it

            mean then - mean now  ~  normal(0, σ² · (1/n - 1/N))
            deviation then        =  sqrt(((n - 1) s² + (N - n) σ²) / (N - 1))
        """
        if self.now.alternatives:
            return self._either(Future.predicted)
        estimate = _known(self.now)
        n, df, s2 = estimate.n, estimate.df, estimate.deviation**2
        total: Counter[str] = Counter()
        for quantile in chdtri(df, QUANTILES):
            variance = s2 * df / float(quantile)
            then = math.sqrt(((n - 1) * s2 + (self.seeds - n) * variance) / (self.seeds - 1))
            scale = math.sqrt(variance * max(1 / n - 1 / self.seeds, 0.0))
            total.update(self._chances(scale, then))
        return {verdict: found / len(QUANTILES) for verdict, found in total.items()}

    def power(self) -> dict[str, float]:
        """Chance of each verdict of a new study of so many seeds, if the truth is the present mean."""
        if self.now.alternatives:
            return self._either(Future.power)
        deviation = _known(self.now).deviation
        return self._chances(deviation / math.sqrt(self.seeds), deviation)

    def _either(self, of: Callable[[Future], Mapping[str, float]]) -> dict[str, float]:
        """Of comparisons of which one is enough: bounds, as `Comparison` judges them."""
        many = len(self.now.alternatives)
        known = [one for one in self.now.alternatives if one.estimate and one.estimate.n > 1]
        enough = [of(replace(self, now=one, level=self.level / many)) for one in known]
        against = [of(replace(self, now=one)) for one in known] if len(known) == many else []
        return {
            SUPPORTED: max((one.get(SUPPORTED, 0.0) for one in enough), default=0.0),
            REFUTED: min((one.get(REFUTED, 0.0) for one in against), default=0.0),
            NO_DIFFERENCE: min((one.get(NO_DIFFERENCE, 0.0) for one in against), default=0.0),
        }

    def _chances(self, scale: float, deviation: float) -> dict[str, float]:
        """With the mean then normal around the present one.

        Args:
            scale: its standard deviation. deviation: of a seed, as it will be known then.
        """
        one, estimate = self.now, _known(self.now)
        if one.depends:
            return {}
        if one.exact:
            if one.lead < 0:
                return {REFUTED: 1.0}
            return {SUPPORTED: float((1 - one.breaking) ** self.seeds <= self.level)}
        half = estimate.half_width_after(self.seeds, 1 - self.level, deviation)

        def chance(low: float, high: float = math.inf) -> float:
            """That the mean will then lie between, as seen from the threshold in the claim's direction."""
            if high <= low:
                return 0.0
            if not scale:
                return float(low <= one.lead <= high)
            return float(ndtr((high - one.lead) / scale) - ndtr((low - one.lead) / scale))

        # What the border of the grid leaves open, seeds do not close.
        towards, away = estimate.upper_bound, estimate.lower_bound
        if not one.above:
            towards, away = away, towards
        found = {
            SUPPORTED: 0.0 if towards else chance(half),
            REFUTED: 0.0 if away else chance(-math.inf, -half),
        }
        if one.indifference and not (towards or away):
            found[NO_DIFFERENCE] = chance(half - one.indifference, one.indifference - half)
        return found


def chance(question: Question, seeds: int, level: float) -> float:
    """Chance that a claim has a verdict after so many seeds, given those that are there."""
    return min(1.0, sum(_verdicts(question, seeds, level, Future.predicted).values()))


def _verdicts(
    question: Question, seeds: int, level: float, of: Callable[[Future], Mapping[str, float]]
) -> dict[str, float]:
    """Bounds of the chance of each verdict on a claim, from those of its comparisons."""
    comparisons = question.finding.comparisons
    known = [one for one in comparisons if one.estimate and one.estimate.n > 1]
    if not known:
        return {}
    all_ = [of(Future(one, seeds, level)) for one in known]
    any_ = [of(Future(one, seeds, level / len(comparisons))) for one in known]
    supportable = len(known) == len(comparisons) and not question.finding.partial
    return {
        SUPPORTED: min(one.get(SUPPORTED, 0.0) for one in all_) if supportable else 0.0,
        REFUTED: max(one.get(REFUTED, 0.0) for one in any_),
        NO_DIFFERENCE: max(one.get(NO_DIFFERENCE, 0.0) for one in any_),
    }


@dataclass(frozen=True)
class Outlook:
    """What an undecided claim would take.

    Attributes:
        against: the comparison that blocks the claim.
        deviation: of one seed's value of it [unit of the comparison].
        grid: half of the interval that no number of seeds takes away, because edges lie between cells.
        seeds: by verdict how many give it with a chance of `POWER`, if the truth is the present mean; None
            where no number does.
        missing: why seeds alone do not help; empty where they do.
        points: so many times the points of the axis would, where the grid is what is missing.
        axis: the axis of the grid that `grid` comes from.
        lack: what of the claim's sentence the study does not have, where that is missing.
    """

    against: str
    deviation: float | None
    grid: float | None
    seeds: Mapping[str, int | None]
    missing: str = ""
    points: float | None = None
    axis: str = ""
    lack: str = ""


SEEDS, GRID, WINDOW, AXIS, SIDE = "seeds", "grid", "window", "axis", "learning rate"
LACK = "lack"
"""What limits a claim: see `outlook`."""


def outlook(question: Question, level: float) -> Outlook | None:
    """What keeps a claim open and what would end it; None where it compares nothing.

    Args:
        level: of a verdict.
    """
    one = question.finding.hardest
    if one is None:
        return None
    if one.estimate is None or one.estimate.n < 2:
        return Outlook(one.place, None, None, {}, WINDOW if one.estimate is None else SEEDS)
    many = len(question.finding.comparisons)
    seeds = {
        SUPPORTED: None if question.finding.partial else needed(one, SUPPORTED, level),
        REFUTED: needed(one, REFUTED, level / many),
        NO_DIFFERENCE: needed(one, NO_DIFFERENCE, level / many) if one.indifference else None,
    }
    grid = one.estimate.grid.quantile(1 - level / 2)
    found = Outlook(one.place, one.estimate.deviation, grid, seeds, axis=one.axis)
    if any(seeds.values()):
        return replace(found, missing=SEEDS)
    if question.finding.partial and needed(one, SUPPORTED, level):
        return replace(found, missing=LACK, lack=question.finding.missing)
    if one.depends:
        return replace(found, missing=SIDE)
    if one.estimate.lower_bound or one.estimate.upper_bound:
        return replace(found, missing=AXIS)
    lead = abs(one.estimate.mean - one.threshold)
    room = max(lead, one.indifference - lead)
    if grid >= room > 0:
        # An edge is known to a gap, so that the error falls with the number of points. Half of the room is
        # left for the spread over seeds.
        return replace(found, missing=GRID, points=2 * grid / room)
    return replace(found, missing=SEEDS)


def needed(one: Comparison, verdict: str, level: float) -> int | None:
    """Seeds at which a study like this one shows that with a chance of `POWER`; None where none do."""

    def enough(seeds: int) -> bool:
        return Future(one, seeds, level).power().get(verdict, 0.0) >= POWER

    if not enough(MOST):
        return None
    # The chance rises with the seeds. Those that are there gave no verdict, so it takes one more at least.
    return bisect_left(range(MOST), True, lo=_known(one).n + 1, key=enough)


def _known(one: Comparison) -> Estimate:
    if one.estimate is None or one.estimate.n < 2:
        raise ValueError(f"{one.place}: an estimate of two seeds or more is needed")
    return one.estimate
