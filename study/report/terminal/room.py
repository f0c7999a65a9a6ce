"""How many maps of how many cells a terminal has room for."""

from __future__ import annotations

from dataclasses import dataclass

from study.live_map import LiveStudy

LABELS = 7
"""Columns for the weight decays, left of a map."""
LEAST_TITLE = 22
"""Columns that a map's title needs, if the map itself is narrower."""
GAP = 2
"""Columns between two maps."""


@dataclass(frozen=True)
class Room:
    """How much of the maps a terminal has room for.

    Attributes:
        cell: columns per cell; two make it about square.
        rows, columns: of a map that are shown, the last weight decays and the first learning rates.
        beside, below: how many maps.
    """

    cell: int
    rows: int
    columns: int
    beside: int
    below: int

    @property
    def maps(self) -> int:
        return self.beside * self.below


def room_for(look: LiveStudy, width: int, height: int | None) -> Room:
    """The room of a terminal; without a height there is room for all."""
    rows = max((len(one.landscape.weight_decay) for one in look.maps), default=1)
    columns = max((len(one.landscape.lr) for one in look.maps), default=1)
    cell = 2 if LABELS + 2 * columns <= width else 1
    columns = max(1, min(columns, (width - LABELS) // cell))
    beside = max(1, (width + GAP) // (wide(cell, columns) + GAP))
    if height is None:
        return Room(cell, rows, columns, beside, len(look.maps))
    # Three lines of header, one of footer. A map has its title and lr, and a line between it and the next.
    free, extra = height - 4, 2 + several(look)
    rows = max(1, min(rows, free - extra))
    return Room(cell, rows, columns, beside, max(1, (free + 1) // (rows + extra + 1)))


def wide(cell: int, columns: int) -> int:
    """Columns of the terminal that a map takes."""
    return max(LABELS + cell * columns, LEAST_TITLE)


def several(look: LiveStudy) -> bool:
    """Whether the maps are of several settings."""
    return len({one.landscape.setting for one in look.maps}) > 1
