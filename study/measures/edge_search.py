"""Edge-seeking designs in a study: one per landscape, told what is stored, asking for cells; and the rounds of a launch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

import numpy as np

from search_spaces import Cell, EdgeDesign, Place, Point
from study.measures.arrays import Floats
from study.measures.landscape import FAILED, INFERRED, PENDING, Landscape
from study.measures.plateaus import Surroundings
from study.measures.reference import reference_scores
from study.plan.cells import Plan
from study.spec.choice import Choice
from study.spec.tolerances import Tolerances
from tracking import CellRecord

Known = Callable[[Iterable[str]], Mapping[str, CellRecord]]
"""The stored cells among these keys."""


class Search:
    """The design of one transform with one workload and optimizer: layers are seeds, rows weight decays, columns learning rates.

    A cell is inside when it is competitive against the transform's own best, by the rule of `study.measures.regions`; the best is taken
    over the plateaus of which enough is trained, what is missing of the best one is asked for, and classes follow it whenever it moves.

    Args:
        cells: of the landscape, seed by seed and row by row.
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
        self.cells: dict[Point, Cell] = {
            (i // (shape[1] * shape[2]), i // shape[2] % shape[1], i % shape[2]): cell
            for i, cell in enumerate(cells)
        }
        self.shape, self._needed = shape, 1 - tolerances.competitive
        self._start_S = np.full(shape[0], np.nan)
        self._reference_S = reference_S
        lr, weight_decay = (
            tuple(cell.lr for cell in cells[: shape[2]]),
            tuple(cell.weight_decay for cell in cells[: shape[1] * shape[2] : shape[2]]),
        )
        self._surroundings = Surroundings.of(weight_decay, lr)
        self.design = EdgeDesign(*shape, self._competitive, self._wanted, seed=seed)

    @property
    def batch(self) -> list[Cell]:
        """The cells that are asked for together, trained or not."""
        return [self.cells[point] for point in self.design.batch]

    def tell(self, known: Known) -> None:
        """Tell what is stored, as far as the design gets with it."""
        while asked := {point: self.cells[point].key for point in self.design.ask()}:
            found = {key: record for key, record in known(asked.values()).items() if not record.failed}
            if not found:
                return
            for point, key in asked.items():
                if key in found and (initial := found[key].metric_initial) is not None:
                    self._start_S[point[0]] = signed(found[key], initial)
            self.design.tell({point: score_of(found[key]) for point, key in asked.items() if key in found})

    def _competitive(self, told: Mapping[Point, float]) -> dict[Point, int]:
        span_S = (self._best(told) if self._reference_S is None else self._reference_S) - self._start_S
        way = {
            point: (score - self._start_S[point[0]]) / span_S[point[0]]
            for point, score in told.items()
            if span_S[point[0]] > 0 and math.isfinite(score)
        }
        return {point: int(way.get(point, -math.inf) >= self._needed) for point in told}

    def _best(self, told: Mapping[Point, float]) -> Floats:
        return reference_scores([self._surroundings.scores(self._scores(told))])

    def _wanted(self, told: Mapping[Point, float]) -> list[Place]:
        return self._surroundings.wanted(self._scores(told)) if self._reference_S is None else []

    def _scores(self, told: Mapping[Point, float]) -> Floats:
        """score_SWL as in `Landscape`; NaN where a cell is not told."""
        score_SWL = np.full(self.shape, np.nan)
        for point, score in told.items():
            score_SWL[point] = max(score, self._start_S[point[0]])
        return score_SWL

    @cached_property
    def class_SWL(self) -> np.ndarray:
        """The design's class of each cell once it is done; before, -1 of those that are not trained."""
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
    return (
        signed(record, record.metric_final)
        if record.finished and record.metric_final is not None
        else -math.inf
    )


def searches(plan: Plan) -> list[Search]:
    """One search per setting and transform, in the order of `landscapes`."""
    groups: dict[tuple[str, Choice], list[Cell]] = {}
    for cell in plan.cells:
        groups.setdefault((cell.setting, Choice(cell.transform, cell.constants)), []).append(cell)
    shape = (len(plan.spec.seeds), len(plan.spec.weight_decay), len(plan.spec.lr))
    return [Search(cells, shape, plan.spec.region) for cells in groups.values()]


def with_classes(landscape: Landscape, search: Search) -> Landscape:
    """A landscape that knows what a design says of it; cells that need no training are `inferred`."""
    outcome_SWL = np.where(
        np.isin(landscape.outcome_SWL, (PENDING, FAILED)) & (search.class_SWL >= 0),
        INFERRED,
        landscape.outcome_SWL,
    )
    return dataclasses.replace(landscape, outcome_SWL=outcome_SWL, class_SWL=search.class_SWL)
