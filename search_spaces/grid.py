"""Cells and tiles: what is trained, and what is trained together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise, product

# Made once: `json.dumps` with options builds an encoder for every call, and a plan hashes every cell.
PLAIN = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
Constants = tuple[tuple[str, object], ...]
"""Constants of a method, sorted by name."""


@dataclass(frozen=True)
class Cell:
    """One point of a study.

    Attributes:
        workload: data and model, e.g. `digits/mlp`.
        optimizer, transform: their names; `constants` are those of the transform that differ from its
            defaults.
        lr, weight_decay: the numbers of the grid.
        seed: decides initial weights and batches.
        setting: a hash of everything else that decides the cell's numbers (data, model, optimizer's
            constants, budget).
    """

    workload: str
    optimizer: str
    transform: str
    constants: Constants
    lr: float
    weight_decay: float
    seed: int
    setting: str

    @cached_property
    def key(self) -> str:
        """A hash of all that decides the cell's numbers: equal keys mean equal cells, in any study."""
        return digest({name: getattr(self, name) for name in CELL_FIELDS})


CELL_FIELDS = tuple(field.name for field in fields(Cell))


@dataclass(frozen=True)
class Tile:
    """Cells trained in one fused run: they differ in numbers only, never in structure."""

    cells: tuple[Cell, ...]

    def __post_init__(self) -> None:
        if len({structure(cell) for cell in self.cells}) != 1:
            kinds = sorted({str(structure(cell)) for cell in self.cells})
            found = "; ".join(kinds) or "no cell at all"
            raise ValueError(
                f"a tile mixes structures: {found}; cells of a tile may differ in lr and weight_decay only"
            )

    @property
    def key(self) -> str:
        """A hash of the keys of its cells, in their order."""
        return digest([cell.key for cell in self.cells])


@dataclass(frozen=True)
class Grid:
    """Learning rates x weight decays, each in rising order."""

    lr: tuple[float, ...]
    weight_decay: tuple[float, ...]

    def points(self) -> Iterator[tuple[float, float]]:
        """All (lr, weight_decay), row by row of equal weight decay."""
        for weight_decay, lr in product(self.weight_decay, self.lr):
            yield lr, weight_decay


def structure(cell: Cell) -> tuple[object, ...]:
    """What the cells of one tile share."""
    return (cell.workload, cell.optimizer, cell.transform, cell.constants, cell.seed, cell.setting)


def tiles(cells: Iterable[Cell], width: int) -> list[Tile]:
    """Group cells, in their order, into tiles of at most `width` cells of about equal size."""
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(structure(cell), []).append(cell)
    result = []
    for members in groups.values():
        count = -(-len(members) // width)
        bounds = [round(k * len(members) / count) for k in range(count + 1)]
        result += [Tile(tuple(members[a:b])) for a, b in pairwise(bounds)]
    return result


def digest(content: object) -> str:
    """Twenty hexadecimal digits of a hash of plain values."""
    return hashlib.sha256(PLAIN.encode(content).encode()).hexdigest()[:20]
