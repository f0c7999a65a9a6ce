"""Where a property ends between two cells of an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from study.measures.array_types import Flags, Floats
from study.measures.grid_error import EXACT, SLIGHT, GridError, shared

LEAST_DOUBT = 0.3
"""A straight line between two cells is never trusted better than this.

Noise and curvature of planted score curves move edges by about 0.08 gaps.
"""


@dataclass(frozen=True)
class Side:
    """The outermost edges on one side of a property. R rows across the axis.

    Attributes:
        position_SR: [decades]; NaN where the row is empty, or the property runs out of the grid.
        gap: mean distance of the cells between which the edges lie [decades].
        doubt: mean share of the gap in which the edge may lie anywhere. It is 1 next to a diverged cell, and
            least where scores run straight.
    """

    position_SR: Floats
    gap: float
    doubt: float

    def grid_error(self, weight_R: Floats) -> GridError:
        """The grid's error of Σ over rows of weight x position, averaged over seeds.

        An edge is known up to doubt x gap. Where the edges of seeds or rows differ, they are dithered: their
        errors differ too, and average out. So the error has three parts.

        - What all edges have in common (`shared` of the spread of all edges) counts fully.
        - What only the seeds of a row have in common (`shared` of the spread within rows) is independent
          between rows.
        - The rest is each seed's own.

        Reference: Widrow and Kollár, "Quantization Noise", 2008, chapters 4 and 19 (dither).
        Differs from the reference: it has one quantiser of a known step. Here the step is doubt x gap, how
            much two errors have in common is estimated from the spread of the edges, and the three parts are
            this project's.
        """
        if self._shared is None:
            return EXACT
        everywhere, row, alike = self._shared
        weight_R = np.abs(weight_R) * np.isfinite(self.position_SR).mean(axis=0)
        total, squares = float(weight_R.sum()), float((weight_R**2).sum())
        size = self.doubt * self.gap
        sd = size * math.sqrt((everywhere * total**2 + (row - everywhere) * squares) / 12)
        seeds = len(self.position_SR)
        own = size * math.sqrt((1 - row) * (alike * total**2 + (1 - alike) * squares) / 12 / seeds)
        reach = size / 2 * (math.sqrt(everywhere) * total + math.sqrt((row - everywhere) * squares))
        return GridError(sd, reach, own)

    @cached_property
    def _shared(self) -> tuple[float, float, float] | None:
        """What all edges have in common, those of a row, and those of a seed; None where none is in doubt."""
        known = np.isfinite(self.position_SR)
        if not known.any() or self.doubt == 0 or self.gap == 0:
            return None
        position_SR = self.position_SR / self.gap
        row = shared(_mean_variance(position_SR.T), self.doubt)
        # Both shares are estimates. What all rows have in common cannot be more than what one row has.
        everywhere = min(row, shared(_mean_variance(position_SR[known][None]), self.doubt))
        return everywhere, row, shared(_mean_variance(position_SR), self.doubt)


def _mean_variance(value_GN: Floats) -> float:
    """Mean over groups of the variance of their known values."""
    known = np.isfinite(value_GN)
    count_G = known.sum(axis=1)
    several = count_G > 1
    if not several.any():
        return 0.0
    value, count = np.where(known, value_GN, 0.0)[several], count_G[several]
    centred = np.where(known[several], value - (value.sum(axis=1) / count)[:, None], 0.0)
    return float(((centred**2).sum(axis=1) / (count - 1)).mean())


@dataclass(frozen=True)
class Extent:
    """How far a property reaches along the last axis of an array, row by row.

    Attributes:
        length_SR: [decades].
        first, last: its two sides.
        inside_SRX: which cells have the property.
        border_SRB: where each cell begins, and where the last one ends: halfway between cells, or at an edge
            [decades].
    """

    length_SR: Floats
    first: Side
    last: Side
    inside_SRX: Flags
    border_SRB: Floats

    def rows(self, chosen: Sequence[int] | NDArray[np.int64]) -> Extent:
        """The same of these rows alone."""
        first, last = (
            Side(side.position_SR[:, chosen], side.gap, side.doubt) for side in (self.first, self.last)
        )
        return Extent(
            self.length_SR[:, chosen], first, last, self.inside_SRX[:, chosen], self.border_SRB[:, chosen]
        )

    @property
    def moment_SR(self) -> Floats:
        """∫ x dx over the property: its length times its middle [decades²]."""
        squares = np.diff(self.border_SRB**2, axis=2) / 2
        return np.asarray((self.inside_SRX * squares).sum(axis=2))

    def length_from(self, start_R: Floats) -> Floats:
        """Its length beyond a place of each row, shape [S, R] [decades]."""
        clipped = np.maximum(self.border_SRB, start_R[:, None])
        return np.asarray((self.inside_SRX * np.diff(clipped, axis=2)).sum(axis=2))

    def grid_error(self, weight_R: Floats) -> GridError:
        """The grid's error of Σ over rows of weight x length."""
        return self.first.grid_error(weight_R) + self.last.grid_error(weight_R)


