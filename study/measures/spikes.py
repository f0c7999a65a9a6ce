"""Values that jump far above those before them: the one rule behind `late spikes` and the spike score."""

from __future__ import annotations

import numpy as np

from study.measures.array_types import Floats

SPIKE = 7.0
"""A spike lies more than so many standard deviations above the mean of the values before it."""


def spikes_of(values_NJ: Floats, step_J: Floats, *, window: int, least: int) -> tuple[Floats, Floats]:
    """Of N cells the number of spikes, and of moments that could have been one.

    Values that are not finite are left out, and hide none of those after them.

    Args:
        window: a value is compared with those of at most so many steps before it [units of `step_J`].
        least: with fewer finite values in its window a moment tells nothing.
    """
    spikes, moments = np.zeros(len(values_NJ)), np.zeros(len(values_NJ))
    finite_NJ = np.isfinite(values_NJ)
    for j in range(least, values_NJ.shape[1]):
        first = int(np.searchsorted(step_J, step_J[j] - window))
        there = finite_NJ[:, first:j]
        count = there.sum(axis=1)
        known = (count >= least) & finite_NJ[:, j]
        before = np.where(there, values_NJ[:, first:j], 0.0)
        mean = before.sum(axis=1) / np.maximum(count, 1)
        away = np.where(there, before - mean[:, None], 0.0)
        deviation = np.sqrt((away**2).sum(axis=1) / np.maximum(count, 1))
        # Next to equal values every rise would lie infinitely many deviations above them.
        above = (values_NJ[:, j] > mean + SPIKE * deviation) & (deviation > 0)
        spikes += known & above
        moments += known
    return spikes, moments
