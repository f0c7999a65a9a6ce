"""How large a learning rate may be: the edges of a region along lr, and their distance from the optimum."""

from __future__ import annotations

import numpy as np

from study.measures.array_types import Floats
from study.measures.edges import Side
from study.measures.estimate import Estimate
from study.measures.grid_error import GridError
from study.measures.regions import Region

EMPTY = "the region is empty at this weight decay at some seed"


def largest_lr(region: Region, row: int) -> Estimate | None:
    """log10 of the lr at which the region ends at one weight decay [decades].

    None where the region is empty at some seed.
    A seed whose region runs out of the grid counts with the grid's last lr, and makes it a lower bound.
    """
    return _edge(region, region.along_lr.last, row, last=True)


def smallest_lr(region: Region, row: int) -> Estimate | None:
    """log10 of the lr at which the region begins at one weight decay [decades].

    None where the region is empty at some seed.
    It is an upper bound where the region begins before the grid.
    """
    return _edge(region, region.along_lr.first, row, last=False)


def _edge(region: Region, side: Side, row: int, *, last: bool) -> Estimate | None:
    inside_SL = region.inside_SWL[:, row]
    if not len(inside_SL) or not inside_SL.any(axis=1).all():
        return None
    at = np.log10(region.landscape.lr)
    position_S, out_S = side.position_SR[:, row], inside_SL[:, -1 if last else 0]
    value_S = np.where(out_S, at[-1 if last else 0], position_S)
    grid = Side(position_S[:, None], side.gap, side.doubt).grid_error(np.ones(1))
    cut = bool(out_S.any())
    return Estimate(tuple(value_S.tolist()), grid, lower_bound=last and cut, upper_bound=not last and cut)


def optimum(region: Region, row: int) -> tuple[Floats, GridError]:
    """Each seed's own best lr at one weight decay [decades]; among equals the middle one."""
    at = np.log10(region.landscape.lr)
    score_SL = region.landscape.score_SWL[:, row]
    best = score_SL >= score_SL.max(axis=1, keepdims=True) - 1e-12  # equal up to rounding
    value_S = np.asarray((best * at).sum(axis=1) / best.sum(axis=1))
    gap = float(np.diff(at).mean()) if len(at) > 1 else 0.0
    # Doubt 1: the optimum is a column of the grid and never put between two, so the whole gap is open.
    return value_S, Side(value_S[:, None], gap, 1.0).grid_error(np.ones(1))


def decades_above(region: Region, row: int) -> Estimate | None:
    """How far the lr may be raised from the row's optimum before the region ends [decades]."""
    edge = largest_lr(region, row)
    return edge and _distance(region, row, edge, 1.0)


def decades_below(region: Region, row: int) -> Estimate | None:
    """How far the lr may be lowered from the row's optimum before the region ends [decades]."""
    edge = smallest_lr(region, row)
    return edge and _distance(region, row, edge, -1.0)


def _distance(region: Region, row: int, edge: Estimate, sign: float) -> Estimate:
    best_S, own_grid = optimum(region, row)
    distance_S = sign * (np.array(edge.values_S) - best_S)
    # An edge beyond either end of the grid is further from the optimum than it looks, never nearer.
    return Estimate(
        tuple(distance_S.tolist()), edge.grid + own_grid, lower_bound=edge.lower_bound or edge.upper_bound
    )
