"""Intervals over seeds for the shares of a score's variance that lr and weight decay explain.

On a complete grid the shares have a closed form, the two-way analysis of variance. Optuna's forest gives the
shares that are shown. It is too slow to be run once for each seed that is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from study.measures.array_types import Floats

LEAST_SEEDS = 3
"""Products of two seeds, with one seed left out, need three."""
Interval = tuple[float, float]


class Parts(NamedTuple):
    """What lr explains of the two main effects, and the interaction's share of all; NaN where undefined."""

    lr: float
    interaction: float


def parts_of(score_SWL: Floats, lr: Sequence[float], weight_decay: Sequence[float]) -> Parts:
    """Shares of the variance of the seeds' expected score over the grid, free of the seeds' noise.

    A variance is the mean over the grid of an effect's square. The square of a mean over seeds also holds the
    noise, which mostly looks like interaction. The product of the effects of two different seeds does not, so
    the mean over all pairs of seeds is taken:

        V = ( |Σ e_s|² - Σ |e_s|² ) / ( S (S - 1) )

    Cells weigh by their length in decades, as the forest weighs them. A variance below 0 counts as 0.

    Args:
        score_SWL: of two seeds at least.
        lr, weight_decay: positive and ascending, two of each at least.
    """
    weight_L, weight_W = _lengths(lr), _lengths(weight_decay)
    row_SW = score_SWL @ weight_L
    column_SL = np.einsum("swl,w->sl", score_SWL, weight_W)
    mean_S = row_SW @ weight_W
    lr_SL = column_SL - mean_S[:, None]
    wd_SW = row_SW - mean_S[:, None]
    rest_SWL = score_SWL - mean_S[:, None, None] - lr_SL[:, None, :] - wd_SW[:, :, None]
    of_lr = _over_pairs(lr_SL, weight_L)
    main = of_lr + _over_pairs(wd_SW, weight_W)
    between = _over_pairs(rest_SWL.reshape(len(rest_SWL), -1), np.outer(weight_W, weight_L).ravel())
    return Parts(
        of_lr / main if main > 0 else math.nan,
        between / (main + between) if main + between > 0 else math.nan,
    )


def _lengths(values: Sequence[float]) -> Floats:
    """Each value's share of the axis: from halfway to one neighbour to halfway to the other, in decades."""
    at = np.log10(values)
    gaps = np.diff(at)
    edges = np.concatenate(([at[0] - gaps[0] / 2], (at[1:] + at[:-1]) / 2, [at[-1] + gaps[-1] / 2]))
    return np.asarray(np.diff(edges) / (edges[-1] - edges[0]))


def _over_pairs(effect_SN: Floats, weight_N: Floats) -> float:
    """Mean over pairs of different seeds of the product of their effects; 0 where it is below."""
    n = len(effect_SN)
    products = effect_SN.sum(axis=0) ** 2 - (effect_SN**2).sum(axis=0)
    return max(float(products @ weight_N) / (n * (n - 1)), 0.0)


def variance_intervals(
    score_SWL: Floats, lr: Sequence[float], weight_decay: Sequence[float], confidence: float
) -> tuple[Interval, Interval] | None:
    """Intervals for lr's share of the main effects, and for the interaction's share of all.

    Each is a jackknife over seeds of `parts_of`. Shares near 0 and 1 have skewed errors, so it is taken of
    arcsin(sqrt(share)). An undefined share has the interval from 0 to 1. Weight decay's share is 1 - lr's.

    Measured with `tests/tools/importance_plants.py`, whose docstring has the figures.

    Returns:
        None with fewer than `LEAST_SEEDS` seeds.
    """
    n = len(score_SWL)
    if n < LEAST_SEEDS:
        return None
    whole = parts_of(score_SWL, lr, weight_decay)
    left_out = [parts_of(np.delete(score_SWL, s, axis=0), lr, weight_decay) for s in range(n)]
    return (
        jackknife(whole.lr, [one.lr for one in left_out], confidence),
        jackknife(whole.interaction, [one.interaction for one in left_out], confidence),
    )


def jackknife(whole: float, left_out_S: Sequence[float], confidence: float) -> Interval:
    """Student's interval around a share, from the shares without one seed each."""
    n = len(left_out_S)
    spread = (n - 1) * float(np.std(_turned(left_out_S), ddof=1)) / math.sqrt(n)
    return _around(float(_turned([whole])[0]), spread, n, confidence)


def student(share_S: Sequence[float], confidence: float) -> Interval:
    """Student's interval for a share that each seed has alone."""
    at = _turned(share_S)
    spread = float(np.std(at, ddof=1)) / math.sqrt(len(at))
    return _around(float(at.mean()), spread, len(at), confidence)


def hull(*intervals: Interval) -> Interval:
    """From the least to the largest end."""
    return min(low for low, _ in intervals), max(high for _, high in intervals)


def _turned(shares: Sequence[float]) -> Floats:
    """arcsin(sqrt(share)): its error depends little on the share."""
    return np.asarray(np.arcsin(np.sqrt(np.clip(shares, 0.0, 1.0))))


def _around(centre: float, spread: float, n: int, confidence: float) -> Interval:
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * spread
    if not math.isfinite(centre + half):
        return 0.0, 1.0
    low, high = max(centre - half, 0.0), min(centre + half, math.pi / 2)
    return math.sin(low) ** 2, math.sin(high) ** 2
