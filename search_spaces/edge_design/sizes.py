"""How much of a grid an edge-seeking design asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """How many points the parts of a design ask for.

    Args:
        rows, columns: of the coarse grid that a search starts from.
        climb: how often the neighbours of the best point are asked for, at half the distance each time.
        ridge: places near the best ones where the best score is looked for, each in all layers.
        audit: random points away from the edges in each audit.
        edges: edges in each audit both sides of which are asked for in all layers.
        unsure: near the edges points are asked for until at most this share of all points is expected to be
            of another class than inferred.
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
        return cls(
            rows=min(rows, max(3, round(math.log2(rows)) - 1)),
            columns=min(columns, max(4, round(math.log2(columns)) + 1)),
            climb=max(1, round(math.log2(side)) - 3),
            ridge=round(side / math.sqrt(layers)),
            audit=max(8, round(0.3 * side)) * layers,
            edges=max(4, round(side / 8)),
        )


def spread(size: int, count: int) -> list[int]:
    """At most so many numbers below the size, evenly, both ends among them."""
    return sorted({round(k * (size - 1) / max(1, count - 1)) for k in range(count)})
