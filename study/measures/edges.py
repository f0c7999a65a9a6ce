"""Where a property ends between two cells of an axis, and what the spacing of the grid hides of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from study.measures.arrays import Flags, Floats
from study.measures.estimate import GridError

HARMONICS = np.arange(1, 60)
JITTERS = np.concatenate([[0.0], np.geomspace(0.005, 4.0, 160)])
"""Standard deviations of an edge between seeds for which the table of `shared` is made [gaps]."""
SLIGHT = 0.2
"""A neighbouring change of at most this share does not make a jump a slope."""
LEAST_DOUBT = 0.3
"""A straight line between two cells is never trusted better than this: noise and curvature of planted score curves move edges by about 0.08 gaps."""
SHARED = np.array(
    [
        6 / math.pi**2 * np.sum(np.exp(-((2 * math.pi * HARMONICS * sd) ** 2)) / HARMONICS**2) if sd else 1.0
        for sd in JITTERS
    ]
)
"""Share of the spacing's error that two jittered edges have in common: Σ_k 6/(π k)² exp(-(2π k sd)²)."""


@dataclass(frozen=True)
class Side:
    """The outermost edges on one side of a property. R rows across the axis.

    Attributes:
        position_SR: [decades]; NaN where the row is empty, or the property runs out of the grid.
        gap: mean distance of the cells between which the edges lie [decades].
        doubt: mean share of the gap in which the edge may lie anywhere: 1 next to a diverged cell, least where scores run straight.
    """

    position_SR: Floats
    gap: float
    doubt: float

    def spacing(self, weight_R: Floats) -> GridError:
        """The spacing's error of Σ over rows of weight x position, averaged over seeds.

        An edge is known up to doubt x gap. Seeds and rows whose edges differ are dithered: their errors differ too, and average
        out. So the part that all have in common (`shared` of the spread of all edges) counts fully, the part that only the seeds
        of a row have in common (`shared` of the spread within rows) as independent between rows, and the rest as each seed's own.

        Reference: Widrow and Kollár, "Quantization Noise", 2008, chapters 4 and 19 (dither).
        """
        known = np.isfinite(self.position_SR)
        if not known.any() or self.doubt == 0 or self.gap == 0:
            return GridError()
        position_SR = self.position_SR / self.gap
        row = shared(_mean_variance(position_SR.T), self.doubt)
        everywhere = min(row, shared(_mean_variance(position_SR[known][None]), self.doubt))
        alike = shared(_mean_variance(position_SR), self.doubt)
        weight_R = np.abs(weight_R) * known.mean(axis=0)
        total, squares = float(weight_R.sum()), float((weight_R**2).sum())
        size = self.doubt * self.gap
        sd = size * math.sqrt((everywhere * total**2 + (row - everywhere) * squares) / 12)
        own = size * math.sqrt((1 - row) * (alike * total**2 + (1 - alike) * squares) / 12 / len(position_SR))
        return GridError(
            sd, size / 2 * (math.sqrt(everywhere) * total + math.sqrt((row - everywhere) * squares)), own
        )

    def median(self, near_R: Flags) -> GridError:
        """The spacing's error of a median over rows: it snaps to the grid, so that rows do not dither it as they do a mean."""
        known = [row[np.isfinite(row)] for row in self.position_SR[:, near_R]]
        position_S = np.array([np.median(row) if len(row) else np.nan for row in known])
        return Side(position_S[:, None], self.gap, self.doubt).spacing(np.ones(1))


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
        length_SR: [decades]. first, last: its two sides.
    """

    length_SR: Floats
    first: Side
    last: Side

    def rows(self, chosen: Sequence[int] | NDArray[np.int64]) -> Extent:
        """The same of these rows alone."""
        return Extent(
            self.length_SR[:, chosen],
            *(Side(side.position_SR[:, chosen], side.gap, side.doubt) for side in (self.first, self.last)),
        )

    def spacing(self, weight_R: Floats) -> GridError:
        """The spacing's error of Σ over rows of weight x length."""
        return self.first.spacing(weight_R) + self.last.spacing(weight_R)

    def median(self) -> tuple[Floats, GridError]:
        """Each seed's median length over its rows that are not empty, with the spacing's error of the rows that are about so long."""
        filled = [row[row > 0] for row in self.length_SR]
        middle_S = np.array([np.median(row) if len(row) else 0.0 for row in filled])
        near_R = (
            np.abs(self.length_SR.mean(axis=0) - middle_S.mean()) <= max(self.first.gap, self.last.gap) + 1e-9
        )
        return middle_S, self.first.median(near_R) + self.last.median(near_R)


