"""Intervals as small pictures: where numbers stand on a scale that several of them may share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from study.claims.verdicts import Claim
from study.measures.estimate import Estimate, Missing

WIDTH = 200.0
"""Of a scale [px]."""
MARGIN = 10.0
"""Room at both ends, for arrows [px]."""


@dataclass(frozen=True)
class Axis:
    """A scale.

    Attributes:
        logarithmic: for ratios, of which a half and a double are equally far from 1.
    """

    low: float
    high: float
    logarithmic: bool = False

    def x(self, value: float) -> float:
        """Where a number stands [px]; a number outside stands at the end."""
        low, high, at = self.low, self.high, value
        if self.logarithmic:
            low, high, at = (math.log(max(one, 1e-300)) for one in (low, high, at))
        share = (at - low) / (high - low)
        return round(MARGIN + min(max(share, 0.0), 1.0) * (WIDTH - 2 * MARGIN), 1)


@dataclass(frozen=True)
class Bar:
    """A number with its interval on a scale [px].

    Attributes:
        ends: of the interval; None where there is none.
        less, more: the number is only a bound, and the truth may lie further to that side.
    """

    at: float
    ends: tuple[float, float] | None
    less: bool
    more: bool


@dataclass(frozen=True)
class ClaimBar:
    """A claim's number beside what the claim says [px].

    Attributes:
        threshold: where the claimed side begins.
        claimed: the ends of that side.
        equal: the ends of what counts as no difference; None where nothing does.
    """

    bar: Bar
    threshold: float
    claimed: tuple[float, float]
    equal: tuple[float, float] | None

    @property
    def label(self) -> tuple[float, str]:
        """Where the words below the threshold stand, and which part of them stands there."""
        if self.threshold < WIDTH / 3:
            return 0.0, "start"
        return (WIDTH, "end") if self.threshold > WIDTH * 2 / 3 else (self.threshold, "middle")


def axis_of(values: Iterable[float], *, logarithmic: bool = False, around: Sequence[float] = ()) -> Axis:
    """A scale that holds these numbers, and a little more."""
    known = [value for value in (*values, *around) if math.isfinite(value)]
    if not known:
        return Axis(0.0, 1.0)
    low, high = min(known), max(known)
    if logarithmic and low > 0:
        room = (high / low) ** 0.08 if high > low else 2.0
        return Axis(low / room, high * room, logarithmic=True)
    room = 0.08 * (high - low) or max(abs(low), 1.0) / 2
    return Axis(low - room, high + room)


def bar(axis: Axis, at: float, interval: tuple[float, float] | None, *, lower: bool, upper: bool) -> Bar:
    """Place a number and its interval."""
    ends = (axis.x(interval[0]), axis.x(interval[1])) if interval else None
    return Bar(axis.x(at), ends, less=upper, more=lower)


def claim_bar(claim: Claim, *, ratio: bool) -> ClaimBar | None:
    """A claim's number on a scale of its own; None where the claim has none.

    Args:
        ratio: the number is one, and its logarithm was compared.
    """
    if claim.estimate is None or claim.threshold is None or not math.isfinite(claim.estimate):
        return None
    threshold, near = claim.threshold, claim.indifference or 0.0
    # A ratio's indifference is that of its logarithm.
    margins = (threshold - near, threshold + near)
    if ratio:
        margins = (threshold * math.exp(-near), threshold * math.exp(near))
    shown = [claim.estimate, *(claim.interval or ())]
    axis = axis_of(shown, logarithmic=ratio, around=(threshold, *margins))
    at = axis.x(threshold)
    return ClaimBar(
        bar(axis, claim.estimate, claim.interval, lower=claim.lower_bound, upper=claim.upper_bound),
        at,
        (at, WIDTH) if claim.above else (0.0, at),
        (axis.x(margins[0]), axis.x(margins[1])) if near else None,
    )


def shared_bars(found: Sequence[Estimate | Missing], confidence: float) -> list[Bar | None]:
    """Estimates on one scale; None for those that are missing."""
    known = [one for one in found if isinstance(one, Estimate) and math.isfinite(one.mean)]
    spans = {id(one): one.interval(confidence) for one in known}
    axis = axis_of([value for one in known for value in (one.shown, *(spans[id(one)] or ()))])
    return [
        bar(axis, one.shown, spans[id(one)], lower=one.lower_bound, upper=one.upper_bound)
        if isinstance(one, Estimate) and id(one) in spans
        else None
        for one in found
    ]
