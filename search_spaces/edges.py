"""Edge-seeking designs: the regions of a grid from a fraction of its cells, with an audit that says how far to trust them."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise

from search_spaces.knowledge import Classify, Knowledge, Line, Point
from search_spaces.peaks import Sought, best_place, draws
from search_spaces.rows import Span, frays, next_columns, quarters, runs, span
from search_spaces.sizes import Audit, Sizes, spread

FRAYED = 8
"""A row whose strays lie within columns / FRAYED of its region is filled in between; one with wider strays falls back to all of its columns."""
AUDITS = 6
"""Most audits, each after the refinement that the one before called for."""
RIDGE_BATCHES = 4
"""Batches in which the best score is drawn for."""
SOUGHT_BATCHES = 12
"""Most batches in which the best score is sought."""


class EdgeDesign:
    """Which points of a stack of grids to train next, so that the edges of a region become known in every row.

    Ask for a batch, tell the scores, ask again; an empty batch ends it. A coarse grid, and what is asked for
    around its best points, find a best score; rows that are far apart are halved until both sides of every edge are known; the rows between them start
    from their neighbours' edges, all rows of all layers at once. Points near frayed edges are asked for until few are
    expected to be inferred wrongly. Then random points away from the edges, and both sides of some edges in all layers, are asked
    for as an audit; what disagrees is refined, and audited again. A row whose region is not one run of columns is filled in
    between its region and its strays or, where these are wide apart, as a whole.

    The design is a function of what it was told: telling the same scores again leads to the same batches.

    Args:
        layers, rows, columns: size of the stack; each layer has its own region (in a study a layer is a seed).
        classify: see `Classify`. Higher scores are better; what diverged has the score -inf.
        sought: see `Sought`; without it the single best score is drawn for (`search_spaces.peaks.draws`).
        sizes: by default they follow from the size of the grid.
        seed: of all random choices.

    Raises:
        ValueError: a size is not positive, or a point is told that is not on the grid.
    """

    def __init__(
        self,
        layers: int,
        rows: int,
        columns: int,
        classify: Classify,
        sought: Sought | None = None,
        *,
        sizes: Sizes | None = None,
        seed: int = 0,
    ) -> None:
        self.known = Knowledge(layers, rows, columns, classify)
        self.sizes = sizes or Sizes.of(layers, rows, columns)
        self.audit = Audit()
        self._sought = sought
        self.batches = 0
        self._random = random.Random(seed)  # noqa: S311  # chooses points, keeps no secret
        self._guesses: dict[tuple[Line, int], Span] = {}
        self._solved: list[int] = []
        self._road = self._stages()
        self._batch: list[Point] = []
        self.done = False
        self._go_on()

    @property
    def batch(self) -> tuple[Point, ...]:
        """The points that were last asked for together, told or not."""
        return tuple(self._batch)

    def ask(self) -> list[Point]:
        """The points of the current batch that were not told yet; empty when the design is done."""
        return [point for point in self._batch if point not in self.known.told]

    def tell(self, scores: Mapping[Point, float]) -> None:
        """Scores of points, of the batch or any others; the next batch is made when the current one is told."""
        self.known.tell(scores)
        self._go_on()

    def classes(self) -> dict[Point, int]:
        """The class of every point: told, or inferred."""
        self.known.update()
        return self.known.inferred()

    def _go_on(self) -> None:
        while not self.done and not self.ask():
            batch = next(self._road, None)
            self.done = batch is None
            self._batch = sorted(point for point in batch or () if self.known.holds(point))
            self.batches += bool(self.ask())

    def _stages(self) -> Iterator[Collection[Point]]:
        known = self.known
        coarse = spread(known.rows, self.sizes.rows)
        yield self._in_all_layers(
            (row, column) for row in coarse for column in spread(known.columns, self.sizes.columns)
        )
        yield from self._climb()
        yield from self._seek()
        self._solved = coarse
        yield from self._close()
        if self._sought is None:
            yield from self._ridge()
            yield from self._close()
        while len(self._solved) < known.rows:
            yield self._halve()
            yield from self._close()
        yield from self._settle()
        for _ in range(AUDITS):
            before = self.audit.away_wrong
            yield from self._check()
            yield from self._settle()
            if self.audit.away_wrong == before:
                return

    def _in_all_layers(self, places: Iterable[tuple[int, int]]) -> set[Point]:
        return {(layer, row, column) for row, column in places for layer in range(self.known.layers)}

    def _climb(self) -> Iterator[Collection[Point]]:
        """What surrounds the best place, nearer each time."""
        down, across = (
            self.known.rows / max(1, self.sizes.rows - 1),
            self.known.columns / max(1, self.sizes.columns - 1),
        )
        for _ in range(self.sizes.climb):
            down, across = down / 2, across / 2
            row, column = best_place(self.known)
            yield self._in_all_layers(
                (round(row + r), round(column + c))
                for r, c in ((0, -across), (0, across), (-down, 0), (down, 0))
            )

    def _ridge(self) -> Iterator[Collection[Point]]:
        """Draws for the best score, since regions are measured against it: in random rows, in columns by their chance of holding it."""
        for _ in range(RIDGE_BATCHES):
            self.known.update()
            yield self._in_all_layers(
                draws(self.known, self._solved, math.ceil(self.sizes.ridge / RIDGE_BATCHES), self._random)
            )

    def _seek(self) -> Iterator[Collection[Point]]:
        """What the rule that classes follow needs to know the best score."""
        for _ in range(SOUGHT_BATCHES):
            places = self._sought(self.known.told) if self._sought else ()
            if not places:
                return
            yield self._in_all_layers(places)

    def _close(self) -> Iterator[Collection[Point]]:
        """Ask until both sides of every edge are known in every solved row."""
        while True:
            self.known.update()
            wanted = {
                (layer, row, c)
                for row in self._solved
                for layer in range(self.known.layers)
                for c in self._wanted((layer, row))
            }
            for line, level, side in sorted(self.known.doubted):
                place = self._guesses[line, level][side]
                wanted |= {(*line, place - 1 + side), (*line, place + side)}
            self.known.doubted.clear()
            wanted |= self._beside_holes()
            yield (
                wanted := {
                    point for point in wanted if self.known.holds(point) and point not in self.known.told
                }
            )
            if not wanted:
                return

    def _wanted(self, line: Line) -> set[int]:
        known, columns = self.known.lines.get(line, {}), self.known.columns
        levels = range(1, max(known.values(), default=0) + 1)
        found = {
            c
            for level in levels
            for c in next_columns(known, level, self._guesses.get((line, level)), columns)
        }
        if (
            lost := self._guesses.get((line, max(levels, default=0) + 1))
        ) is not None:  # expected inside, and nothing there yet
            found |= quarters(lost) - known.keys()
        strays = [frays(known, level) for level in levels]
        if found or not any(strays):
            return found
        if max(map(len, strays)) > max(3, columns / FRAYED):
            self.audit.fell_back.add(line)
            return set(range(columns))
        self.audit.filled.add(line)
        return set().union(*strays)

    def _beside_holes(self) -> set[Point]:
        """In the rows next to one that fell back, the middle of each of its runs and holes: these are seldom one row wide."""
        wanted = set()
        for layer, row in self.audit.fell_back:
            known = self.known.lines[layer, row]
            for level in range(1, max(known.values()) + 1):
                ends = [column for run in runs(known, level) for column in run]
                wanted |= {
                    (layer, r, (a + b) // 2)
                    for a, b in pairwise(ends)
                    for r in (row - 1, row + 1)
                    if r in self._solved
                }
        return wanted

    def _halve(self) -> set[Point]:
        """Take on the rows halfway between solved ones, and ask for both sides of the edges that their neighbours lead to expect."""
        rows, wanted = sorted(self._solved), set()
        for at, (below, above) in enumerate(pairwise(rows)):
            if above - below > 1:
                row = (below + above) // 2
                self._solved.append(row)
                for layer in range(self.known.layers):
                    wanted |= self._warm_start(layer, row, below, above, rows[max(0, at - 1) : at + 3])
        return wanted

    def _warm_start(self, layer: int, row: int, below: int, above: int, around: list[int]) -> set[Point]:
        """Guess a row's edges. One that is in the same column in the rows around, two on either side, is taken over unasked."""
        line, sides = (layer, row), ((layer, below), (layer, above))
        share = (row - below) / (above - below)
        wanted: set[int] = set()
        for level in range(1, max(max(self.known.lines[side].values()) for side in sides) + 1):
            low, high = (span(self.known.lines[side], level) for side in sides)
            if low and high:
                guess = (
                    round(low[0] + share * (high[0] - low[0])),
                    round(low[1] + share * (high[1] - low[1])),
                )
                self._guesses[line, level] = guess
                for side in (0, 1):
                    if len(around) > 2 and {self.known.edge(((layer, r), level, side)) for r in around} == {
                        low[side]
                    }:
                        self.known.assume((line, level, side), sides, low[side])
                    else:
                        wanted |= {guess[side] - 1 + side, guess[side] + side}
            elif one := low or high:
                self._guesses[line, level] = one
                wanted |= quarters(one)
        if (
            not wanted and (line, 1) not in self._guesses
        ):  # both neighbours are empty: one look where they are best
            wanted = {
                max(
                    (self.known.told.get((*side, c), -math.inf), c)
                    for side in sides
                    for c in self.known.lines[side]
                )[1]
            }
        return {(*line, c) for c in wanted}

    def _settle(self) -> Iterator[Collection[Point]]:
        """Close every edge, then ask for the most doubtful points, until few enough are expected to be inferred wrongly."""
        allowed = self.sizes.unsure * self.known.layers * self.known.rows * self.known.columns
        while True:
            yield from self._close()
            doubts = self.known.doubts()
            excess = sum(doubt for _, doubt in doubts.values()) - allowed
            if excess <= 0:
                return
            wanted, gained = set(), 0.0
            for point in sorted(doubts, key=lambda point: (-doubts[point][1], point)):
                if gained >= max(excess, 1.0):
                    break
                wanted.add(point)
                gained += doubts[point][1]
            yield wanted

    def _check(self) -> Iterator[Collection[Point]]:
        """An audit; then what surrounds the points that disagree, as far as these disagree too."""
        said = self.known.inferred()
        edges = [
            (layer, row, c)
            for (layer, row, c), value in sorted(said.items())
            if said.get((layer, row, c + 1), value) != value
        ]
        beside = {(layer, row, c + k) for layer, row, c in edges for k in (-1, 0, 1, 2)}
        away = self._sample(said.keys() - self.known.told.keys() - beside, self.sizes.audit)
        chosen = self._sample(edges, self.sizes.edges)
        near = (
            self._in_all_layers((row, c + k) for _, row, c in chosen for k in (0, 1)) - self.known.told.keys()
        )
        yield {*away, *near}
        self.known.update()
        wrong = self._wrong(away, said)
        self.audit.away += len(away)
        self.audit.away_wrong += len(wrong)
        self.audit.near += len(near)
        self.audit.near_wrong += len(self._wrong(near, said))
        while wrong:
            around = {
                (layer, row + k, c) for layer, row, c in wrong for k in (-1, 1)
            } & said.keys() - self.known.told.keys()
            yield around
            self.known.update()
            wrong = self._wrong(around, said)

    def _sample(self, points: Iterable[Point], count: int) -> list[Point]:
        ordered = sorted(points)
        return self._random.sample(ordered, min(count, len(ordered)))

    def _wrong(self, points: Iterable[Point], said: Mapping[Point, int]) -> list[Point]:
        return [point for point in points if self.known.classes[point] != said[point]]
