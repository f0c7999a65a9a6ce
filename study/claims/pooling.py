"""How the comparisons of a claim are put together over settings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from study.claims.finding import Comparison
from study.claims.pooled_comparison import Pooled
from study.claims.tasks import Asked, Task
from study.measures.estimate import Estimate
from study.measures.random_effects import RandomEffects, as_one, squared_error
from study.measures.stratified import Stratum, interquartile_mean, over_strata, share_beyond

LOSS, RELATIVE = "loss units", "of the untrained loss"
"""A loss is one workload's own. As a share of the untrained one it can be set beside another's."""


TIMING = ("confidence", "least_seeds")
"""Thresholds that say when a verdict is given, and nothing about what a number means."""


@dataclass(frozen=True)
class Member:
    """A comparison in one setting, in a unit that is comparable over settings."""

    asked: Asked
    comparison: Comparison
    unit: str
    ratio: bool

    @property
    def meaning(self) -> tuple[object, ...]:
        """What has to be equal where numbers are averaged."""
        one, claim = self.comparison, self.asked.claim
        side = self.unit, self.ratio, one.above, float(f"{one.threshold:.6g}")
        return *side, claim.version, *self.thresholds.values()

    @property
    def thresholds(self) -> dict[str, float]:
        """Those of its study that decide what a number means."""
        return {key: value for key, value in asdict(self.asked.region).items() if key not in TIMING}

    @property
    def estimate(self) -> Estimate | None:
        """Where it is of use: with enough seeds, and finite at each of them."""
        found = self.comparison.estimate
        if found is None or not self.asked.enough:
            return None
        # A worst step that is not finite is one that breaks a rule.
        of_use = self.comparison.exact or (found.n > 1 and bool(np.isfinite(found.values_S).all()))
        return found if of_use else None


def pool_all(found: Sequence[Asked], confidence: float) -> list[Pooled]:
    """Every comparison of a claim over the settings that make it, in the order in which they come.

    Args:
        confidence: of the bootstrap intervals.
    """
    groups: dict[tuple[str, ...], list[tuple[Asked, Comparison]]] = {}
    for asked in found:
        for one in asked.finding.comparisons:
            key = tuple(other.place for other in one.alternatives) or (one.place,)
            groups.setdefault(key, []).append((asked, one))
    pools = []
    for members in groups.values():
        parts = [
            pool([member(asked, one) for asked, one in column], confidence) for column in columns(members)
        ]
        shown = max(parts, key=lambda one: (one.standing, one.share.value if one.share else 0.0))
        pools.append(replace(shown, alternatives=tuple(parts)) if len(parts) > 1 else shown)
    return pools


def columns(members: Sequence[tuple[Asked, Comparison]]) -> Iterable[list[tuple[Asked, Comparison]]]:
    """The comparison itself in each setting, or each of its alternatives."""
    of_each = [one.alternatives or (one,) for _, one in members]
    for k in range(len(of_each[0])):
        yield [(asked, of[k]) for (asked, _), of in zip(members, of_each, strict=True)]


def member(asked: Asked, one: Comparison) -> Member:
    """A comparison of a setting, its losses as shares of the untrained one."""
    unit = one.unit or asked.finding.unit
    ratio = asked.finding.ratio if one.ratio is None else one.ratio
    if unit != LOSS or ratio:
        return Member(asked, one, unit, ratio)
    by = 1 / asked.untrained_loss
    changed = replace(
        one,
        estimate=scaled(one.estimate, by),
        common=scaled(one.common, by),
        threshold=one.threshold * by,
        indifference=one.indifference * by,
    )
    return Member(asked, changed, RELATIVE if math.isfinite(by) else LOSS, ratio)


def scaled(estimate: Estimate | None, by: float) -> Estimate | None:
    """An estimate in another unit; as it is where the factor is not known."""
    if estimate is None or not math.isfinite(by):
        return estimate
    values = tuple(value * by for value in estimate.values_S)
    return replace(estimate, values_S=values, grid=estimate.grid * by, resolution=estimate.resolution * by)


def pool(members: Sequence[Member], confidence: float) -> Pooled:
    """Put one comparison together. Every task weighs the same, and within a task every setting."""
    first = members[0].comparison
    used = [(one, one.estimate) for one in members if one.estimate is not None]
    shown = Pooled(
        first.place,
        members[0].unit,
        members[0].ratio,
        first.threshold,
        first.above,
        tuple(dict.fromkeys(one.asked.task for one, _ in used)),
        len(used),
        sum(estimate.n for _, estimate in used),
        exact=first.exact,
        breaking=max(one.comparison.breaking for one in members),
        indifference=min(one.comparison.indifference for one in members),
    )
    if not used:
        return replace(shown, trouble=why_none(members))
    if first.exact:
        places, runs = broken(used)
        return replace(shown, broken=places, broken_runs=runs)
    meanings = dict.fromkeys(one.meaning for one in members)
    if len(meanings) > 1 or members[0].unit == LOSS:
        return replace(shown, trouble=apart(members))
    in_task = Counter(one.asked.task for one, _ in used)
    strata = [
        Stratum(estimate.values_S, 1 / in_task[one.asked.task], (one.asked.source, one.asked.task))
        for one, estimate in used
    ]
    effects = random_effects([(one.asked.task, estimate) for one, estimate in used])
    common = [(one.asked.task, one.comparison.common) for one, _ in used]
    known = random_effects([(task, estimate) for task, estimate in common if estimate is not None])
    beside = known.mean if known else math.nan
    return replace(
        shown,
        effect=over_strata(strata, interquartile_mean, confidence),
        share=over_strata(strata, share_beyond(first.threshold, above=first.above), confidence),
        effects=effects,
        higher=sum(estimate.lower_bound for _, estimate in used),
        lower=sum(estimate.upper_bound for _, estimate in used),
        depends=bool(effects and (beside - first.threshold) * (effects.mean - first.threshold) < 0),
    )


def random_effects(found: Sequence[tuple[Task, Estimate]]) -> RandomEffects | None:
    """The estimates by task; None without any. Those of one task may share cells, and count as one."""
    groups: dict[Task, list[Estimate]] = {}
    for task, estimate in found:
        groups.setdefault(task, []).append(estimate)
    if not groups:
        return None
    parts = [
        as_one([one.mean for one in some], [squared_error(one) for one in some]) for some in groups.values()
    ]
    return RandomEffects(tuple(mean for mean, _ in parts), tuple(error for _, error in parts))


def broken(used: Sequence[tuple[Member, Estimate]]) -> tuple[tuple[str, ...], int]:
    """Where a step contradicts an exact comparison, and in how many runs."""
    places, runs = [], 0
    for one, estimate in used:
        sign = 1 if one.comparison.above else -1
        beyond = sum((value - one.comparison.threshold) * sign < 0 for value in estimate.values_S)
        runs += beyond
        if beyond:
            places.append(one.asked.place)
    return tuple(places), runs


def why_none(members: Sequence[Member]) -> str:
    """Why no setting has a number of use."""
    notes = dict.fromkeys(one.comparison.note for one in members if one.comparison.estimate is None)
    if few := sum(not one.asked.enough for one in members):
        return f"too few complete seeds in {few} of {len(members)} settings"
    return "; ".join(note for note in notes if note) or "no number that is finite at every seed"


def apart(members: Sequence[Member]) -> str:
    """Why numbers of different meaning are not averaged."""
    units = sorted({one.unit for one in members})
    limits = sorted({one.meaning[3] for one in members}, key=str)
    if len(units) > 1 or members[0].unit == LOSS:
        return f"numbers in units that cannot be averaged: {', '.join(unit or 'none' for unit in units)}"
    if len(limits) > 1:
        return f"thresholds differ between settings: {', '.join(map(str, limits))}"
    given = [one.thresholds for one in members]
    differ = {key: sorted({one[key] for one in given}) for key in given[0]}
    said = [
        f"{key} {', '.join(f'{v:g}' for v in values)}" for key, values in differ.items() if len(values) > 1
    ]
    if said:
        return f"studies with different thresholds (region: {'; '.join(said)})"
    return "the measurement has different versions or sides in different settings"
