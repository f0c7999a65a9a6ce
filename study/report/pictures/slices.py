"""What slices and tuning curves show: scores along one axis, seeds as bands, all transforms. Numbers only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from study.analysis import Analysis
from study.measures.array_types import Flags, Floats
from study.measures.estimate import Missing
from study.measures.evidence import Evidence
from study.measures.landscape import DIVERGED, Landscape
from study.measures.tuning import tuning_curve
from study.papers.agreement import printed_cell
from study.report.pictures.shades import Scale, scale_of
from study.report.pictures.training_curves import position

MOST_CELLS = 100
"""Cells up to which a tuning curve goes."""
HALF = 0.5
"""A line is named where it last is this far up, from the untrained to the best."""


@dataclass(frozen=True)
class Line:
    """One transform along an axis of J places.

    Attributes:
        where: what of the other axis it is read at.
        lost_J: where at least half of the seeds diverged.
    """

    transform: str
    title: str
    where: str
    at_J: tuple[float, ...]
    mean_J: Floats
    low_J: Floats
    high_J: Floats
    lost_J: Flags

    def anchor(self, scale: Scale) -> int:
        """The place at which the line is named: the last one where it is still halfway up."""
        high = np.flatnonzero(scale.shade(self.mean_J) >= HALF * float(scale.shade(self.mean_J).max()))
        return int(high[-1]) if len(high) else len(self.at_J) - 1


@dataclass(frozen=True)
class Chart:
    """Lines of all transforms on one axis.

    Attributes:
        axis: its name.
        words: what is read, and where.
    """

    axis: str
    words: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Charts:
    """A page of charts with one scale of scores."""

    title: str
    metric: str
    scale: Scale
    charts: tuple[Chart, ...]
    note: str


def slices(
    analysis: Analysis, piece: Evidence, lr: float | None = None, weight_decay: float | None = None
) -> Charts | Missing:
    """Scores along lr at each transform's best weight decay and at one for all; and the other way round.

    Args:
        lr, weight_decay: the values for all; else a paper's setting, if the grid has it, or those that are
            best on the mean of all transforms.

    Raises:
        UserError: a value is not on the grid.
    """
    landscapes = list(piece.landscapes.values())
    if not piece.n_seeds:
        return Missing("needs a seed that is complete for all transforms")
    if piece.partial:
        return Missing("needs the scores of the whole grid (design: grid)")
    column, row, why = common_cell(analysis, landscapes, lr, weight_decay)
    decays, lrs = landscapes[0].weight_decay, landscapes[0].lr
    charts = []
    if len(lrs) > 1:
        own = [along_lr(one, best_index(one)[0]) for one in landscapes]
        charts.append(Chart("learning rate", "each transform's best weight decay", tuple(own)))
        fixed = [along_lr(one, row) for one in landscapes]
        if len(decays) > 1:
            charts.append(Chart("learning rate", f"weight decay {decays[row]:.3g} ({why})", tuple(fixed)))
    if len(decays) > 1:
        own = [along_decay(one, best_index(one)[1]) for one in landscapes]
        charts.append(Chart("weight decay", "each transform's best learning rate", tuple(own)))
        fixed = [along_decay(one, column) for one in landscapes]
        if len(lrs) > 1:
            charts.append(Chart("weight decay", f"learning rate {lrs[column]:.3g} ({why})", tuple(fixed)))
    if not charts:
        return Missing("needs at least two learning rates or weight decays")
    return Charts(
        f"{analysis.plan.spec.name}: {piece.name}",
        landscapes[0].metric_name,
        scale_with(landscapes, charts),
        tuple(charts),
        f"means of {piece.n_seeds} seeds, bands from least to greatest; lost seeds count as untrained; "
        "×: half of them or more diverged",
    )


def common_cell(
    analysis: Analysis, landscapes: Sequence[Landscape], lr: float | None, weight_decay: float | None
) -> tuple[int, int, str]:
    """Column and row of the cell that all transforms are read at, and why that one."""
    spec = analysis.plan.spec
    column, row = position("lr", lr, spec.lr), position("weight-decay", weight_decay, spec.weight_decay)
    printed = printed_cell(analysis, landscapes[0])
    if column is None and row is None and printed is not None:
        return *printed, "the paper's"
    mean_WL = np.mean([one.score_SWL.mean(axis=0) for one in landscapes], axis=0)
    if column is not None and row is not None:
        return column, row, "as asked for"
    allowed_WL = np.zeros(mean_WL.shape, dtype=bool)
    allowed_WL[slice(None) if row is None else row, slice(None) if column is None else column] = True
    best = int(np.where(allowed_WL, mean_WL, -np.inf).argmax())
    reason = "best on the mean of all" if column is None and row is None else "as asked for, or best with it"
    return best % mean_WL.shape[1], best // mean_WL.shape[1], reason


def best_index(landscape: Landscape) -> tuple[int, int]:
    """Row and column of the best mean score."""
    from study.measures.regions import best_cell

    return best_cell(landscape)


def along_lr(landscape: Landscape, row: int) -> Line:
    """A transform's scores at one weight decay."""
    where = f"weight decay {landscape.weight_decay[row]:.3g}"
    return _line(landscape, landscape.lr, landscape.score_SWL[:, row], landscape.outcome_SWL[:, row], where)


