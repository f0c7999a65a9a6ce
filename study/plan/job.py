"""A tile and all that decides its numbers: what is sent to a worker."""

from __future__ import annotations

from dataclasses import dataclass, replace

from search_spaces import Tile
from study.spec.method_choice import Choice
from trainers.budget import Budget


@dataclass(frozen=True)
class Job:
    """A tile and all that decides its numbers.

    Attributes:
        fingerprint: of the data and network that the launch saw.
    """

    tile: Tile
    workload: Choice
    model: Choice
    optimizer: Choice
    transform: Choice
    budget: Budget
    fingerprint: str

    def halves(self) -> list[Job]:
        """The same job on each half of the tile, which needs less memory."""
        cells = self.tile.cells
        middle = len(cells) // 2
        return [replace(self, tile=Tile(half)) for half in (cells[:middle], cells[middle:])]
