"""A tile and all that decides its numbers: what is sent to a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from search_spaces import Tile
from study.spec.method_choice import Choice
from trainers.budget import Budget


@dataclass(frozen=True)
class Job:
    """A tile and all that decides its numbers.

    Attributes:
        fingerprint: of the data and network that the launch saw.
        widths: how many such cells a worker best trains together, by its accelerator; empty where all workers
            are alike.
    """

    tile: Tile
    workload: Choice
    model: Choice
    optimizer: Choice
    transform: Choice
    budget: Budget
    fingerprint: str
    widths: Mapping[str, int] = field(default_factory=dict, compare=False)

    def halves(self) -> list[Job]:
        """The same job on each half of the tile, which needs less memory."""
        cells = self.tile.cells
        middle = len(cells) // 2
        return [replace(self, tile=Tile(half)) for half in (cells[:middle], cells[middle:])]

    def parts(self, width: int) -> list[Job]:
        """The same job on so many cells at a time."""
        cells = self.tile.cells
        return [
            replace(self, tile=Tile(cells[first : first + width])) for first in range(0, len(cells), width)
        ]
