"""The stable part of a landscape, and its sizes with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from search_spaces import decades
from study.measures.array_types import Flags, Floats
from study.measures.edges import Extent, extent
from study.measures.estimate import Estimate
from study.measures.grid_error import EXACT, GridError, profile_grid_error
from study.measures.landscape import DIVERGED, Landscape
from study.measures.reference import log_odds, way
from study.spec.tolerances import Tolerances

LR, WEIGHT_DECAY = "lr", "weight decay"
"""The axes of a grid."""


@dataclass(frozen=True)
class Border:
    """A border of the grid: the `low` or `high` end of the axis `lr` or `weight decay`."""

    end: str
    axis: str


@dataclass(frozen=True)
class Region:
    """The cells of one landscape with one property against one reference.

    The property is `trained` or `competitive`, the reference `own` or `common`.

    Attributes:
        inside_WL: cells where at least the spec's share of the seeds has the property.
        inside_SWL: each seed's own region, from which the measures come.
        area: Σ (width in log10 lr) x (width in log10 weight decay) [decades²]; weight decay 0 is left out.
        lr_width: median length along lr, over the weight decays at which the seed's region is not empty
            [decades]. Edges lie between cells where scores say so, else halfway
            (`study.measures.edges.extent`).
        along_lr: lengths and edges of every seed at each weight decay.
        along_wd: the same at each learning rate.
        best: index of the learning rate that is best on the seeds' mean.
        max_lr_W: per weight decay the largest lr inside, None where the row is empty.
        censored: which borders of the grid the region touches: sizes are then lower bounds.
        optimistic: the reference was estimated on the seeds that are compared with it (fewer than three
            seeds).
    """

    landscape: Landscape
    kind: str
    reference: str
    inside_WL: Flags
    inside_SWL: Flags
    area: Estimate
    lr_width: Estimate
    along_lr: Extent
    along_wd: Extent
    best: int
    max_lr_W: tuple[float | None, ...]
    censored: tuple[Border, ...]
    optimistic: bool

    @cached_property
    def lr_width_W(self) -> tuple[Estimate, ...]:
        """Length along lr at each weight decay [decades]."""
        rows = range(len(self.landscape.weight_decay))
        return tuple(self._length(self.along_lr, w, self.inside_SWL[:, w]) for w in rows)

    @cached_property
    def wd_width_L(self) -> tuple[Estimate, ...]:
        """Length along weight decay at each learning rate, weight decay 0 left out [decades]."""
        positive = np.array(self.landscape.weight_decay) > 0
        columns = range(len(self.landscape.lr))
        return tuple(self._length(self.along_wd, c, self.inside_SWL[:, positive, c]) for c in columns)

    @property
    def wd_width(self) -> Estimate:
        """Length along weight decay at the best learning rate [decades]."""
        positive = np.array(self.landscape.weight_decay) > 0
        return self._length(self.along_wd, self.best, self.inside_SWL[:, positive, self.best])

    def _length(self, along: Extent, index: int, inside_SX: Flags) -> Estimate:
        touches = bool(inside_SX.size) and bool(inside_SX[:, 0].any() or inside_SX[:, -1].any())
        grid = along.rows([index]).grid_error(np.ones(1))
        return size(along.length_SR[:, index], grid, lower_bound=touches)


def region(
    landscape: Landscape, reference_S: Floats, kind: str, reference: str, tolerances: Tolerances
) -> Region:
    """The region of a landscape whose seeds are all complete."""
    needed = {"trained": tolerances.trained, "competitive": 1 - tolerances.competitive}[kind]
    finished_SWL, way_SWL = landscape.outcome_SWL != DIVERGED, way(landscape, reference_S)
    inside_SWL = np.asarray((way_SWL >= needed) & finished_SWL)
    # A diverged cell has no margin: its score is a convention, which must not place the edge.
    margin_SWL: Floats = np.where(finished_SWL, log_odds(way_SWL) - log_odds(np.array(needed)), np.nan)
    return measured_region(landscape, inside_SWL, kind, reference, tolerances, margin_SWL)


def measured_region(
    landscape: Landscape,
    inside_SWL: Flags,
    kind: str,
    reference: str,
    tolerances: Tolerances,
    margin_SWL: Floats | None = None,
) -> Region:
    """The region of which each seed's own cells are known, with its sizes.

    Without margins its edges lie halfway between cells.
    """
    inside_WL: Flags = np.asarray(inside_SWL.mean(axis=0) >= tolerances.share - 1e-9)
    lr_decades, wd_decades, positive = axis_decades(landscape)
    weight_decay = np.log10(np.array(landscape.weight_decay)[positive])
    margin_SLW = None if margin_SWL is None else np.moveaxis(margin_SWL[:, positive], 1, 2)
    along_lr = extent(inside_SWL, np.log10(landscape.lr), lr_decades, margin_SWL)
    along_wd = extent(
        np.moveaxis(inside_SWL[:, positive], 1, 2), weight_decay, wd_decades[positive], margin_SLW
    )
    # Sizes are measured per seed, so one seed at the border makes them bounds.
    anywhere_WL: Flags = np.asarray(inside_SWL.any(axis=0))
    if positive.any():
        censored = touched(anywhere_WL[positive])
        inner = along_lr.rows(np.flatnonzero(positive))
        lr_error = inner.grid_error(wd_decades[positive])
    else:  # weight decay 0 alone: it has no place on a logarithmic axis, and so neither a border nor an area
        censored = tuple(border for border in touched(anywhere_WL) if border.axis == LR)
        inner, lr_error = along_lr, EXACT
    length_SW = along_lr.length_SR[:, positive]
    return Region(
        landscape,
        kind,
        reference,
        inside_WL,
        inside_SWL,
        area=size(
            (length_SW * wd_decades[positive]).sum(axis=1),
            lr_error + profile_grid_error(length_SW, weight_decay),
            lower_bound=bool(censored),
        ),
        lr_width=size(*inner.median(), lower_bound=any(border.axis == LR for border in censored)),
        best=best_cell(landscape)[1],
        along_wd=along_wd,
        along_lr=along_lr,
        max_lr_W=tuple(_largest(landscape.lr, inside_L) for inside_L in inside_WL),
        censored=censored,
        optimistic=len(inside_SWL) < 3,
    )


def _largest(lr: tuple[float, ...], inside_L: Flags) -> float | None:
    return lr[int(np.flatnonzero(inside_L)[-1])] if inside_L.any() else None


def size(value_S: Floats, grid: GridError, *, lower_bound: bool) -> Estimate:
    """A length or an area: it cannot be negative, and may be larger where the region runs out of the grid."""
    return Estimate(tuple(value_S.tolist()), grid, lower_bound=lower_bound, least=0.0)


def axis_decades(landscape: Landscape) -> tuple[Floats, Floats, Flags]:
    """Cell widths along lr and along weight decay [decades], and which rows have a weight decay above 0."""
    positive = np.array([value > 0 for value in landscape.weight_decay])
    wd_decades = np.zeros(len(positive))
    wd_decades[positive] = decades(tuple(value for value in landscape.weight_decay if value > 0))
    return np.array(decades(landscape.lr)), wd_decades, positive


def touched(inside_WL: Flags) -> tuple[Border, ...]:
    """The borders of the grid that a region touches."""
    if not inside_WL.any():
        return ()
    sides = {
        Border("low", LR): inside_WL[:, 0],
        Border("high", LR): inside_WL[:, -1],
        Border("low", WEIGHT_DECAY): inside_WL[0],
        Border("high", WEIGHT_DECAY): inside_WL[-1],
    }
    return tuple(border for border, side in sides.items() if side.any())


def best_cell(landscape: Landscape) -> tuple[int, int]:
    """(row, column) of the best seed-mean score; among equals the one nearest to their middle."""
    mean_WL = landscape.score_SWL.mean(axis=0)
    # Many cells can be best alike (an accuracy of 1). The first of them would lie at their rim.
    ties = np.argwhere(mean_WL >= mean_WL.max() - 1e-12)
    row, column = ties[np.abs(ties - ties.mean(axis=0)).sum(axis=1).argmin()]
    return int(row), int(column)
