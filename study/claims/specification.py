"""A specification curve: every claim judged again under other thresholds, from the same stored cells.

Reference: Simonsohn, Simmons and Nelson, "Specification curve analysis", Nature Human Behaviour, 2020.
Differs from the reference: thresholds vary one at a time around the spec's own, and all together to the loose
and to the strict end. All combinations are 243 analyses, which took `quickstart` half a minute with three
seeds. These are 12 and take about a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from study.claims.verdicts import INCONCLUSIVE, Claim
from study.spec.model import StudySpec
from study.spec.tolerances import Tolerances

GRID: Mapping[str, tuple[float, ...]] = {
    "trained": (0.05, 0.10, 0.20),
    "competitive": (0.10, 0.05, 0.025),
    "share": (0.5, 0.75, 1.0),
    "window": (1.0, 0.75, 0.5),
    "departed": (3.0, 2.0, 1.5),
}
"""Thresholds of `Tolerances` that a reader could have chosen otherwise, each from loose to strict."""
CORNERS = {"loose": 0, "strict": -1}
"""Both ends of every threshold at once: name, and place in the grid."""


@dataclass(frozen=True)
class Variation:
    """Thresholds other than the spec's own.

    Attributes:
        name: of the one threshold that is varied, or of the corner.
        changed: every threshold that differs from the spec's, with its value.
    """

    name: str
    changed: Mapping[str, float]

    @property
    def words(self) -> str:
        """`trained is 0.2`, or `all thresholds are loose`."""
        if self.name in CORNERS:
            return f"all thresholds are {self.name}"
        return f"{self.name} is {self.changed[self.name]:g}"


@dataclass(frozen=True)
class Varied:
    """A claim under other thresholds."""

    variation: Variation
    verdict: str
    estimate: float | None


@dataclass(frozen=True)
class Specified:
    """A claim under the spec's thresholds and under others."""

    claim: Claim
    varied: tuple[Varied, ...]

    @property
    def agreeing(self) -> int:
        """How many variations give the spec's verdict."""
        return sum(one.verdict == self.claim.verdict for one in self.varied)

    @property
    def span(self) -> tuple[float, float] | None:
        """Least and largest estimate, the spec's own included; None where there is none."""
        estimates = [self.claim.estimate, *(one.estimate for one in self.varied)]
        found = [estimate for estimate in estimates if estimate is not None]
        return (min(found), max(found)) if found else None

    @property
    def warning(self) -> str:
        """Where a decided verdict changes: one sentence, empty where it never does.

        `Not robust: inconclusive where trained is 0.05 or 0.2; refuted where window is 0.5.`
        """
        if not decided(self.claim):
            return ""
        places: dict[str, list[Variation]] = {}
        for one in self.varied:
            if one.verdict != self.claim.verdict:
                places.setdefault(one.verdict, []).append(one.variation)
        if not places:
            return ""
        parts = [f"{verdict} where {worded_places(where)}" for verdict, where in places.items()]
        return f"Not robust: {'; '.join(parts)}."


def decided(claim: Claim) -> bool:
    """Whether a claim has a verdict that other thresholds could take away."""
    return claim.verdict != INCONCLUSIVE


def worded_places(variations: Sequence[Variation]) -> str:
    """`trained is 0.05 or 0.2, or window is 0.5`."""
    groups: dict[str, list[str]] = {}
    for variation in variations:
        if variation.name in CORNERS:
            groups.setdefault("all thresholds are", []).append(variation.name)
        else:
            value = f"{variation.changed[variation.name]:g}"
            groups.setdefault(f"{variation.name} is", []).append(value)
    return ", or ".join(f"{start} {' or '.join(values)}" for start, values in groups.items())


def variations(own: Tolerances) -> list[Variation]:
    """Each threshold of the grid alone, and both corners; what equals the spec is left out."""
    found = []
    for name, values in GRID.items():
        found += [Variation(name, {name: value}) for value in values if value != getattr(own, name)]
    for corner, end in CORNERS.items():
        ends = {name: values[end] for name, values in GRID.items()}
        changed = {name: value for name, value in ends.items() if value != getattr(own, name)}
        # With one threshold left to change, the corner is a variation that is there already.
        if len(changed) > 1:
            found.append(Variation(corner, changed))
    return found


def specify(
    claims: Sequence[Claim], spec: StudySpec, again: Callable[[Tolerances], Sequence[Claim]]
) -> list[Specified]:
    """Every claim of a study with what becomes of it under each variation.

    Args:
        claims: as judged under the spec's own thresholds.
        again: judges the same cells under other thresholds.
    """
    found: dict[tuple[str, str], list[Varied]] = {}
    # An edge-seeking design trains the cells that the spec's own thresholds lead to. There are no others'.
    for variation in variations(spec.region) if spec.design == "grid" else ():
        thresholds: dict[str, Any] = dict(variation.changed)
        for claim in again(replace(spec.region, **thresholds)):
            one = Varied(variation, claim.verdict, claim.estimate)
            found.setdefault((claim.id, claim.setting), []).append(one)
    return [Specified(claim, tuple(found.get((claim.id, claim.setting), ()))) for claim in claims]
