"""Scores that cells are compared with: references from other seeds, and how far a cell went towards them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from study.measures.array_types import Floats
from study.measures.landscape import Landscape

LEAST_WAY = 0.01
"""Nearer than this to the untrained or the best score, differences are noise: edges are not interpolated."""


def reference_scores(scores: Sequence[Floats]) -> Floats:
    """For each seed, the best score that was found without looking at that seed, shape [S].

    For every other seed b the best place is chosen by the mean over the remaining seeds and scored on b. The
    median of these scores is taken, not their mean: one seed at which the chosen place diverged would move
    every region. With two seeds the other seed's best is used, with one its own. Both are optimistic.

    The places are those of plateaus (`study.measures.plateaus`), because the best single cell is as much luck
    as merit: a maximum over cells grows with their number, and no design that trains a part of them finds the
    same one.

    Measured on planted landscapes (n = 200 to 300, ten seeds): against the best expected score of the grid it
    is off by -0.0086 where edges jitter by a gap, and by 0.0002 on a grid like quickstart's. Competitive
    widths held in 94.7 and 95.0 %, as with the true score (94.7 and 93.5 %). The other seeds' mean at the
    chosen place held in 92.0 and 90.0 %, the maximum of their mean in 93.7 and 89.5 %, and halfway between
    that and this score in 95.3 and 92.5 %.

    Args:
        scores: score_SN of everything that the best is taken over, or arrays of more axes behind the seeds.
    """
    score_SN = np.concatenate([score.reshape(len(score), -1) for score in scores], axis=1)
    seeds = range(len(score_SN))
    if len(score_SN) < 3:
        best = score_SN.max(axis=1)
        return np.asarray(best[::-1])  # two seeds swap theirs, one keeps its own
    place = {}
    for pair in combinations(seeds, 2):
        remaining = [o for o in seeds if o not in pair]
        place[pair] = place[pair[::-1]] = score_SN[remaining].mean(axis=0).argmax()
    return np.array([np.median([score_SN[b, place[s, b]] for b in seeds if b != s]) for s in seeds])


def way(landscape: Landscape, reference_S: Floats) -> Floats:
    """How far each cell went from the untrained score to the reference score, shape [S, W, L].

    0 is untrained or diverged, 1 as good as the reference.
    """
    start_S = landscape.sign * landscape.untrained_S
    # A reference that is no better than the untrained network leaves no way to go: every cell is at 0.
    span_S = np.where(reference_S > start_S, reference_S - start_S, np.inf)
    return np.asarray((landscape.score_SWL - start_S[:, None, None]) / span_S[:, None, None])


def log_odds(way: Floats) -> Floats:
    """ln(way / (1 - way)), between -4.6 and 4.6.

    On this scale scores rise and fall about straight along a logarithmic axis, as a line between two cells
    needs it.
    """
    inner = np.clip(way, LEAST_WAY, 1 - LEAST_WAY)
    return np.asarray(np.log(inner / (1 - inner)))


def pseudo_values(value_SN: Floats, statistic: Callable[[Floats], float]) -> Floats:
    """One value per seed, with the mean and spread of a statistic of all seeds.

    With two seeds the values differ as the seeds' mean cells do.

    Reference: Tukey, "Bias and confidence in not-quite large samples", 1958.
    Differs from the reference: the values are shifted to make their mean the statistic itself, not its
    bias-corrected form.
    """
    whole, count = statistic(value_SN), len(value_SN)
    if count < 3:
        return np.asarray(whole + (value_SN - value_SN.mean(axis=0)).mean(axis=1))
    without = np.array([statistic(np.delete(value_SN, s, axis=0)) for s in range(count)])
    return np.asarray(whole - (count - 1) * (without - without.mean()))


def held_out(score_SN: Floats) -> Floats:
    """Each seed's score of the cell that is best on the others."""
    if len(score_SN) < 2:
        return np.asarray(score_SN.max(axis=1))
    rest_SN = score_SN.sum(axis=0) - score_SN
    return np.asarray(np.take_along_axis(score_SN, rest_SN.argmax(axis=1)[:, None], 1)[:, 0])
