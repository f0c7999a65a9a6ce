"""The audit of a design: points whose class was inferred are asked for, and what disagrees is counted."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from search_spaces.edge_design.knowledge import Knowledge, Line, Point
from search_spaces.edge_design.sizes import Sizes


@dataclass
class Audit:
    """What was asked for as a check: points whose class had been inferred, and how many of them disagreed.

    Attributes:
        away, away_wrong: random points at least two columns from the nearest edge of their row.
        near, near_wrong: points beside an edge of any layer that had been inferred in their own.
        filled: rows that were filled in between their region and their strays.
        fell_back: rows that were trained as a whole.
    """

    away: int = 0
    away_wrong: int = 0
    near: int = 0
    near_wrong: int = 0
    filled: set[Line] = field(default_factory=set)
    fell_back: set[Line] = field(default_factory=set)


def check(
    known: Knowledge, audit: Audit, sizes: Sizes, generator: random.Random
) -> Iterator[Collection[Point]]:
    """The batches of one audit: a sample, then the points around those that disagree, as long as some do."""
    said = known.inferred()
    edges = [
        (layer, row, column)
        for (layer, row, column), value in sorted(said.items())
        if said.get((layer, row, column + 1), value) != value
    ]
    # Beside a frayed edge a class differs by chance, so these points are counted apart and call for no
    # refinement.
    beside = {(layer, row, column + k) for layer, row, column in edges for k in (-1, 0, 1, 2)}
    away = _sample(said.keys() - known.told.keys() - beside, sizes.audit, generator)
    chosen = _sample(edges, sizes.edges, generator)
    pairs = ((row, column + k) for _, row, column in chosen for k in (0, 1))
    near = known.in_all_layers(pairs) - known.told.keys()
    yield {*away, *near}
    known.update()
    wrong = _wrong(known, away, said)
    audit.away += len(away)
    audit.away_wrong += len(wrong)
    audit.near += len(near)
    audit.near_wrong += len(_wrong(known, near, said))
    while wrong:
        neighbours = {(layer, row + k, column) for layer, row, column in wrong for k in (-1, 1)}
        around = neighbours & said.keys() - known.told.keys()
        yield around
        known.update()
        wrong = _wrong(known, around, said)


def _sample(points: Iterable[Point], count: int, generator: random.Random) -> list[Point]:
    ordered = sorted(points)
    return generator.sample(ordered, min(count, len(ordered)))


def _wrong(known: Knowledge, points: Iterable[Point], said: Mapping[Point, int]) -> list[Point]:
    return [point for point in points if known.classes[point] != said[point]]
