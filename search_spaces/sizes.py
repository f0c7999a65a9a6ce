"""How much of a grid an edge-seeking design asks for, and what its audit counts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from search_spaces.knowledge import Line


@dataclass(frozen=True)
class Sizes:
    """How many points the parts of a design take.

    Args:
        rows, columns: of the coarse grid that a search starts from.
        climb: how often the neighbours of the best point are asked for, at half the distance each time.
        ridge: places near the best ones where the best score is looked for, each in all layers.
        audit: random points away from the edges in each audit. edges: edges in each audit both sides of which are asked for in all layers.
        unsure: near the edges points are asked for until at most this share of all points is expected to be of another class than inferred.
    """

    rows: int
    columns: int
    climb: int
    ridge: int
    audit: int
    edges: int
    unsure: float = 0.006

    @classmethod
    def of(cls, layers: int, rows: int, columns: int) -> Sizes:
        """Sizes for a grid: they grow like its side, as its edges do, not like its area."""
        side = math.sqrt(rows * columns)
        coarse = (
            min(rows, max(3, round(math.log2(rows)) - 1)),
            min(columns, max(4, round(math.log2(columns)) + 1)),
        )
        return cls(
            *coarse,
            climb=max(1, round(math.log2(side)) - 3),
            ridge=round(side / math.sqrt(layers)),
            audit=max(8, round(0.3 * side)) * layers,
            edges=max(4, round(side / 8)),
        )


@dataclass
class Audit:
    """What was asked for as a check: points whose class had been inferred, and how many were of another class.

    Attributes:
        away, away_wrong: random points at least two columns from the nearest edge of their row.
        near, near_wrong: points beside an edge of any layer that had been inferred in their own.
        filled: rows that were filled in between their region and its strays; fell_back: rows that were trained as a whole.
    """

    away: int = 0
    away_wrong: int = 0
    near: int = 0
    near_wrong: int = 0
    filled: set[Line] = field(default_factory=set)
    fell_back: set[Line] = field(default_factory=set)


def spread(size: int, count: int) -> list[int]:
    """At most so many numbers below the size, evenly, both ends among them."""
    return sorted({round(k * (size - 1) / max(1, count - 1)) for k in range(count)})