def extent(inside_SRX: Flags, at_X: Floats, width_X: Floats, margin_SRX: Floats | None = None) -> Extent:
    """How far a property reaches.

    A cell counts with its width. Where both cells beside an edge have a margin, the edge is put between them
    by a straight line, as far as the neighbouring gaps say that the margin runs straight. With change J in
    the gap and d in a neighbouring one,

        like = mean over the neighbours of min(d, J) / max(d, J)
        doubt = 1 - (like - 0.2) / 0.8, between 0.3 and 1
        place = (1 - doubt) · straight line + doubt / 2

    so a jump (into divergence, say) leaves the edge halfway, with the whole gap in doubt.

    Args:
        inside_SRX: which cells have the property.
        at_X: their places on the axis [decades].
        width_X: their widths [decades].
        margin_SRX: how far above the threshold each cell is, on a scale on which it runs about straight; NaN
            where it has none.
    """
    gap_G = np.diff(at_X)
    outer_SR = np.ones((*inside_SRX.shape[:2], 1))
    start, end = (outer_SR * at for at in (at_X[:1] - width_X[:1] / 2, at_X[-1:] + width_X[-1:] / 2))
    if not len(gap_G):
        length_SR = (inside_SRX * width_X).sum(axis=2)
        nowhere = Side(np.full(length_SR.shape, np.nan), 0.0, 0.0)
        return Extent(length_SR, nowhere, nowhere, inside_SRX, np.concatenate([start, end], axis=2))
    before, after = inside_SRX[..., :-1], inside_SRX[..., 1:]
    leaves, enters = before & ~after, ~before & after
    place, doubt = np.full(leaves.shape, 0.5), np.ones(leaves.shape)
    if margin_SRX is not None:
        place, doubt = _straight(margin_SRX, leaves, gap_G)
    from_left = np.where(enters, 1 - place, np.where(leaves, place, 0.5))
    border_SRB = np.concatenate([start, at_X[:-1] + from_left * gap_G, end], axis=2)
    length_SR = (inside_SRX * np.diff(border_SRB, axis=2)).sum(axis=2)
    ends = _outermost(
        leaves[..., ::-1],
        (at_X[:-1] + place * gap_G)[..., ::-1],
        doubt[..., ::-1],
        gap_G[::-1],
        inside_SRX[..., -1],
    )
    starts = _outermost(enters, at_X[1:] - place * gap_G, doubt, gap_G, inside_SRX[..., 0])
    return Extent(length_SR, starts, ends, inside_SRX, border_SRB)


def _straight(margin: Floats, leaves: Flags, gap_G: Floats) -> tuple[Floats, Floats]:
    """Where in every gap the margin crosses 0, from the inner cell [gaps], and how much is in doubt."""
    slope = np.abs(np.diff(margin)) / gap_G
    beside = np.pad(slope, ((0, 0), (0, 0), (1, 1)), constant_values=np.nan)
    like = np.zeros(slope.shape)
    count = np.zeros(slope.shape)
    for other in (beside[..., :-2], beside[..., 2:]):
        usable = np.isfinite(other) & np.isfinite(slope) & (slope > 0)
        smaller, larger = np.minimum(other, slope), np.maximum(other, slope)
        like += np.where(usable, np.divide(smaller, larger, out=np.zeros(slope.shape), where=usable), 0.0)
        count += usable
    doubt = _doubt(np.divide(like, count, out=np.zeros(slope.shape), where=count > 0))
    inner = np.where(leaves, margin[..., :-1], margin[..., 1:])
    outer = np.where(leaves, margin[..., 1:], margin[..., :-1])
    crossing = np.isfinite(slope) & (inner >= 0) & (outer < 0)
    place = np.divide(inner, inner - outer, out=np.full(slope.shape, 0.5), where=crossing)
    return np.where(crossing, (1 - doubt) * place + doubt / 2, 0.5), np.where(crossing, doubt, 1.0)


def _doubt(like: Floats) -> Floats:
    """1 where the neighbours do not continue a change, least where they do in full.

    Less than a fifth of the change is what a plateau slopes by itself.
    """
    return np.asarray(np.maximum(1 - np.clip((like - SLIGHT) / (1 - SLIGHT), 0.0, 1.0), LEAST_DOUBT))


def _outermost(changes: Flags, position: Floats, doubt: Floats, gap_G: Floats, touches_SR: Flags) -> Side:
    """The first change of each row."""
    index = changes.argmax(axis=2)[..., None]
    known = changes.any(axis=2) & ~touches_SR
    if not known.any():
        return Side(np.full(known.shape, np.nan), 0.0, 0.0)
    where = np.where(known, np.take_along_axis(position, index, 2)[..., 0], np.nan)
    return Side(
        where,
        float(gap_G[index[..., 0]][known].mean()),
        float(np.take_along_axis(doubt, index, 2)[..., 0][known].mean()),
    )
