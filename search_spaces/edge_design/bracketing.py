"""Edges of rows, bracketed: points are asked for until both sides of every edge are known."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from itertools import pairwise

from search_spaces.edge_design.audit import Audit
from search_spaces.edge_design.knowledge import Knowledge, Line, Point
from search_spaces.edge_design.rows import Span, frays, next_columns, quarters, runs, span

FRAYED = 8
"""A row whose strays lie within columns / FRAYED of its region is filled in between, any other wholly."""


class Bracketing:
    """The rows whose edges are sought, and where their edges are expected.

    Attributes:
        rows: sought so far; `halve` adds to them.
    """

    def __init__(self, known: Knowledge, audit: Audit) -> None:
        self.rows: list[int] = []
        self._known, self._audit = known, audit
        self._guesses: dict[tuple[Line, int], Span] = {}

    def close(self) -> Iterator[Collection[Point]]:
        """Batches until both sides of every edge are known in all of `rows`; the last batch is empty."""
        known = self._known
        while True:
            known.update()
            wanted: set[Point] = set()
            for row in self.rows:
                for layer in range(known.layers):
                    wanted |= {(layer, row, column) for column in self._columns((layer, row))}
            for line, level, side in sorted(known.doubted):
                wanted |= _both_sides(line, self._guesses[line, level][side], side)
            known.doubted.clear()
            wanted |= self._beside_holes()
            wanted = {point for point in wanted if known.holds(point) and point not in known.told}
            yield wanted
            if not wanted:
                return

    def _columns(self, line: Line) -> set[int]:
        """The columns to ask for in a row: inside open edges, else between its region and its strays."""
        known, columns = self._known.lines.get(line, {}), self._known.columns
        top = max(known.values(), default=0)
        found: set[int] = set()
        for level in range(1, top + 1):
            found |= next_columns(known, level, self._guesses.get((line, level)), columns)
        lost = self._guesses.get((line, top + 1))
        if lost is not None:
            # The rows around have this class and no known column of this row does. Edges jump from row to
            # row, so the row is searched before it counts as empty.
            found |= quarters(lost) - known.keys()
        strays = [frays(known, level) for level in range(1, top + 1)]
        if found or not any(strays):
            return found
        if max(map(len, strays)) > max(3, columns / FRAYED):
            self._audit.fell_back.add(line)
            return set(range(columns))
        self._audit.filled.add(line)
        return set().union(*strays)

    def _beside_holes(self) -> set[Point]:
        """In the rows next to one that fell back, the middle of each of its runs and holes.

        A hole is seldom one row wide, and in a neighbour it lies between known columns that agree: nothing
        there would lead to it.
        """
        wanted: set[Point] = set()
        for layer, row in self._audit.fell_back:
            known = self._known.lines[layer, row]
            beside = [r for r in (row - 1, row + 1) if r in self.rows]
            for level in range(1, max(known.values()) + 1):
                ends = [column for run in runs(known, level) for column in run]
                for a, b in pairwise(ends):
                    wanted |= {(layer, r, (a + b) // 2) for r in beside}
        return wanted

    def halve(self) -> set[Point]:
        """Take on the rows halfway between those sought so far, and ask where their neighbours have edges."""
        rows, wanted = sorted(self.rows), set[Point]()
        for at, (below, above) in enumerate(pairwise(rows)):
            if above - below > 1:
                row = (below + above) // 2
                self.rows.append(row)
                around = rows[max(0, at - 1) : at + 3]
                for layer in range(self._known.layers):
                    wanted |= self._warm_start(layer, row, below, above, around)
        return wanted

    def _warm_start(self, layer: int, row: int, below: int, above: int, around: list[int]) -> set[Point]:
        """Guess a row's edges on the straight lines between those of two rows that are known.

        An edge that is in the same column in the rows around, two on either side, is taken over unasked.
        """
        known, line = self._known, (layer, row)
        sides = ((layer, below), (layer, above))
        share = (row - below) / (above - below)
        wanted: set[Point] = set()
        for level in range(1, max(max(known.lines[side].values()) for side in sides) + 1):
            low, high = (span(known.lines[side], level) for side in sides)
            if low and high:
                guess = _on_the_way(low[0], high[0], share), _on_the_way(low[1], high[1], share)
                self._guesses[line, level] = guess
                for side in (0, 1):
                    places = {known.edge(((layer, r), level, side)) for r in around}
                    # Two rows alone may agree by chance; at the border of the grid there are three.
                    if len(around) > 2 and places == {low[side]}:
                        known.assume((line, level, side), sides, low[side])
                    else:
                        wanted |= _both_sides(line, guess[side], side)
            elif one := low or high:
                self._guesses[line, level] = one
                wanted |= {(*line, column) for column in quarters(one)}
        if not wanted and (line, 1) not in self._guesses:
            # Both neighbours are empty: one look, where they are best.
            wanted = {(*line, self._best_column(sides))}
        return wanted

    def _best_column(self, lines: tuple[Line, ...]) -> int:
        """The known column with the best observed score of some rows."""
        known = self._known
        scored = [
            (known.told.get((*line, column), -math.inf), column)
            for line in lines
            for column in known.lines[line]
        ]
        return max(scored)[1]


def _both_sides(line: Line, place: int, side: int) -> set[Point]:
    """The two points that an edge lies between, from its column inside; side 0 is the left edge."""
    return {(*line, place - 1 + side), (*line, place + side)}


def _on_the_way(start: int, end: int, share: float) -> int:
    """The column at a share of the way between two."""
    return round(start + share * (end - start))
