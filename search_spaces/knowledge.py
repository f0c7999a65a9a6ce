"""What is known of a stack of grids: told classes, edges that are taken over from the rows around, and what follows for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from search_spaces.rows import inferred, longest, runs

Point = tuple[int, int, int]
"""(layer, row, column): in a study a seed, a weight decay and a learning rate."""
Line = tuple[int, int]
"""(layer, row)."""
Edge = tuple[Line, int, int]
"""Of a row and a class: side 0 is the first column of at least this class, side 1 the last."""
Classify = Callable[[Mapping[Point, float]], Mapping[Point, int]]
"""The class of each told point: 0 outside, 1 inside of a region, 2 inside of a narrower one in it, and so on.

It is asked again after every batch, so that classes may depend on the best score so far.
"""

ROW_SIGMA, COLUMN_SIGMA = 2.0, 0.5
"""How fast a told point loses its say with distance [rows, columns]."""
ROW_REACH, COLUMN_REACH, BAND = 3, 2, 5
"""How far points are listened to, and how far from an edge a class is in doubt at all."""
OWN_VOTE = 0.5
"""What the class that follows from the point's own row counts, beside told points of which one on the spot would count 1."""


class Knowledge:
    """The told scores of a design, their classes, and what follows from them.

    Attributes:
        told: scores. classes: of the told points. lines: per row the classes of told columns, and of columns beside an assumed edge.
        doubted: edges that were assumed and are contradicted, or whose rows around no longer agree; to be asked for.
    """

    def __init__(self, layers: int, rows: int, columns: int, classify: Classify) -> None:
        if min(layers, rows, columns) < 1:
            raise ValueError(
                f"a design of {layers} layers, {rows} rows and {columns} columns; wanted at least one of each"
            )
        self.layers, self.rows, self.columns = layers, rows, columns
        self.told: dict[Point, float] = {}
        self.classes: dict[Point, int] = {}
        self.lines: dict[Line, dict[int, int]] = {}
        self.doubted: set[Edge] = set()
        self._classify = classify
        self._assumed: dict[Edge, tuple[tuple[Line, ...], int]] = {}

    def tell(self, scores: Mapping[Point, float]) -> None:
        """Add scores.

        Raises:
            ValueError: a point is not on the grid.
        """
        for point in scores:
            if not self.holds(point):
                raise ValueError(
                    f"told the point {point}, which is not on a grid of {self.layers} x {self.rows} x {self.columns}; tell what was asked for"
                )
        self.told.update(scores)

    def holds(self, point: Point) -> bool:
        """Whether a point is on the grid."""
        return all(
            0 <= at < size for at, size in zip(point, (self.layers, self.rows, self.columns), strict=True)
        )

    def update(self) -> None:
        """Classify everything again, and take over the edges that are still assumed."""
        self.classes = dict(self._classify(self.told))
        self.lines = {}
        for layer, row, column in sorted(self.classes):
            self.lines.setdefault((layer, row), {})[column] = self.classes[layer, row, column]
        for edge, (supports, last) in list(self._assumed.items()):
            _, level, side = edge
            in_question = any((support, level, side) in self.doubted for support in supports)
            places = {last} if in_question else {self.edge((support, level, side)) for support in supports}
            place = next(iter(places))
            if len(places) > 1 or place is None or not self._take_over(edge, supports, place):
                del self._assumed[edge]
                self.doubted.add(edge)

    def _take_over(self, edge: Edge, supports: tuple[Line, ...], place: int) -> bool:
        (line, level, side), known = edge, self.lines.setdefault(edge[0], {})
        self._assumed[edge] = supports, place
        around = inferred(self.lines[supports[0]], self.columns)
        pair = [column for column in (place - 1 + side, place + side) if 0 <= column < self.columns]
        agrees = all(
            (known[column] >= level) == (around[column] >= level) for column in pair if column in known
        )
        if agrees:
            for column in pair:
                known.setdefault(column, around[column])
        elif not known:
            del self.lines[line]
        return agrees

    def assume(self, edge: Edge, supports: tuple[Line, ...], place: int) -> None:
        """Take an edge to be where it is in the rows around it, until these change or something told contradicts."""
        self._assumed[edge] = supports, place

    def edge(self, edge: Edge) -> int | None:
        """The column of an edge of the longest run of a class, or None where the row has none, or has strays on that side."""
        line, level, side = edge
        found = list(runs(self.lines.get(line, {}), level))
        outermost = found[-side] if found else None  # the first run, or the last one
        return outermost[side] if outermost and outermost == longest(found) else None

    def by_rows(self) -> dict[Point, int]:
        """The class of every point of the rows that anything is known of, each from its own row alone."""
        return {
            (layer, row, c): value
            for (layer, row), known in self.lines.items()
            for c, value in enumerate(inferred(known, self.columns))
        }

    def doubts(self) -> dict[Point, tuple[int, float]]:
        """For each untold point near an edge the likelier class, and the share of the votes for another one.

        Told points around it vote for their class with weight exp(-(Δrow² / ROW_SIGMA² + Δcolumn² / COLUMN_SIGMA²) / 2), and
        its own row for what follows from it: where training is chaotic, edges are frayed, and the nearest told cell is a coin toss.
        """
        said = self.by_rows()
        near = {
            (layer, row, c)
            for (layer, row, column), value in said.items()
            if said.get((layer, row, column + 1), value) != value
            for c in range(column + 1 - BAND, column + 1 + BAND)
        }
        found = {}
        for layer, row, column in sorted(near & said.keys() - self.told.keys()):
            votes = {said[layer, row, column]: OWN_VOTE}
            for r in range(-ROW_REACH, ROW_REACH + 1):
                for c in range(-COLUMN_REACH, COLUMN_REACH + 1):
                    value = self.classes.get((layer, row + r, column + c))
                    if value is not None:
                        votes[value] = votes.get(value, 0.0) + WEIGHTS[r, c]
            likeliest = max(votes, key=lambda value: votes[value])
            found[layer, row, column] = likeliest, 1 - votes[likeliest] / sum(votes.values())
        return found

    def inferred(self) -> dict[Point, int]:
        """The class of every point of the rows that anything is known of: told, or the likeliest."""
        return self.by_rows() | {point: value for point, (value, _) in self.doubts().items()} | self.classes


WEIGHTS = {
    (r, c): math.exp(-((r / ROW_SIGMA) ** 2 + (c / COLUMN_SIGMA) ** 2) / 2)
    for r in range(-ROW_REACH, ROW_REACH + 1)
    for c in range(-COLUMN_REACH, COLUMN_REACH + 1)
}