def extent(inside_SRX: Flags, at_X: Floats, width_X: Floats, margin_SRX: Floats | None = None) -> Extent:
    """How far a property reaches.

    A cell counts with its width; where both cells beside an edge have a margin, the edge is put between them by a straight
    line, as far as the neighbouring gaps say that the margin runs straight: with change J in the gap and d in a neighbouring one,

        like = mean over the neighbours of min(d, J) / max(d, J),    doubt = 1 - (like - 0.2) / 0.8, between 0.3 and 1,
        place = (1 - doubt) · straight line + doubt / 2

    so that a jump (into divergence, say) leaves the edge halfway, with the whole gap in doubt.

    Args:
        inside_SRX: which cells have the property. at_X: their places on the axis [decades]; width_X: their widths [decades].
        margin_SRX: how far above the threshold each cell is, on a scale on which it runs about straight; NaN where that cannot be said.
    """
    length_SR = (inside_SRX * width_X).sum(axis=2)
    gap_G = np.diff(at_X)
    if not len(gap_G):
        nowhere = Side(np.full(length_SR.shape, np.nan), 0.0, 0.0)
        return Extent(length_SR, nowhere, nowhere)
    leaves, enters = inside_SRX[..., :-1] & ~inside_SRX[..., 1:], ~inside_SRX[..., :-1] & inside_SRX[..., 1:]
    place, doubt = np.full(leaves.shape, 0.5), np.ones(leaves.shape)
    if margin_SRX is not None:
        place, doubt = _straight(margin_SRX, leaves, gap_G)
    length_SR = length_SR + ((leaves | enters) * (place - 0.5) * gap_G).sum(axis=2)
    ends = _outermost(
        leaves[..., ::-1],
        (at_X[:-1] + place * gap_G)[..., ::-1],
        doubt[..., ::-1],
        gap_G[::-1],
        inside_SRX[..., -1],
    )
    starts = _outermost(enters, at_X[1:] - place * gap_G, doubt, gap_G, inside_SRX[..., 0])
    return Extent(length_SR, starts, ends)


def _straight(margin: Floats, leaves: Flags, gap_G: Floats) -> tuple[Floats, Floats]:
    """For every gap, where from its inner cell the margin crosses 0 [gaps], and how much of that is in doubt."""
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
    inner, outer = (
        np.where(leaves, margin[..., :-1], margin[..., 1:]),
        np.where(leaves, margin[..., 1:], margin[..., :-1]),
    )
    crossing = np.isfinite(slope) & (inner >= 0) & (outer < 0)
    place = np.divide(inner, inner - outer, out=np.full(slope.shape, 0.5), where=crossing)
    return np.where(crossing, (1 - doubt) * place + doubt / 2, 0.5), np.where(crossing, doubt, 1.0)


def _doubt(like: Floats) -> Floats:
    """1 where the neighbours do not continue a change (less than a fifth of it is a plateau's own slope), least where they do in full."""
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


def profile_spacing(value_SX: Floats, at_X: Floats) -> GridError:
    """The spacing's error of the integral of a function along an axis that may jump between two cells, averaged over seeds.

    Upward and downward jumps are independent. A change is a jump as far as its neighbours do not share in it: where they make up
    half of it the function is smooth on the grid's scale, and its sum over cells is as good as exact.
    """
    gap_G = np.diff(at_X)
    if not len(gap_G) or not len(value_SX):
        return GridError()
    change_SG = np.diff(value_SX)
    slope = np.abs(change_SG) / gap_G
    beside = np.pad(
        slope, ((0, 0), (1, 1)), mode="reflect" if slope.shape[1] > 1 else "constant"
    )  # an outermost gap has one neighbour, which counts twice
    like = np.zeros(slope.shape)
    for other in (beside[:, :-2], beside[:, 2:]):
        like += np.divide(other, slope, out=np.ones(slope.shape), where=slope > 0)
    doubt = 1 - np.clip((like - SLIGHT) / (0.5 - SLIGHT), 0.0, 1.0)
    peak_S = np.abs(value_SX).max(axis=1)
    height_S = np.divide(
        (value_SX * np.gradient(at_X)).sum(axis=1), peak_S, out=np.zeros(len(peak_S)), where=peak_S > 0
    )
    common = shared(float(np.var(height_S / gap_G.mean(), ddof=1)) if len(height_S) > 1 else 0.0, 1.0)
    total = GridError()
    for sign in (1, -1):
        size = float((np.maximum(sign * change_SG, 0.0) * doubt * gap_G).mean(axis=0).sum()) * math.sqrt(
            common
        )
        total = total + GridError(size / math.sqrt(12), size / 2)
    return total


def shared(variance: float, doubt: float) -> float:
    """Share of the spacing's error that edges have in common whose places vary this much [gaps²].

    Places known up to doubt x gap that jitter by sd have variance sd² + doubt² (1 - shared(sd)) / 12, which is inverted here.
    """
    return float(np.interp(variance, _variances(round(doubt, 2)), SHARED))


@lru_cache(maxsize=128)
def _variances(doubt: float) -> Floats:
    return np.asarray(JITTERS**2 + doubt**2 * (1 - SHARED) / 12)
