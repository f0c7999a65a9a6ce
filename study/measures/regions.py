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
from study.measures.landscape import Landscape
from study.measures.reference import log_odds, way
from study.spec.tolerances import Tolerances

LR, WEIGHT_DECAY = "lr", "weight decay"
"""The axes of a grid."""
MAJORITY = 0.5
"""Share of the seeds that must touch a border of the grid for a mean over seeds to be a bound."""
FELT = 0.01
"""lr · weight decay · steps from which weight decay matters: it shrinks weights by 1 % over the training."""
SLICES = 8
"""Slices of a row of the grid in which the line of `FELT` is followed."""


@dataclass(frozen=True)
class Border:
    """A border of the grid: the `low` or `high` end of the axis `lr` or `weight decay`."""

    end: str
    axis: str


@dataclass(frozen=True)
class Region:
    """The cells of one landscape with one property against one reference.

    The property is `trained` or `competitive`, the reference `own` or `common`. Sizes are computed when they
    are first asked for.

    Attributes:
        inside_WL: cells where at least the spec's share of the seeds has the property.
        inside_SWL: each seed's own region, from which the measures come.
        margin_SWL: how far each cell is above the threshold, on a scale on which it runs about straight; NaN
            where it has none. Without it edges lie halfway between cells.
    """

    landscape: Landscape
    kind: str
    reference: str
    inside_WL: Flags
    inside_SWL: Flags
    margin_SWL: Floats | None = None

    @property
    def optimistic(self) -> bool:
        """Whether the reference was estimated on the seeds that are compared with it."""
        return len(self.inside_SWL) < 3

    @cached_property
    def positive(self) -> Flags:
        """Which weight decays are above 0, and so have a place on a logarithmic axis."""
        return np.array([value > 0 for value in self.landscape.weight_decay])

    @cached_property
    def wd_decades(self) -> Floats:
        """Cell widths along weight decay, 0 for weight decay 0 [decades]."""
        found = np.zeros(len(self.positive))
        found[self.positive] = decades(tuple(value for value in self.landscape.weight_decay if value > 0))
        return found

    @cached_property
    def along_lr(self) -> Extent:
        """Lengths and edges of every seed at each weight decay."""
        lr = self.landscape.lr
        return extent(self.inside_SWL, np.log10(lr), np.array(decades(lr)), self.margin_SWL)

    @cached_property
    def along_wd(self) -> Extent:
        """Lengths and edges of every seed at each learning rate."""
        margin = None if self.margin_SWL is None else np.moveaxis(self.margin_SWL[:, self.positive], 1, 2)
        inside_SLW = np.moveaxis(self.inside_SWL[:, self.positive], 1, 2)
        return extent(inside_SLW, self._log_wd, self.wd_decades[self.positive], margin)

    @property
    def _log_wd(self) -> Floats:
        return np.asarray(np.log10(np.array(self.landscape.weight_decay)[self.positive]))

    @property
    def _inner(self) -> Extent:
        """Along lr at the weight decays above 0; at 0 where there is no other."""
        return self.along_lr.rows(np.flatnonzero(self.positive)) if self.positive.any() else self.along_lr

    @cached_property
    def censored(self) -> tuple[Border, ...]:
        """Which borders of the grid the region touches somewhere in at least half of the seeds.

        Sizes are then lower bounds. One seed of many moves a mean by little.
        """
        if not len(self.inside_SWL):
            return ()
        often_WL: Flags = np.asarray(self.inside_SWL.mean(axis=0) >= MAJORITY)
        if self.positive.any():
            return touched(often_WL[self.positive])
        # Weight decay 0 alone has no place on a logarithmic axis, and so no border.
        return tuple(border for border in touched(often_WL) if border.axis == LR)

    def cut(self, axis: str) -> bool:
        """Whether it runs out of the grid along an axis."""
        return any(border.axis == axis for border in self.censored)

    @cached_property
    def area(self) -> Estimate:
        """Σ (width in log10 lr) x (width in log10 weight decay), weight decay 0 left out [decades²]."""
        length_SW = self.along_lr.length_SR[:, self.positive]
        value_S = (length_SW * self.wd_decades[self.positive]).sum(axis=1)
        return size(value_S, self._area_error, lower_bound=bool(self.censored))

    @cached_property
    def _area_error(self) -> GridError:
        length_SW = self.along_lr.length_SR[:, self.positive]
        edges = self._inner.grid_error(self.wd_decades[self.positive]) if self.positive.any() else EXACT
        return edges + profile_grid_error(length_SW, self._log_wd)

    @cached_property
    def decay_area(self) -> Estimate:
        """The part of the area where weight decay matters, lr · weight decay · steps >= `FELT` [decades²].

        Below that line less decay changes nothing, so that every region goes on for ever.
        """
        height_R, at_R = self.wd_decades[self.positive], self._log_wd
        origin = self.landscape.origin
        steps = origin.condition.budget.steps if origin else 1
        total_S, below = np.zeros(len(self.inside_SWL)), False
        # The line is slanted within a row. So many slices of a row are far finer than its edges are known.
        for k, share in enumerate((np.arange(SLICES) + 0.5) / SLICES - 0.5):
            if not len(at_R):
                break
            start_R = np.log10(FELT / steps) - (at_R + share * height_R)
            length_SR = self._inner.length_from(start_R)
            total_S += (length_SR * height_R).sum(axis=1) / SLICES
            # Only where the line runs below the grid is the part above it cut by the lowest row.
            below = below or (k == 0 and len(total_S) > 0 and (length_SR[:, 0] > 0).mean() >= MAJORITY)
        cut = self.cut(LR) or Border("high", WEIGHT_DECAY) in self.censored
        return size(total_S, self._area_error, lower_bound=cut or bool(below))

    @cached_property
    def lr_width(self) -> Estimate:
        """Length along lr, mean over the weight decays at which the region is not empty at some seed.

        Where it is empty at another seed, that seed counts with 0. Edges lie between cells where scores say
        so, else halfway (`study.measures.edges.extent`) [decades].
        """
        along = self._inner
        filled_R = along.inside_SRX.any(axis=(0, 2))
        weight_R = np.asarray(filled_R / max(int(filled_R.sum()), 1))
        value_S = (along.length_SR * weight_R).sum(axis=1)
        return size(value_S, along.grid_error(weight_R), lower_bound=self.cut(LR))

    @cached_property
    def wd_width(self) -> Estimate:
        """Length along weight decay, mean over the learning rates at which the seed's region is not empty.

        Each seed has its own: one column for all would be chosen from the data that it is applied to
        [decades].
        """
        value_S, weight_R = self._over_columns(self.along_wd.length_SR)
        return size(value_S, self.along_wd.grid_error(weight_R), lower_bound=self.cut(WEIGHT_DECAY))

    @cached_property
    def largest_wd(self) -> Estimate | None:
        """log10 of the weight decay at which the region ends, mean over the same learning rates [decades].

        None where the region is empty at some seed.
        """
        along = self.along_wd
        if not len(self.inside_SWL) or not along.inside_SRX.any(axis=(1, 2)).all():
            return None
        last_SR = along.inside_SRX.shape[2] - along.inside_SRX[..., ::-1].argmax(axis=2)
        place_SR = np.take_along_axis(along.border_SRB, last_SR[..., None], 2)[..., 0]
        value_S, weight_R = self._over_columns(place_SR)
        cut = Border("high", WEIGHT_DECAY) in self.censored
        return Estimate(tuple(value_S.tolist()), along.last.grid_error(weight_R), lower_bound=cut)

    def _over_columns(self, value_SR: Floats) -> tuple[Floats, Floats]:
        """Each seed's mean over its own columns, and the mean weight of each column."""
        filled_SR = self.along_wd.inside_SRX.any(axis=2)
        weight_SR = filled_SR / np.maximum(filled_SR.sum(axis=1, keepdims=True), 1)
        weight_R = weight_SR.sum(axis=0) / max(len(weight_SR), 1)
        return np.asarray((value_SR * weight_SR).sum(axis=1)), np.asarray(weight_R)

    @property
    def max_lr_W(self) -> tuple[float | None, ...]:
        """Per weight decay the largest lr inside, None where the row is empty."""
        lr = self.landscape.lr
        return tuple(_largest(lr, inside_L) for inside_L in self.inside_WL)

    @cached_property
    def lr_width_W(self) -> tuple[Estimate, ...]:
        """Length along lr at each weight decay [decades]."""
        rows = range(len(self.landscape.weight_decay))
        return tuple(self._length(self.along_lr, w, self.inside_SWL[:, w]) for w in rows)

    @cached_property
    def wd_width_L(self) -> tuple[Estimate, ...]:
        """Length along weight decay at each learning rate, weight decay 0 left out [decades]."""
        columns = range(len(self.landscape.lr))
        return tuple(self._length(self.along_wd, c, self.inside_SWL[:, self.positive, c]) for c in columns)

    @property
    def rows(self) -> Flags:
        """The weight decays above 0 at which the region is not empty at some seed; 0 alone counts too."""
        counted = self.positive if self.positive.any() else True
        return np.asarray(self.inside_SWL.any(axis=(0, 2)) & counted)

    def centre_S(self) -> Floats:
        """Each seed's mean log10 lr over its region; NaN where that is empty [decades]."""
        length_S, moment_S = self.along_lr.length_SR.sum(axis=1), self.along_lr.moment_SR.sum(axis=1)
        nowhere = np.full(len(length_S), np.nan)
        return np.asarray(np.divide(moment_S, length_S, out=nowhere, where=length_S > 0))

    def _length(self, along: Extent, index: int, inside_SX: Flags) -> Estimate:
        touches = bool(inside_SX.size) and bool((inside_SX[:, [0, -1]].mean(axis=0) >= MAJORITY).any())
        grid = along.rows([index]).grid_error(np.ones(1))
        return size(along.length_SR[:, index], grid, lower_bound=touches)


