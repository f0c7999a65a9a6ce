"""Axes of a grid: numbers in order, and the width of each in decades."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

MOST_POINTS = 10_000
"""Most points of an axis."""


@dataclass(frozen=True)
class LogAxis:
    """Log-spaced numbers: `low`, `low · 10^(1/n)`, …, `high`, with n points per decade.

    Raises:
        ValueError: a bound is not positive and finite, or `high` is no whole number of points above `low`.
    """

    low: float
    high: float
    points_per_decade: int

    def __post_init__(self) -> None:
        if not (0 < self.low < math.inf and 0 < self.high < math.inf):
            raise ValueError(f"low {self.low:g} and high {self.high:g} must be positive and finite")
        if self.high < self.low:
            raise ValueError(f"high {self.high:g} is below low {self.low:g}; swap them")
        if not 1 <= self.points_per_decade <= MOST_POINTS or self._gaps() > MOST_POINTS:
            raise ValueError(
                f"points_per_decade is {self.points_per_decade}; "
                f"wanted at least 1, and at most {MOST_POINTS} points in all"
            )
        gaps = self._gaps()
        # Bounds are typed with few digits (31.6 for 10^1.5), and still mean a point of the axis.
        if abs(gaps - round(gaps)) > 1e-3:
            near = self.low * 10 ** (round(gaps) / self.points_per_decade)
            raise ValueError(
                f"high {self.high:g} is not on the axis that starts at {self.low:g} with "
                f"{self.points_per_decade} points per decade; the nearest point is {near:.6g}"
            )

    def _gaps(self) -> float:
        return (math.log10(self.high) - math.log10(self.low)) * self.points_per_decade

    @property
    def values(self) -> tuple[float, ...]:
        """The numbers, rounded to ten digits so that they are the same on every machine."""
        start = math.log10(self.low)
        return tuple(
            float(f"{10 ** (start + k / self.points_per_decade):.10g}")
            for k in range(round(self._gaps()) + 1)
        )


def decades(values: tuple[float, ...]) -> tuple[float, ...]:
    """Width of each value's cell [decades].

    It is half of the gaps to its neighbours; at the ends the gap is mirrored. A single value has width 0,
    because nothing is known about its surroundings.
    """
    positions = [math.log10(value) for value in values]
    gaps = [b - a for a, b in itertools.pairwise(positions)]
    if not gaps:
        return (0.0,) * len(values)
    sides = [gaps[0], *gaps, gaps[-1]]
    return tuple((before + after) / 2 for before, after in itertools.pairwise(sides))


def around(values: tuple[float, ...], reach: float) -> tuple[tuple[int, int], ...]:
    """First and last index of the values within reach [decades] of each; 0 is near itself alone."""
    positions = [math.log10(value) if value > 0 else -math.inf for value in values]
    found = []
    for k, at in enumerate(positions):
        near = [j for j, other in enumerate(positions) if j == k or abs(other - at) <= reach + 1e-6]
        found.append((near[0], near[-1]))
    return tuple(found)
