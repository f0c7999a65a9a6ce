"""How often the gradient's norm jumps far above what it was before."""

from __future__ import annotations

import numpy as np

from study.measures.array_types import Flags, Floats
from study.measures.estimate import Estimate
from study.measures.landscape import Landscape

WINDOW = 1_000
"""Steps before a recorded one that it is compared with, at most."""
LEAST = 20
"""Finite moments in the window before one. A deviation of fewer is too uncertain to count in sevens."""
SPIKE = 7.0
"""A spike lies so many standard deviations above the mean of the moments before it."""


def spike_score(landscape: Landscape, cells_SWL: Flags) -> Estimate | None:
    """Share of the recorded gradient norms that are spikes, mean over each seed's cells [fraction].

    None where at some seed no cell has a moment with `LEAST` finite ones in the window before it.

    Args:
        cells_SWL: the cells that count.

    Reference: OLMo Team, "2 OLMo 2 Furious", arXiv:2501.00656, 2025, spike score.
    Differs from the reference: only values above the mean count, the value itself is not in its window, and
        where dynamics are recorded at every k-th step the score is that of these steps. Norms that are not
        finite, those of steps that float16 skipped, are left out.
    """
    seen = landscape.series
    if seen is None or not seen.has("grad_norm"):
        return None
    value_S, smallest = [], 1.0
    for s in range(len(landscape.seeds)):
        norms_NJ = seen.values["grad_norm"][s][cells_SWL[s]]
        spikes, moments = spikes_of(norms_NJ, np.array(seen.step_J))
        told = moments > 0
        if not told.any():
            return None
        value_S.append(float((spikes[told] / moments[told]).mean()))
        smallest = min(smallest, 1 / float(moments.sum()))
    return Estimate(tuple(value_S), least=0.0, most=1.0, resolution=smallest if value_S else 0.0)


def spikes_of(norms_NJ: Floats, step_J: Floats) -> tuple[Floats, Floats]:
    """Of N cells the number of spikes, and of moments that could have been one."""
    spikes, moments = np.zeros(len(norms_NJ)), np.zeros(len(norms_NJ))
    finite_NJ = np.isfinite(norms_NJ)
    for j in range(LEAST, norms_NJ.shape[1]):
        first = int(np.searchsorted(step_J, step_J[j] - WINDOW))
        # A step that float16 skipped has no finite norm. It must not hide the thousand steps after it.
        there = finite_NJ[:, first:j]
        count = there.sum(axis=1)
        known = (count >= LEAST) & finite_NJ[:, j]
        before = np.where(there, norms_NJ[:, first:j], 0.0)
        mean = before.sum(axis=1) / np.maximum(count, 1)
        away = np.where(there, before - mean[:, None], 0.0)
        deviation = np.sqrt((away**2).sum(axis=1) / np.maximum(count, 1))
        # Next to equal norms every rise would lie infinitely many deviations above them.
        above = (norms_NJ[:, j] > mean + SPIKE * deviation) & (deviation > 0)
        spikes += known & above
        moments += known
    return spikes, moments
