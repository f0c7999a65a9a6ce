"""What people look for first: how wide each transform's regions are, where it is best, and how good there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from study.measures.catalogue import Case, measured
from study.measures.estimate import Estimate, Missing
from study.measures.regions import LR, WEIGHT_DECAY, Border, best_cell


@dataclass(frozen=True)
class Best:
    """The widths of one transform's regions, its best cell, and its score.

    Attributes:
        trained, competitive: lengths along lr of the regions against the transform's own best [decades].
        score: for each seed that of the cell that is best on the others [metric units]. The best cell's own
            mean would be too good, because the same numbers chose the cell.
        lr, weight_decay: of the cell with the best mean over seeds; None where no seed is complete, or no
            cell is better than the untrained network.
        borders: of the grid, that this cell touches: the best may lie outside.
    """

    case: Case
    trained: Estimate | Missing
    competitive: Estimate | Missing
    score: Estimate | Missing
    lr: float | None
    weight_decay: float | None
    borders: tuple[Border, ...]


def reached(cases: Iterable[Case]) -> Iterator[Best]:
    """One entry per setting and transform."""
    for case in cases:
        trained = measured(case, "trained lr width (own best)")
        competitive = measured(case, "competitive lr width (own best)")
        score = measured(case, "tuned score")
        place = _place(case)
        if place is None:
            yield Best(case, trained, competitive, score, lr=None, weight_decay=None, borders=())
            continue
        row, column = place
        lr, weight_decay = case.landscape.lr, case.landscape.weight_decay
        borders = (*_borders(LR, lr, column), *_borders(WEIGHT_DECAY, weight_decay, row))
        yield Best(case, trained, competitive, score, lr[column], weight_decay[row], borders)


def _place(case: Case) -> tuple[int, int] | None:
    """(row, column) of the best cell."""
    landscape = case.landscape
    if not landscape.seeds:
        return None
    place = best_cell(landscape)
    # Lost cells count as untrained. Where nothing is better, all of them are best alike, and none is.
    learned = landscape.score_SWL[:, *place].mean() > (landscape.sign * landscape.untrained_S).mean()
    return place if learned else None


def _borders(axis: str, values: tuple[float, ...], index: int) -> Iterator[Border]:
    if len(values) < 2:
        return
    # There is no weight decay below 0.
    if index == 0 and values[0] > 0:
        yield Border("low", axis)
    if index == len(values) - 1:
        yield Border("high", axis)