def region(
    landscape: Landscape, reference_S: Floats, kind: str, reference: str, tolerances: Tolerances
) -> Region:
    """The region of a landscape whose seeds are all complete."""
    needed = tolerances.least_way(kind)
    alive_SWL, way_SWL = ~landscape.lost_SWL, way(landscape, reference_S)
    inside_SWL = np.asarray((way_SWL >= needed) & alive_SWL)
    # A lost cell has no margin: its score is a convention, which must not place the edge.
    margin_SWL: Floats = np.where(alive_SWL, log_odds(way_SWL) - log_odds(np.array(needed)), np.nan)
    return measured_region(landscape, inside_SWL, kind, reference, tolerances, margin_SWL)


def measured_region(
    landscape: Landscape,
    inside_SWL: Flags,
    kind: str,
    reference: str,
    tolerances: Tolerances,
    margin_SWL: Floats | None = None,
) -> Region:
    """The region of which each seed's own cells are known."""
    inside_WL: Flags = np.asarray(inside_SWL.mean(axis=0) >= tolerances.share - 1e-9)
    return Region(landscape, kind, reference, inside_WL, inside_SWL, margin_SWL)


def _largest(lr: tuple[float, ...], inside_L: Flags) -> float | None:
    return lr[int(np.flatnonzero(inside_L)[-1])] if inside_L.any() else None


def size(value_S: Floats, grid: GridError, *, lower_bound: bool) -> Estimate:
    """A length or an area: it cannot be negative, and may be larger where the region runs out of the grid."""
    return Estimate(tuple(value_S.tolist()), grid, lower_bound=lower_bound, least=0.0)


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


def width_difference(one: Region, other: Region) -> Estimate | None:
    """By how much one region is longer along lr, row by row and paired by seed [decades].

    The mean of the differences over the weight decays at which either is not empty at some seed; a row that
    is empty counts with 0. None where both are empty everywhere. (Their number scales the difference and
    nothing else, so that taking them from the data favours neither.)
    """
    rows = one.rows | other.rows
    if not rows.any():
        return None
    weight_R = rows / rows.sum()
    value_S = (one.along_lr.length_SR - other.along_lr.length_SR) @ weight_R
    mine, theirs = one.lr_width, other.lr_width
    return Estimate(
        tuple(value_S.tolist()),
        one.along_lr.grid_error(weight_R) + other.along_lr.grid_error(weight_R),
        lower_bound=mine.lower_bound or theirs.upper_bound,
        upper_bound=mine.upper_bound or theirs.lower_bound,
    )
