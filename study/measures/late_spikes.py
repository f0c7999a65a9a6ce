"""Spikes of the training loss after its first fall."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from study.measures.estimate import Estimate, Missing
from study.measures.landscape import Landscape
from tracking import CellRecord

WINDOW, LEAST_WINDOW = 20, 5
"""A recorded loss is compared with the points before it: at most and at least this many."""
SPIKE = 7.0
"""A spike lies this many standard deviations above their mean."""


def late_spikes(landscape: Landscape, stored: Mapping[str, CellRecord]) -> Estimate | Missing:
    """Mean over cells of the number of recorded losses that rise far above the window before them [per cell].

    One spike in one cell is the least step of a seed's value. Few seeds without any do not show that there
    are none.

    Args:
        stored: the cells, by key.
    """
    mean_S = []
    for key_WL in landscape.key_SWL:
        counts = [spikes_of(stored[str(key)]) for key in key_WL.ravel()]
        known = [count for count in counts if count is not None]
        if len(known) < len(counts):
            return Missing(f"needs at least {LEAST_WINDOW + 1} recorded points per cell (budget.points)")
        mean_S.append(float(np.mean(known)))
    return Estimate(tuple(mean_S), least=0.0, resolution=1 / landscape.key_SWL[0].size if mean_S else 0.0)


def spikes_of(record: CellRecord) -> int | None:
    """Late spikes of one cell; None where too few points were recorded.

    What follows divergence is not counted.
    """
    # A cell that diverged early has few points too, but they are all that there is to count.
    if len(record.curve) <= LEAST_WINDOW and record.finished:
        return None
    loss = [value for _, value, _ in record.curve if value is not None]
    count = 0
    for k in range(LEAST_WINDOW, len(loss)):
        before = np.array(loss[max(0, k - WINDOW) : k])
        # Next to equal losses every rise would lie infinitely many deviations above them.
        if before.std() > 0 and loss[k] > before.mean() + SPIKE * before.std() > 0:
            count += 1
    return count
