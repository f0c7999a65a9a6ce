"""How large a learning rate may be: the edges of a region along lr, and their distance from the optimum."""

from __future__ import annotations

import numpy as np

from study.measures.array_types import Flags, Floats
from study.measures.edges import Side
from study.measures.estimate import Estimate
from study.measures.grid_error import GridError
from study.measures.regions import MAJORITY, Region

EMPTY = "the region is empty at this weight decay at some seed"


def only_row(region: Region, row: int) -> Flags:
    """One weight decay, the same at every seed, shape [S, W]."""
    rows_SW = np.zeros(region.inside_SWL.shape[:2], dtype=bool)
    rows_SW[:, row] = True
    return rows_SW


def competitive_rows(competitive: Region) -> Flags:
    """The weight decays at which a seed has a competitive cell, shape [S, W].

    Each seed has its own. A row that is best on the mean of all seeds is one choice that they share, and
    where several are as good it is luck.
    """
    return np.asarray(competitive.inside_SWL.any(axis=2))


def largest_lr(region: Region, rows_SW: Flags) -> Estimate | None:
    """log10 of the lr at which the region around the optimum ends, mean over a seed's rows [decades].

    None where one of these rows is empty. An island beyond the region's end does not count. Where the region
    runs out of the grid, the grid's last lr counts, and the estimate is a lower bound.
    """
    return _edge(region, region.along_lr.last, rows_SW, last=True)


def smallest_lr(region: Region, rows_SW: Flags) -> Estimate | None:
    """log10 of the lr at which the region around the optimum begins, mean over a seed's rows [decades].

    None where one of these rows is empty. It is an upper bound where the region begins before the grid.
    """
    return _edge(region, region.along_lr.first, rows_SW, last=False)


def edges_by_row(region: Region, *, last: bool) -> tuple[Estimate | None, ...]:
    """The same of every weight decay alone: `largest_lr`, or `smallest_lr` where it is not the last edge."""
    inside_SWL, side = region.inside_SWL, region.along_lr.last if last else region.along_lr.first
    none: tuple[Estimate | None, ...] = (None,) * len(region.landscape.weight_decay)
    if not len(inside_SWL):
        return none
    found = _around_optimum(region, last=last)
    filled_W: Flags = np.asarray(inside_SWL.any(axis=2).all(axis=0))
    return tuple(
        _estimate(region, side, only_row(region, w), *found, last=last) if filled else None
        for w, filled in enumerate(filled_W)
    )


def _edge(region: Region, side: Side, rows_SW: Flags, *, last: bool) -> Estimate | None:
    if not len(region.inside_SWL) or not _usable(region, rows_SW):
        return None
    return _estimate(region, side, rows_SW, *_around_optimum(region, last=last), last=last)


def _estimate(
    region: Region, side: Side, rows_SW: Flags, place_SW: Floats, out_SW: Flags, *, last: bool
) -> Estimate:
    at = np.log10(region.landscape.lr)
    place_SW = np.where(out_SW, at[-1 if last else 0], place_SW)
    cut = bool((out_SW & rows_SW).any(axis=1).mean() >= MAJORITY)
    found_S = _mean(place_SW, rows_SW)
    known_SW = np.where(rows_SW & ~out_SW, place_SW, np.nan)
    weight_R = (rows_SW / rows_SW.sum(axis=1, keepdims=True)).mean(axis=0)
    grid = Side(known_SW, side.gap, side.doubt).grid_error(weight_R)
    return Estimate(tuple(found_S.tolist()), grid, lower_bound=last and cut, upper_bound=not last and cut)


def _usable(region: Region, rows_SW: Flags) -> bool:
    """Whether every seed has rows, none of them empty."""
    filled_SW = np.asarray(region.inside_SWL.any(axis=2))
    return bool(rows_SW.any(axis=1).all() and filled_SW[rows_SW].all())


def _mean(value_SW: Floats, rows_SW: Flags) -> Floats:
    return np.asarray(np.where(rows_SW, value_SW, 0.0).sum(axis=1) / rows_SW.sum(axis=1))


def _around_optimum(region: Region, *, last: bool) -> tuple[Floats, Flags]:
    """Where the run of cells ends that holds the row's best, and whether it runs out of the grid, [S, W]."""
    inside, border = region.inside_SWL, region.along_lr.border_SRB
    best_SW = np.where(inside, region.landscape.score_SWL, -np.inf).argmax(axis=2)
    column = np.arange(inside.shape[2])
    if last:
        beyond = ~inside & (column > best_SW[..., None])
        end_SW = np.where(beyond.any(axis=2), beyond.argmax(axis=2), inside.shape[2])
    else:
        before = ~inside & (column < best_SW[..., None])
        last_SW = inside.shape[2] - before[..., ::-1].argmax(axis=2)
        end_SW = np.where(before.any(axis=2), last_SW, 0)
    place_SW = np.take_along_axis(border, end_SW[..., None], 2)[..., 0]
    return place_SW, end_SW == (inside.shape[2] if last else 0)


def optimum(region: Region, rows_SW: Flags) -> tuple[Floats, GridError]:
    """Each seed's own best lr, mean over its rows [decades]; among equals the middle one."""
    at = np.log10(region.landscape.lr)
    score_SWL = region.landscape.score_SWL
    best = score_SWL >= score_SWL.max(axis=2, keepdims=True) - 1e-12  # equal up to rounding
    place_SW = (best * at).sum(axis=2) / best.sum(axis=2)
    gap = float(np.diff(at).mean()) if len(at) > 1 else 0.0
    weight_R = (rows_SW / rows_SW.sum(axis=1, keepdims=True)).mean(axis=0)
    # Doubt 1: the optimum is a column of the grid and never put between two, so the whole gap is open.
    error = Side(np.where(rows_SW, place_SW, np.nan), gap, 1.0).grid_error(weight_R)
    return _mean(place_SW, rows_SW), error


def decades_above(region: Region, rows_SW: Flags) -> Estimate | None:
    """How far the lr may be raised from the row's optimum before the region ends [decades]."""
    edge = largest_lr(region, rows_SW)
    return edge and _distance(region, rows_SW, edge, 1.0)


def decades_below(region: Region, rows_SW: Flags) -> Estimate | None:
    """How far the lr may be lowered from the row's optimum before the region ends [decades]."""
    edge = smallest_lr(region, rows_SW)
    return edge and _distance(region, rows_SW, edge, -1.0)


def _distance(region: Region, rows_SW: Flags, edge: Estimate, sign: float) -> Estimate:
    best_S, own_grid = optimum(region, rows_SW)
    distance_S = sign * (np.array(edge.values_S) - best_S)
    # An edge beyond either end of the grid is further from the optimum than it looks, never nearer.
    return Estimate(
        tuple(distance_S.tolist()), edge.grid + own_grid, lower_bound=edge.lower_bound or edge.upper_bound
    )
