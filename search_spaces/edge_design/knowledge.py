"""What is known of a stack of grids: observed classes, edges taken over from other rows, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from search_spaces.edge_design.rows import inferred, longest, runs
from search_spaces.edge_design.votes import likeliest

Point = tuple[int, int, int]
"""(layer, row, column): in a study a seed, a weight decay and a learning rate."""
Place = tuple[int, int]
"""(row, column), in all layers."""
Line = tuple[int, int]
"""(layer, row)."""
Edge = tuple[Line, int, int]
"""Of a row and a class: side 0 is the first column of at least this class, side 1 the last."""
Classify = Callable[[Mapping[Point, float]], Mapping[Point, int]]
"""The class of each observed point: 0 outside, 1 in a region, 2 in a narrower one inside of it, and so on.

It is called again after every batch, so that classes may depend on the best score so far.
"""
BAND = 5
"""How far from an edge a class is in doubt at all [columns]."""


class Knowledge:
    """The observed scores of a design, their classes, and what follows from them.

    Attributes:
        told: the observed scores.
        classes: of the observed points.
        lines: per row the classes of observed columns, and of columns beside an assumed edge.
        doubted: assumed edges that are contradicted, or whose rows around no longer agree; to be asked for.

    Raises:
        ValueError: a size is not positive.
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
                size = f"{self.layers} x {self.rows} x {self.columns}"
                raise ValueError(f"the point {point} is not on the grid of {size}; tell what was asked for")
        self.told.update(scores)

    def holds(self, point: Point) -> bool:
        """Whether a point is on the grid."""
        layer, row, column = point
        return 0 <= layer < self.layers and 0 <= row < self.rows and 0 <= column < self.columns

    def in_all_layers(self, places: Iterable[Place]) -> set[Point]:
        """The points of these places."""
        return {(layer, row, column) for row, column in places for layer in range(self.layers)}

    def update(self) -> None:
        """Classify everything again, and take over the edges that are still assumed."""
        self.classes = dict(self._classify(self.told))
        self.lines = {}
        for layer, row, column in sorted(self.classes):
            self.lines.setdefault((layer, row), {})[column] = self.classes[layer, row, column]
        for edge, (supports, last) in list(self._assumed.items()):
            _, level, side = edge
            # A support that is itself in doubt may have no edge for now: this one stays where it was.
            in_question = any((support, level, side) in self.doubted for support in supports)
            places = {last} if in_question else {self.edge((support, level, side)) for support in supports}
            place = next(iter(places))
            if len(places) > 1 or place is None or not self._take_over(edge, supports, place):
                del self._assumed[edge]
                self.doubted.add(edge)

    def _take_over(self, edge: Edge, supports: tuple[Line, ...], place: int) -> bool:
        """Whether an assumed edge agrees with observations; if so, the columns beside it count as known."""
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
        """Take an edge to be where it is in other rows, until these change or an observation contradicts."""
        self._assumed[edge] = supports, place

    def edge(self, edge: Edge) -> int | None:
        """First or last column of the longest run of a class; None without one, or with strays beyond it."""
        line, level, side = edge
        found = list(runs(self.lines.get(line, {}), level))
        outermost = found[-side] if found else None  # the first run, or the last one
        return outermost[side] if outermost and outermost == longest(found) else None

    def by_rows(self) -> dict[Point, int]:
        """The class of every point of the rows that anything is known of, each from its own row alone."""
        found: dict[Point, int] = {}
        for (layer, row), known in self.lines.items():
            for column, value in enumerate(inferred(known, self.columns)):
                found[layer, row, column] = value
        return found

    def doubts(self) -> dict[Point, tuple[int, float]]:
        """For each unobserved point near an edge the likelier class, and the share of votes for another.

        Where training is chaotic, edges are frayed, and the nearest observed point is a coin toss. So the
        observed points around vote, and so does what follows from the point's own row; see `likeliest`.
        """
        said = self.by_rows()
        near: set[Point] = set()
        for (layer, row, column), value in said.items():
            if said.get((layer, row, column + 1), value) != value:
                near |= {(layer, row, c) for c in range(column + 1 - BAND, column + 1 + BAND)}
        untold = sorted(near & said.keys() - self.told.keys())
        return {point: likeliest(point, said[point], self.classes) for point in untold}

    def inferred(self) -> dict[Point, int]:
        """The class of every point of the rows that anything is known of: observed, or the likeliest."""
        return self.by_rows() | {point: value for point, (value, _) in self.doubts().items()} | self.classes
