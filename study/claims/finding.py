"""What a study measured about a sentence: comparisons with thresholds, gathered in a finding."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from study.measures.estimate import Estimate, exponential


@dataclass(frozen=True)
class Comparison:
    """One number that a claim says lies above (or below) a threshold.

    Attributes:
        against: what is compared with. `preposition` stands before it in sentences.
        estimate: None where it cannot be computed; `note` says why.
        threshold: in the estimate's own unit. above: the claim says "above".
        exact: the sentence is about every single step, and each seed's value is its worst step. A single
            seed whose value does not lie on the claim's side refutes it. Where none does, the share of runs
            that break the rule is bounded: if it were `breaking`, no counterexample in S runs had the chance
            (1 - breaking)^S, which is the p of support.
        breaking: largest share of runs that may break an exact rule, where it counts as held.
        steps: recorded steps that were looked at, of an exact one.
        indifference: a difference from the threshold below this counts as none, in the estimate's own unit;
            0 where nothing does.
        common: the same number at learning rates that all methods have in common. Where it lies on the other
            side of the threshold the sign depends on the learning rate, and nothing is decided.
        axis: of the grid, between whose points the estimate's edges lie.
        unit, ratio: where they differ from the finding's own.
        alternatives: the claim says that one or the other holds. This comparison then shows the likeliest
            of them, see `either`.
        itself: the method is compared with itself, under another condition or optimizer. Twins know no truth
            of it.
    """

    against: str
    estimate: Estimate | None
    threshold: float
    above: bool
    note: str = ""
    preposition: str = "against"
    exact: bool = False
    unit: str = ""
    ratio: bool | None = None
    alternatives: tuple[Comparison, ...] = ()
    breaking: float = 0.10
    steps: int = 0
    indifference: float = 0.0
    common: Estimate | None = None
    axis: str = "lr"
    itself: bool = False

    @property
    def place(self) -> str:
        """`against none`."""
        return f"{self.preposition} {self.against}"

    @property
    def lead(self) -> float:
        """How far the estimate is on the claim's side of the threshold; of an exact one, the worst seed's."""
        if self.estimate is None:
            return -math.inf
        sign = 1 if self.above else -1
        if self.exact:
            return min((value - self.threshold) * sign for value in self.estimate.values_S)
        return (self.estimate.mean - self.threshold) * sign

    @property
    def number(self) -> float | None:
        """What is shown: the mean over seeds, or the worst run's value of an exact one."""
        if self.estimate is None:
            return None
        if self.exact:
            return (min if self.above else max)(self.estimate.values_S)
        return self.estimate.mean

    @property
    def depends(self) -> bool:
        """Whether the number at common learning rates lies on the other side of the threshold."""
        if self.estimate is None or self.common is None:
            return False
        return (self.common.mean - self.threshold) * (self.estimate.mean - self.threshold) < 0

    @property
    def p_support(self) -> float:
        """p of the estimate lying on the claim's side; 1 where a censored region could hide the opposite."""
        if self.alternatives:
            # The best of several chances is shown, so its p counts once for each of them (Bonferroni).
            return min(1.0, len(self.alternatives) * min(one.p_support for one in self.alternatives))
        if self.estimate is None or self.depends:
            return 1.0
        if self.exact:
            return float((1 - self.breaking) ** self.estimate.n) if self.lead >= 0 else 1.0
        if self.lead <= 0:
            return 1.0
        # A size that is only a bound may still move, and here it would move towards the other side.
        open_ended = self.estimate.upper_bound if self.above else self.estimate.lower_bound
        return 1.0 if open_ended else self.estimate.p(self.threshold)

    @property
    def p_refute(self) -> float:
        """p of the estimate lying on the other side; 1 where a censored region could hide the opposite."""
        if self.alternatives:
            # Only all of them together contradict "one or the other", so the weakest decides.
            return max(one.p_refute for one in self.alternatives)
        if self.estimate is None or self.depends:
            return 1.0
        if self.exact:
            return 0.0 if self.lead < 0 else 1.0
        if self.lead >= 0:
            return 1.0
        open_ended = self.estimate.lower_bound if self.above else self.estimate.upper_bound
        return 1.0 if open_ended else self.estimate.p(self.threshold)

    @property
    def p_equal(self) -> float:
        """p of the estimate lying within ± `indifference` of the threshold, on whichever side."""
        if self.alternatives:
            # It makes no difference where none of them does.
            return max(one.p_equal for one in self.alternatives)
        estimate = self.estimate
        if estimate is None or self.depends or self.exact or not self.indifference:
            return 1.0
        if estimate.lower_bound or estimate.upper_bound:
            return 1.0
        return estimate.p_within(self.threshold, self.indifference)

    @property
    def standing(self) -> float:
        """From -1, clearly refuted, to 1, clearly supported, in whatever unit."""
        return self.p_refute - self.p_support


def either(*alternatives: Comparison) -> Comparison:
    """Join comparisons of which one is enough; the one that is most on the claim's side is shown."""
    shown = max(alternatives, key=lambda one: (one.standing, one.lead))
    notes = [shown.note] if shown.note else []
    for one in alternatives:
        if one is not shown:
            value = f"{one.estimate.mean:.3g}" if one.estimate else one.note
            notes.append(f"or {one.place}: {value}")
    return replace(shown, alternatives=alternatives, note="; ".join(notes))


@dataclass(frozen=True)
class Finding:
    """What a study found out about a claim.

    Attributes:
        comparisons: all of them must be on the claim's side; empty when the study cannot decide the claim.
        ratio: estimates are logarithms of ratios, shown as ratios.
        missing: what the study lacks.
        partial: the comparisons alone can refute the claim, but not support it.
        beside: what is shown and decides nothing, because the sentence is not about it.
        keys: the cells behind it.
        unread: the code that would answer was not run. What it would say is unknown, so that the claim has
            its share of the study's error, as where it is answered.
    """

    measure: str
    unit: str
    comparisons: tuple[Comparison, ...] = ()
    ratio: bool = False
    missing: str = ""
    partial: bool = False
    keys: tuple[str, ...] = ()
    beside: tuple[Comparison, ...] = ()
    unread: bool = False

    def turn(self, comparison: Comparison) -> Callable[[float], float]:
        """The function that turns a comparison's own number into the one that is shown."""
        is_ratio = self.ratio if comparison.ratio is None else comparison.ratio
        return exponential if is_ratio else float

    @property
    def hardest(self) -> Comparison | None:
        """The comparison that stands least clearly on the claim's side; None where nothing is compared."""
        # By p, not by the mean: a small difference that is known well may stand clearer than a large one.
        return min(self.comparisons, key=lambda c: (c.standing, c.lead, c.against), default=None)
