"""One comparison of a claim, put together over all settings that make it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from study.claims.tasks import Task
from study.measures.estimate import exponential
from study.measures.random_effects import RandomEffects
from study.measures.stratified import Interval

LEAST_TASKS = 3
"""Tasks that a verdict about tasks in general needs: two give no interval of use."""


@dataclass(frozen=True)
class Pooled:
    """One comparison of a claim over all settings that make it with enough seeds.

    Numbers are in the unit of the estimates, which `turn` turns into the one that is shown.

    Attributes:
        place: `against clip_norm`. threshold, above: as of the comparisons. ratio: they are logarithms.
        tasks: in which it is made. settings, runs: how many settings and seeds that are.
        effect: interquartile mean of the seeds' values. share: of them on the claim's side, ties half. Both
            are None for an exact one, and where the numbers cannot be averaged.
        effects: the means of the tasks, as random effects.
        exact: the sentence is about every step. broken: settings in which a step contradicts it. broken_runs:
            in how many seeds. breaking: largest share that may break it where it counts as held.
        indifference: the smallest of what counts as no difference in the settings; 0 where nothing does.
        higher, lower: settings in which the true number may be larger, and smaller, than the estimate.
        depends: at common learning rates the mean over tasks lies on the other side.
        trouble: why the numbers cannot be averaged.
        alternatives: the claim says that one or the other holds. This comparison then shows the likeliest.
    """

    place: str
    unit: str
    ratio: bool
    threshold: float
    above: bool
    tasks: tuple[Task, ...] = ()
    settings: int = 0
    runs: int = 0
    effect: Interval | None = None
    share: Interval | None = None
    effects: RandomEffects | None = None
    exact: bool = False
    broken: tuple[str, ...] = ()
    broken_runs: int = 0
    breaking: float = 0.10
    indifference: float = 0.0
    higher: int = 0
    lower: int = 0
    depends: bool = False
    trouble: str = ""
    alternatives: tuple[Pooled, ...] = ()

    @property
    def turn(self) -> Callable[[float], float]:
        """The function that turns a number into the one that is shown."""
        return exponential if self.ratio else float

    @property
    def enough(self) -> bool:
        """Whether there are tasks enough to conclude something about others."""
        return not self.trouble and len(self.tasks) >= LEAST_TASKS

    @property
    def lead(self) -> float:
        """How far the mean over tasks lies on the claim's side."""
        if self.effects is None:
            return 0.0
        return (self.effects.mean - self.threshold) * (1 if self.above else -1)

    @property
    def bound(self) -> int:
        """Settings in which the true number may lie nearer to the threshold, or beyond it."""
        return self.lower if (self.lead > 0) == self.above else self.higher

    @property
    def p_support(self) -> float:
        """p of the mean over tasks lying on the claim's side.

        Of an exact one: the chance that so many tasks keep it, if `breaking` of all tasks broke it.
        """
        if self.alternatives:
            # The best of several chances is shown, so its p counts once for each of them (Bonferroni).
            return min(1.0, len(self.alternatives) * min(one.p_support for one in self.alternatives))
        if self.exact:
            return 1.0 if self.broken or not self.tasks else float((1 - self.breaking) ** len(self.tasks))
        return self._p() if self.lead > 0 else 1.0

    @property
    def p_refute(self) -> float:
        """p of it lying on the other side; 0 where a step contradicts an exact one."""
        if self.alternatives:
            # Only all of them together contradict "one or the other", so the weakest decides.
            return max(one.p_refute for one in self.alternatives)
        if self.exact:
            return 0.0 if self.broken else 1.0
        return self._p() if self.lead < 0 else 1.0

    @property
    def p_equal(self) -> float:
        """p of it lying within ± `indifference` of the threshold."""
        if self.effects is None or self.alternatives or self.exact or not self.indifference:
            return 1.0
        if not self.enough or self.depends or self.higher or self.lower:
            return 1.0
        return self.effects.p_within(self.threshold, self.indifference)

    def _p(self) -> float:
        if self.effects is None or not self.enough or self.depends or self.bound:
            return 1.0
        return self.effects.p(self.threshold)

    @property
    def standing(self) -> float:
        """From -1, clearly refuted, to 1, clearly supported."""
        return self.p_refute - self.p_support

    @property
    def telling(self) -> bool:
        """Whether it says something about tasks that were not tried."""
        return (
            any(one.telling for one in self.alternatives) if self.alternatives else self.exact or self.enough
        )
