"""The design itself: ask for a batch of points, tell their scores, ask again; and the order of its stages."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping
from itertools import product

from search_spaces.edge_design.audit import Audit, check
from search_spaces.edge_design.bracketing import Bracketing
from search_spaces.edge_design.knowledge import Classify, Knowledge, Point
from search_spaces.edge_design.peaks import Sought, climb, ridge, seek
from search_spaces.edge_design.sizes import Sizes, spread

AUDITS = 6
"""Most audits, each after the refinement that the one before called for."""


class EdgeDesign:
    """Which points of a stack of grids to train next, so that a region's edges become known in every row.

    Ask for a batch, tell the scores, ask again; an empty batch ends it. The stages, for all layers at once:

    1. A coarse grid, and points around its best ones, find a best score.
    2. Rows that are far apart are halved along the columns until both sides of every edge are known.
    3. The rows between them start from their neighbours' edges.
    4. Points near frayed edges are asked for until few are expected to be inferred wrongly.
    5. Random points away from the edges, and both sides of some edges, are asked for as an audit. What
       disagrees is refined, and audited again.

    A row whose region is not one run of columns is filled in between its region and its strays. Where these
    are wide apart, the whole row is asked for.

    The design is a function of the observed scores: the same scores lead to the same batches again.

    Args:
        layers, rows, columns: size of the stack; each layer has its own region. In a study a layer is a seed.
        classify: see `Classify`. Higher scores are better; what diverged has the score -inf.
        sought: see `Sought`; without it the single best score is drawn for, see `peaks.draws`.
        sizes: by default they follow from the size of the grid.
        seed: of all random choices.

    Raises:
        ValueError: a size is not positive, or an observed point is not on the grid.
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
        self.batches = 0
        self.done = False
        self._sought = sought
        self._random = random.Random(seed)  # noqa: S311  # chooses points, keeps no secret
        self._bracketing = Bracketing(self.known, self.audit)
        # A generator: its stages read from top to bottom, although each batch waits for the scores before it.
        self._upcoming = self._stages()
        self._batch: list[Point] = []
        self._go_on()

    @property
    def batch(self) -> tuple[Point, ...]:
        """The points that were last asked for together, observed or not."""
        return tuple(self._batch)

    def ask(self) -> list[Point]:
        """The points of the current batch that were not observed yet; empty when the design is done."""
        return [point for point in self._batch if point not in self.known.told]

    def tell(self, scores: Mapping[Point, float]) -> None:
        """Add scores, of the batch or of other points; once the batch is complete, the next one is made."""
        self.known.tell(scores)
        self._go_on()

    def classes(self) -> dict[Point, int]:
        """The class of every point: observed, or inferred."""
        self.known.update()
        return self.known.inferred()

    def _go_on(self) -> None:
        while not self.done and not self.ask():
            batch = next(self._upcoming, None)
            self.done = batch is None
            # Sorted: stages collect points in sets, and the same scores must lead to the same batches.
            self._batch = sorted(point for point in batch or () if self.known.holds(point))
            self.batches += bool(self.ask())

    def _stages(self) -> Iterator[Collection[Point]]:
        known, sizes, bracketing = self.known, self.sizes, self._bracketing
        coarse = spread(known.rows, sizes.rows)
        yield known.in_all_layers(product(coarse, spread(known.columns, sizes.columns)))
        # Classes may be measured against the best score, so it is looked for before any edge is closed.
        yield from climb(known, sizes)
        if self._sought is not None:
            yield from seek(known, self._sought)
        bracketing.rows = coarse
        yield from bracketing.close()
        if self._sought is None:
            yield from ridge(known, sizes, bracketing.rows, self._random)
            yield from bracketing.close()
        while len(bracketing.rows) < known.rows:
            yield bracketing.halve()
            yield from bracketing.close()
        yield from self._settle()
        for _ in range(AUDITS):
            before = self.audit.away_wrong
            yield from check(known, self.audit, sizes, self._random)
            yield from self._settle()
            if self.audit.away_wrong == before:
                return

    def _settle(self) -> Iterator[Collection[Point]]:
        """Close every edge and ask for the most doubtful points, until few are expected to be wrong."""
        known = self.known
        allowed = self.sizes.unsure * known.layers * known.rows * known.columns
        while True:
            yield from self._bracketing.close()
            doubts = known.doubts()
            excess = sum(doubt for _, doubt in doubts.values()) - allowed
            if excess <= 0:
                return
            wanted, gained = set[Point](), 0.0
            for point in sorted(doubts, key=lambda point: (-doubts[point][1], point)):
                if gained >= max(excess, 1.0):
                    break
                wanted.add(point)
                gained += doubts[point][1]
            yield wanted
