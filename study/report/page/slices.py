"""Slices through the maps: the score over one axis, at each transform's best value of the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from study.best import Best
from study.measures.array_types import Floats
from study.measures.evidence import Evidence
from study.measures.landscape import Landscape
from study.report.page.charts import Chart, Line, chart
from study.report.page.wording import number, place, tick
from study.report.pictures.geometry import tick_places
from study.report.pictures.slices import along_decay, along_lr


@dataclass(frozen=True)
class Slices:
    """The score of every transform of a setting along one axis.

    Attributes:
        axis: `lr` or `weight decay`. at: where each transform's slice lies.
        table: one row per transform.
    """

    axis: str
    metric: str
    chart: Chart
    at: list[str]
    places: list[str]
    table: list[tuple[str, list[str]]]


def slices(piece: Evidence, bests: Mapping[str, Best]) -> list[Slices]:
    """Along lr, and along weight decay, as far as the axes have two values or more.

    Of complete seeds. A lost seed counts as untrained, as in the figure of slices.

    Args:
        bests: by transform.
    """
    landscapes = list(piece.landscapes.values())
    if not piece.n_seeds or piece.partial:
        return []
    cells = [cell_of(one, bests.get(one.transform)) for one in landscapes]
    found = [
        slice_of(landscapes, "lr", [row for row, _ in cells]),
        slice_of(landscapes, "weight decay", [column for _, column in cells]),
    ]
    return [one for one in found if one is not None]


def cell_of(landscape: Landscape, best: Best | None) -> tuple[int, int]:
    """(row, column) of the best cell, the middle of the grid where there is none."""
    if best is None or best.lr is None or best.weight_decay is None:
        return len(landscape.weight_decay) // 2, len(landscape.lr) // 2
    return landscape.weight_decay.index(best.weight_decay), landscape.lr.index(best.lr)


def slice_of(landscapes: Sequence[Landscape], axis: str, others: Sequence[int]) -> Slices | None:
    """One line per transform.

    Args:
        others: index of each transform's value of the other axis.
    """
    first, over_lr = landscapes[0], axis == "lr"
    values = first.lr if over_lr else first.weight_decay
    if len(values) < 2:
        return None
    at_J = positions(values)
    lines = []
    for landscape, other in zip(landscapes, others, strict=True):
        read = along_lr(landscape, other) if over_lr else along_decay(landscape, other)
        lines.append(Line(landscape.title, at_J, read.mean_J, read.low_J, read.high_J))
    ticks = [(float(at_J[k]), tick(values[k])) for k in tick_places(values)]
    drawn = chart(lines, ticks)
    if drawn is None:
        return None
    beside = first.weight_decay if over_lr else first.lr
    name = "weight decay" if over_lr else "lr"
    return Slices(
        axis,
        first.metric_name,
        drawn,
        [f"{name} {place(beside[other])}" for other in others],
        [place(value) for value in values],
        [(line.name, [number(float(value)) for value in line.mean_J]) for line in lines],
    )


def positions(values: Sequence[float]) -> Floats:
    """Where values stand on a logarithmic axis [decades]; 0 stands one step before the others."""
    positive = np.log10([value for value in values if value > 0])
    gap = float(np.diff(positive).min()) if len(positive) > 1 else 1.0
    first = float(positive.min()) - gap if len(positive) else 0.0
    return np.array([np.log10(value) if value > 0 else first for value in values])