def along_decay(landscape: Landscape, column: int) -> Line:
    """A transform's scores at one learning rate."""
    where = f"lr {landscape.lr[column]:.3g}"
    score_SW, outcome_SW = landscape.score_SWL[..., column], landscape.outcome_SWL[..., column]
    return _line(landscape, landscape.weight_decay, score_SW, outcome_SW, where)


def _line(landscape: Landscape, at: tuple[float, ...], score_SJ: Floats, outcome_SJ: Any, where: str) -> Line:
    value_SJ = landscape.sign * score_SJ
    lost_J: Flags = np.asarray((outcome_SJ == DIVERGED).mean(axis=0) >= HALF)
    ends = value_SJ.mean(axis=0), value_SJ.min(axis=0), value_SJ.max(axis=0)
    return Line(landscape.transform, landscape.title, where, at, *ends, lost_J)


def tuning(analysis: Analysis, piece: Evidence) -> Charts | Missing:
    """The expected best score after k random cells of the grid, with intervals."""
    landscapes = list(piece.landscapes.values())
    if not piece.n_seeds or piece.partial:
        return Missing("needs a complete seed of the whole grid")
    most = min(landscapes[0].score_SWL[0].size, MOST_CELLS)
    if most < 2:
        return Missing("needs at least two cells")
    lines = []
    for one in landscapes:
        found = tuning_curve(one, most)
        spans = [estimate.interval(piece.tolerances.confidence) or (math.nan, math.nan) for estimate in found]
        mean_J = one.sign * np.array([estimate.mean for estimate in found])
        ends_2J = one.sign * np.array(spans).T
        at = tuple(float(k) for k in range(1, most + 1))
        low_J, high_J = ends_2J.min(axis=0), ends_2J.max(axis=0)
        lines.append(
            Line(one.transform, one.title, "", at, mean_J, low_J, high_J, np.zeros(most, dtype=bool))
        )
    words = "expected best of so many random cells"
    note = f"means of {piece.n_seeds} seeds, bands: {piece.tolerances.confidence:.0%} intervals"
    chart = Chart("random cells of the grid", words, tuple(lines))
    scale = scale_with(landscapes, [chart])
    title = f"{analysis.plan.spec.name}: {piece.name}"
    return Charts(title, landscapes[0].metric_name, scale, (chart,), note)


def scale_with(landscapes: Sequence[Landscape], charts: Sequence[Chart]) -> Scale:
    """The scale of the heatmaps, on to the best end of a band."""
    found, sign = scale_of(landscapes), landscapes[0].sign
    lines = [line for chart in charts for line in chart.lines]
    ends = sign * np.concatenate([end for line in lines for end in (line.low_J, line.high_J)])
    best = float(np.max(ends, initial=sign * found.best, where=np.isfinite(ends)))
    return Scale(found.start, sign * best)


def spread(wanted: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Places near the wanted ones, in their order, that are at least so far apart, within two ends.

    Args:
        wanted: rising.
    """
    count = len(wanted)
    apart = min(apart, (high - low) / max(count - 1, 1))
    # Pools of neighbours that would touch share their mean place: the least change in total, as in isotonic
    # regression, of which this is the solution (pool adjacent violators).
    pools: list[tuple[float, int]] = []
    for k, value in enumerate(wanted):
        pools.append((value - k * apart, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, n), (b, m) = pools[-2:]
            pools[-2:] = [((a * n + b * m) / (n + m), n + m)]
    flat = [value for value, size in pools for _ in range(size)]
    top = high - (count - 1) * apart
    return [min(max(value, low), top) + k * apart for k, value in enumerate(flat)]


def chart_table(shown: Charts) -> list[dict[str, Any]]:
    """The numbers behind charts, one row per chart, transform and place."""
    rows: list[dict[str, Any]] = []
    for chart in shown.charts:
        for line in chart.lines:
            for k, at in enumerate(line.at_J):
                rows.append(
                    {
                        "chart": f"{chart.axis}: {chart.words}",
                        "transform": line.transform,
                        "read_at": line.where,
                        chart.axis if len(shown.charts) == 1 else "at": at,
                        shown.metric: float(line.mean_J[k]),
                        "low": float(line.low_J[k]),
                        "high": float(line.high_J[k]),
                        "diverged": bool(line.lost_J[k]),
                        "label": line.title,
                    }
                )
    return rows
