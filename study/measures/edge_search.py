"""Edge-seeking designs in a study: one per landscape, which reads what is stored and asks for cells."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import product

import numpy as np

from search_spaces import Cell, EdgeDesign, Place, Point
from study.measures.array_types import Floats
from study.measures.landscape import FAILED, INFERRED, PENDING, Landscape
from study.measures.plateaus import Surroundings
from study.measures.reference import reference_scores
from study.plan.cells import Plan
from study.spec.method_choice import Choice
from study.spec.tolerances import Tolerances
from tracking import CellRecord

Known = Callable[[Iterable[str]], Mapping[str, CellRecord]]
"""The stored cells among these keys."""


class Search:
    """The design of one transform with one workload and optimizer.

    Its layers are seeds, its rows weight decays, its columns learning rates.

    A cell is inside when it is competitive against the transform's own best, by the rule of
    `study.measures.regions`. The best is taken over the plateaus of which enough is trained. The design asks
    for what is missing of the best plateau, and classes follow it whenever it moves.

    Args:
        cells: of the landscape, seed by seed and row by row.
        shape: (seeds, weight decays, learning rates).
        reference_S: each seed's best score [metric, higher is better], where it is known from elsewhere.
        seed: of the design's random choices.
    """

    def __init__(
        self,
        cells: list[Cell],
        shape: tuple[int, int, int],
        tolerances: Tolerances,
        reference_S: Floats | None = None,
        *,
        seed: int = 0,
    ) -> None:
        seeds, rows, columns = shape
        points = product(range(seeds), range(rows), range(columns))
        self.cells: dict[Point, Cell] = dict(zip(points, cells, strict=True))
        self.shape, self._needed = shape, 1 - tolerances.competitive
        self._start_S = np.full(seeds, np.nan)
        self._reference_S = reference_S
        lr = tuple(cell.lr for cell in cells[:columns])
        weight_decay = tuple(cell.weight_decay for cell in cells[: rows * columns : columns])
        self._surroundings = Surroundings.of(weight_decay, lr)
        self.design = EdgeDesign(*shape, self._competitive, self._wanted, seed=seed)

    @property
    def batch(self) -> list[Cell]:
        """The cells that the design asks for together, trained or not."""
        return [self.cells[point] for point in self.design.batch]

    def tell(self, known: Known) -> None:
        """Give the design what is stored, until it asks for something that is not."""
        while asked := {point: self.cells[point].key for point in self.design.ask()}:
            # A failed cell says nothing about the region, so the design goes on asking for it.
            found = {key: record for key, record in known(asked.values()).items() if not record.failed}
            if not found:
                return
            for point, key in asked.items():
                if key in found and (initial := found[key].metric_initial) is not None:
                    self._start_S[point[0]] = signed(found[key], initial)
            self.design.tell({point: score_of(found[key]) for point, key in asked.items() if key in found})

    def _competitive(self, told: Mapping[Point, float]) -> dict[Point, int]:
        span_S = (self._best(told) if self._reference_S is None else self._reference_S) - self._start_S
        found = {}
        for point, score in told.items():
            start, span = self._start_S[point[0]], span_S[point[0]]
            # A NaN of either (nothing is stored yet) is outside too: no comparison with it holds.
            inside = span > 0 and math.isfinite(score) and (score - start) / span >= self._needed
            found[point] = int(inside)
        return found

    def _best(self, told: Mapping[Point, float]) -> Floats:
        return reference_scores([self._surroundings.scores(self._scores(told))])

    def _wanted(self, told: Mapping[Point, float]) -> list[Place]:
        return self._surroundings.wanted(self._scores(told)) if self._reference_S is None else []

    def _scores(self, told: Mapping[Point, float]) -> Floats:
        """score_SWL as in `Landscape`; NaN where nothing is known of a cell."""
        score_SWL = np.full(self.shape, np.nan)
        for point, score in told.items():
            score_SWL[point] = max(score, self._start_S[point[0]])
        return score_SWL

    @cached_property
    def class_SWL(self) -> np.ndarray:
        """The design's class of each cell; -1 of those that are not trained while it is not done."""
        classes = np.full(self.shape, -1)
        found = self.design.classes() if self.design.done else self.design.known.classes
        for point, value in found.items():
            classes[point] = value
        return classes


def signed(record: CellRecord, metric: float) -> float:
    """A metric turned so that higher is better."""
    return metric if record.metric_direction == "max" else -metric


def score_of(record: CellRecord) -> float:
    """The score of a stored cell; -inf where it diverged, or its metric is not finite."""
    if not record.finished or record.metric_final is None:
        return -math.inf
    return signed(record, record.metric_final)


def searches(plan: Plan) -> list[Search]:
    """One search per setting and transform, in the order of `landscapes`."""
    groups: dict[tuple[str, Choice], list[Cell]] = {}
    for cell in plan.cells:
        groups.setdefault((cell.setting, Choice(cell.transform, cell.constants)), []).append(cell)
    shape = (len(plan.spec.seeds), len(plan.spec.weight_decay), len(plan.spec.lr))
    return [Search(cells, shape, plan.spec.region) for cells in groups.values()]


def with_classes(landscape: Landscape, search: Search) -> Landscape:
    """A landscape that knows what a design says of it; cells that need no training are `inferred`."""
    untrained_SWL = np.isin(landscape.outcome_SWL, (PENDING, FAILED))
    outcome_SWL = np.where(untrained_SWL & (search.class_SWL >= 0), INFERRED, landscape.outcome_SWL)
    return dataclasses.replace(landscape, outcome_SWL=outcome_SWL, class_SWL=search.class_SWL)
