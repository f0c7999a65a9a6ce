"""The dimension of an edge in a picture: by box counting, and by pairs of cells, each with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from study.measures.array_types import Flags, Floats
from study.measures.estimate import Missing

LEAST_POINTS = 128
"""With fewer cells along an axis an interval would promise more than it keeps.

At 64 cells it covered the dimension of random edges in 80 to 87 % of 30 pictures.
"""
SMALLEST_BOX = 4
"""Side of the smallest boxes that count [cells].

Smaller ones miss what an edge does between two cells: of a Koch curve (1.262) boxes of 1 and 2 cells tell
1.13, those of 4 to 32 cells 1.25.
"""
MOST_MET = 0.8
"""Share of all places at which the largest boxes may meet the edge.

Above, hardly a box is free, N(s) counts the picture and not the edge, and the slope tends to 2: straight
stripes of 4 to 9 periods in 128 cells have dimension 1, and boxes gave 1.49 ± 0.35.
"""
LEAST_BOXES = 8
"""Boxes of the largest size that the edge must meet."""
LEAST_PAIRS = 64
"""Pairs that end differently which `by_pairs` needs: a line across half of the smallest picture has them."""
BLOCKS = 4
"""The interval resamples the squares that the picture is cut into, so many along each axis."""
DRAWS = 400
"""Resampled pictures, always the same ones."""


@dataclass(frozen=True)
class Dimension:
    """A dimension with its interval.

    The interval is what resampled squares of the picture vary, widened by how much the slopes between
    neighbouring sizes differ, which one straight line through all sizes hides. Sizes share their cells, so
    that the residuals of that line would promise far too much. `tests/tools/edge_sets.py` measures how often
    it covers a known dimension.

    Attributes:
        method: `boxes` or `pairs`.
        sizes: sides of boxes, or distances of pairs [cells].
        counts: boxes that the edge meets, or the share of pairs whose cells ended differently, by size.
        n: boxes of the smallest size that the edge meets, or pairs at the smallest distance that it parts.
        slopes: between neighbouring sizes.
    """

    method: str
    value: float
    low: float
    high: float
    confidence: float
    sizes: tuple[int, ...]
    counts: tuple[float, ...]
    slopes: tuple[float, ...]
    n: int


def by_boxes(diverged_WL: Flags, confidence: float = 0.95) -> Dimension | Missing:
    """The box-counting dimension of the edge between two kinds of cells, at sizes that a picture resolves.

    Its interval covers the dimension of edges that look alike in all directions and at all sizes. It does not
    cover that of graphs of rough functions, which is a limit far below one cell (1.5 came out as 1.29), nor
    that of many small discs (1 came out as 1.14).

    D is the slope of log N(s) against log 1/s, where N(s) boxes of side s meet the edge. A box meets it where
    a square of four neighbouring cells in it has cells of both kinds. N(s) is the mean over all places of the
    lattice of boxes. Beyond its rim the picture is continued by its mirror image, so that boxes there count
    as others do.

    Args:
        diverged_WL: which cells diverged, rows of weight decay and columns of learning rates.
    """
    if why := _lacking(diverged_WL):
        return Missing(why)
    points = len(diverged_WL)
    sizes = _doubled(SMALLEST_BOX, max(16, points // 8))
    met_SB = np.array([_boxes(_edge(diverged_WL), size) for size in sizes])
    if met_SB[-1].sum() < LEAST_BOXES:
        found = f"found {met_SB[-1].sum():.0f}"
        return Missing(f"needs {LEAST_BOXES} boxes of {sizes[-1]} cells that the edge meets, {found}")
    share = met_SB[-1].sum() / _boxes(np.ones_like(_edge(diverged_WL)), sizes[-1]).sum()
    if share > MOST_MET:
        return Missing(
            f"the edge is too dense: {share:.0%} of boxes of {sizes[-1]} cells meet it; zoom further in"
        )
    # Their slopes rise steadily with the size, and the line through all lies in their middle.
    return _fitted("boxes", sizes, met_SB, 0.5, round(met_SB[0].sum()), confidence, met_SB.sum(axis=1))


def by_pairs(diverged_WL: Flags, confidence: float = 0.95) -> Dimension | Missing:
    """2 - a, where the share of pairs of cells that ended differently grows like their distance to the a.

    It is a second look at the same edge, of points alone. Of very rough edges its interval covers too little:
    of random ones of dimension 1.7 in 71 of 100 pictures of 128 cells, where that of boxes covers 98.

    Reference: McDonald, Grebogi, Ott and Yorke, "Fractal basin boundaries", Physica D 17 (1985), equation 1.
    Differs from the reference: pairs are cells of the picture's lattice, along both of its axes, and not
        random points with their perturbed copies. Values below 1 and above 2 are cut off.
    """
    if why := _lacking(diverged_WL):
        return Missing(why)
    points = len(diverged_WL)
    sizes = _doubled(1, max(4, points // 16))
    parted_SB = np.array([_parted(diverged_WL, size) for size in sizes])
    least = parted_SB.sum(axis=1).min()
    if least < LEAST_PAIRS:
        return Missing(f"needs {LEAST_PAIRS} pairs of cells that end differently, found {least:.0f}")
    pairs_S = np.array([2 * points * (points - size) for size in sizes], dtype=float)
    # A share of pairs s apart grows like s^(2-D), and boxes of side s like s^-D.
    scaled_SB = parted_SB / (pairs_S * np.array(sizes) ** 2.0)[:, None]
    n = round(parted_SB[0].sum())
    return _fitted("pairs", sizes, scaled_SB, 1.0, n, confidence, parted_SB.sum(axis=1) / pairs_S)


def _lacking(diverged_WL: Flags) -> str | None:
    """Why there is no dimension; None where there is one."""
    if diverged_WL.all() or not diverged_WL.any():
        return "no edge in this window"
    if len(diverged_WL) < LEAST_POINTS:
        return f"needs {LEAST_POINTS} points along each axis, found {len(diverged_WL)}"
    return None


def _doubled(first: int, last: int) -> list[int]:
    return [first << k for k in range((last // first).bit_length())]


def _edge(diverged_WL: Flags) -> Flags:
    """Squares of four neighbouring cells that have cells of both kinds, shape [W-1, L-1]."""
    one = diverged_WL.astype(int)
    sums = one[:-1, :-1] + one[1:, :-1] + one[:-1, 1:] + one[1:, 1:]
    return np.asarray((sums > 0) & (sums < 4))


def _boxes(edge: Flags, size: int) -> Floats:
    """Boxes of a size that the edge meets, by the block that their centre lies in."""
    around = np.pad(edge, size // 2, mode="symmetric")
    total = np.pad(np.cumsum(np.cumsum(around.astype(np.int64), axis=0), axis=1), ((1, 0), (1, 0)))
    inside = total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
    return _by_block(inside > 0) / size**2


def _parted(diverged_WL: Flags, size: int) -> Floats:
    """Pairs of cells at a distance along an axis that ended differently, by the block of their first cell."""
    along = _by_block(diverged_WL[:, size:] != diverged_WL[:, :-size])
    return along + _by_block(diverged_WL[size:, :] != diverged_WL[:-size, :])


def _by_block(found: Flags) -> Floats:
    """How many are true in each block of a picture, shape [BLOCKS²]."""
    rows = np.array_split(np.asarray(found, dtype=float), BLOCKS)
    return np.array([part.sum() for row in rows for part in np.array_split(row, BLOCKS, axis=1)])


def _fitted(
    method: str,
    sizes: Sequence[int],
    met_SB: Floats,
    widening: float,
    n: int,
    confidence: float,
    counts: Floats,
) -> Dimension:
    """The slope over all sizes, with its interval.

    Args:
        met_SB: what grows like size^-D, by size and block.
        widening: of the interval, in ranges of the slopes.
    """
    log = -np.log2(np.array(sizes, dtype=float))
    whole = np.log2(met_SB.sum(axis=1))
    # Chance may bring the slope of an edge that is everywhere just above 2. Islands of single cells count as
    # points do, and take that of a line below 1, which no edge between two areas has.
    value = min(2.0, max(1.0, _slope(log, whole)))
    slopes = np.diff(whole) / np.diff(log)
    generator = np.random.default_rng(0)
    drawn_DB = generator.integers(0, met_SB.shape[1], (DRAWS, met_SB.shape[1]))
    sums_SD = met_SB[:, drawn_DB].sum(axis=2)
    # A draw of empty squares alone has no edge, and tells nothing.
    sums_SD = sums_SD[:, (sums_SD > 0).all(axis=0)]
    drawn = np.array([_slope(log, one) for one in np.log2(sums_SD).T])
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail]) if len(drawn) else (value, value)
    bend = widening * float(np.ptp(slopes))
    return Dimension(
        method,
        value,
        # An edge that is a line has dimension 1, and one that fills the picture 2.
        max(1.0, min(value, float(low)) - bend),
        min(2.0, max(value, float(high)) + bend),
        confidence,
        tuple(sizes),
        tuple(counts.tolist()),
        tuple(slopes.tolist()),
        n,
    )


def _slope(x: Floats, y: Floats) -> float:
    """Least squares."""
    return float(np.polyfit(x, y, 1)[0])
