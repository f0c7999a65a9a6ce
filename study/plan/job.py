"""A tile and all that decides its numbers: what is sent to a worker."""

from __future__ import annotations

from dataclasses import dataclass, replace

from search_spaces import Tile
from study.spec.choice import Choice
from trainers.budget import Budget


@dataclass(frozen=True)
class Job:
    """A tile and all that decides its numbers; `fingerprint` is that of the data which the launch saw."""

    tile: Tile
    workload: Choice
    model: Choice
    optimizer: Choice
    transform: Choice
    budget: Budget
    fingerprint: str

    def halves(self) -> list[Job]:
        """The tile in two, for workers that were ended for want of memory before they could say so."""
        middle = len(self.tile.cells) // 2
        return [
            replace(self, tile=Tile(cells)) for cells in (self.tile.cells[:middle], self.tile.cells[middle:])
        ]
