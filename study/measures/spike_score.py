"""How often the gradient's norm jumps far above what it was before."""

from __future__ import annotations

import numpy as np

from study.measures.array_types import Flags, Floats
from study.measures.estimate import Estimate
from study.measures.landscape import Landscape

WINDOW = 1_000
"""Steps before a recorded one that it is compared with, at most."""
LEAST = 20
"""Recorded moments that must lie before one. A deviation of fewer is too uncertain to count in sevens."""
SPIKE = 7.0
"""A spike lies so many standard deviations above the mean of the moments before it."""


def spike_score(landscape: Landscape, cells_SWL: Flags) -> Estimate | None:
    """Share of the recorded gradient norms that are spikes, mean over each seed's cells [fraction].

    None where at some seed no cell recorded more than `LEAST` moments.

    Args:
        cells_SWL: the cells that count.

    Reference: OLMo Team, "2 OLMo 2 Furious", arXiv:2501.00656, 2025, spike score.
    Differs from the reference: only values above the mean count, the value itself is not in its window, and
        where dynamics are recorded at every k-th step the score is that of these steps.
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
    for j in range(LEAST, norms_NJ.shape[1]):
        first = int(np.searchsorted(step_J, step_J[j] - WINDOW))
        before, now = norms_NJ[:, first:j], norms_NJ[:, j]
        known = np.isfinite(before).all(axis=1) & np.isfinite(now)
        deviation = before.std(axis=1)
        # Next to equal norms every rise would lie infinitely many deviations above them.
        above = (now > before.mean(axis=1) + SPIKE * deviation) & (deviation > 0)
        spikes += known & above
        moments += known
    return spikes, moments
