"""Edge-seeking designs in a study: one per landscape, which reads what is stored and asks for cells."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import product

import numpy as np

from search_spaces import Cell, EdgeDesign, Place, Point
from study.measures.array_types import Flags, Floats
from study.measures.landscape import FAILED, INFERRED, PENDING, Landscape
from study.measures.lost_cells import collapsed_cells, departed_cells
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

    Its layers are seeds, its rows weight decays, its columns learning rates. The class of a cell is the
    number of regions that it lies in.

    A cell is inside when it is trained, or competitive, against the transform's own best, by the rule of
    `study.measures.regions`. The best is taken over the plateaus of which enough is trained. The design asks
    for what is missing of the best plateau, and classes follow it whenever it moves.

    Args:
        cells: of the landscape, seed by seed and row by row.
        shape: (seeds, weight decays, learning rates).
        kinds: of regions whose edges are sought, the widest first.
        reference_S: each seed's best score [metric, higher is better], where it is known from elsewhere.
        seed: of the design's random choices.
    """

    def __init__(
        self,
        cells: list[Cell],
        shape: tuple[int, int, int],
        tolerances: Tolerances,
        kinds: tuple[str, ...],
        reference_S: Floats | None = None,
        *,
        seed: int = 0,
    ) -> None:
        seeds, rows, columns = shape
        points = product(range(seeds), range(rows), range(columns))
        self.cells: dict[Point, Cell] = dict(zip(points, cells, strict=True))
        self.shape, self.kinds = shape, kinds
        self._limits = [tolerances.least_way(kind) for kind in kinds]
        self._departed = tolerances.departed
        self._reference_S = reference_S
        self._start_S, self._start_loss_S = np.full(seeds, np.nan), np.full(seeds, np.nan)
        self._told_SWL, self._diverged_SWL = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        self._metric_SWL, self._loss_SWL = np.full(shape, np.nan), np.full(shape, np.nan)
        lr = tuple(cell.lr for cell in cells[:columns])
        weight_decay = tuple(cell.weight_decay for cell in cells[: rows * columns : columns])
        self._surroundings = Surroundings.of(weight_decay, lr)
        self.design = EdgeDesign(*shape, self._classes, self._wanted, seed=seed)

    @property
    def batch(self) -> list[Cell]:
        """The cells that the design asks for together, trained or not."""
        return [self.cells[point] for point in self.design.batch]

    @property
    def asked(self) -> list[str]:
        """Keys of the cells that the design asks for and that it was not told; none where it is done."""
        return [self.cells[point].key for point in self.design.ask()]

    def tell(self, known: Known) -> None:
        """Give the design what is stored, until it asks for something that is not."""
        while asked := {point: self.cells[point].key for point in self.design.ask()}:
            # A failed cell says nothing about the region, so the design goes on asking for it.
            found = {key: record for key, record in known(asked.values()).items() if not record.failed}
            if not found:
                return
            told = {point: found[key] for point, key in asked.items() if key in found}
            for point, record in told.items():
                self._note(point, record)
            self.design.tell({point: score_of(record) for point, record in told.items()})

    def _note(self, point: Point, record: CellRecord) -> None:
        seed = point[0]
        if record.metric_initial is not None:
            self._start_S[seed] = signed(record, record.metric_initial)
        if record.loss_initial is not None:
            self._start_loss_S[seed] = record.loss_initial
        self._told_SWL[point] = True
        self._diverged_SWL[point] = not record.finished
        self._metric_SWL[point] = score_of(record)
        self._loss_SWL[point] = math.nan if record.loss_final is None else record.loss_final

    def _classes(self, told: Mapping[Point, float]) -> dict[Point, int]:
        """In how many of the sought regions each told cell lies."""
        score_SWL, lost_SWL = self._scores()
        best_S = self._best(score_SWL) if self._reference_S is None else self._reference_S
        span_S = best_S - self._start_S
        # A NaN of either (nothing is stored yet) is outside too: no comparison with it holds.
        open_SWL = (span_S > 0)[:, None, None] & np.isfinite(score_SWL) & ~lost_SWL
        way_SWL = np.divide(
            score_SWL - self._start_S[:, None, None],
            span_S[:, None, None],
            out=np.full(self.shape, -np.inf),
            where=open_SWL,
        )
        class_SWL = np.sum([way_SWL >= limit for limit in self._limits], axis=0)
        return {point: int(class_SWL[point]) for point in told}

    def _best(self, score_SWL: Floats) -> Floats:
        return reference_scores([self._surroundings.scores(score_SWL)])

    def _wanted(self, told: Mapping[Point, float]) -> list[Place]:
        return [] if self._reference_S is not None else self._surroundings.wanted(self._scores()[0])

    def _scores(self) -> tuple[Floats, Flags]:
        """score_SWL as in `Landscape`, NaN where nothing is known of a cell; and which cells are lost."""
        start_S = self._start_loss_S
        departed = departed_cells(self._loss_SWL, start_S, self._diverged_SWL, self._departed)
        collapsed = collapsed_cells(self._loss_SWL, start_S, self._told_SWL & ~departed)
        lost_SWL = self._told_SWL & (departed | collapsed)
        score_SWL = np.where(lost_SWL, -np.inf, self._metric_SWL)
        # `fmax` passes over the NaN of a seed whose untrained score is not known.
        score_SWL = np.fmax(score_SWL, self._start_S[:, None, None])
        return np.where(self._told_SWL, score_SWL, np.nan), lost_SWL

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
    """One search per setting and transform, over the seeds of the plan's cells; ordered as `landscapes`."""
    groups: dict[tuple[str, Choice], list[Cell]] = {}
    for cell in plan.cells:
        groups.setdefault((cell.setting, Choice(cell.transform, cell.constants)), []).append(cell)
    spec, seeds = plan.spec, len({cell.seed for cell in plan.cells})
    shape = (seeds, len(spec.weight_decay), len(spec.lr))
    return [Search(cells, shape, spec.region, spec.edges_of) for cells in groups.values()]


def with_classes(landscape: Landscape, search: Search) -> Landscape:
    """A landscape that knows what a design says of its first seeds. Cells left untrained are `inferred`."""
    class_SWL = np.full(landscape.outcome_SWL.shape, -1)
    class_SWL[: len(search.class_SWL)] = search.class_SWL
    untrained_SWL = np.isin(landscape.outcome_SWL, (PENDING, FAILED))
    outcome_SWL = np.where(untrained_SWL & (class_SWL >= 0), INFERRED, landscape.outcome_SWL)
    return dataclasses.replace(landscape, outcome_SWL=outcome_SWL, class_SWL=class_SWL, sought=search.kinds)
