"""Spikes of the training loss after its first fall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from study.measures.array_types import Floats
from study.measures.estimate import Estimate, Missing
from study.measures.landscape import Landscape
from study.measures.spikes import spikes_of
from tracking import CellRecord

WINDOW = 20
"""Recorded points before a loss that it is compared with, at most.

In points and not in steps, as those of `spike_score`: a cell records a few dozen losses, however long it is.
"""
LEAST = 5
"""Recorded points before a loss, at least.

With as many as `spike_score` wants of norms, most of what a cell records could be no spike.
"""


def late_spikes(landscape: Landscape, stored: Mapping[str, CellRecord]) -> Estimate | Missing:
    """Mean over cells of the number of recorded losses that rise far above the window before them [per cell].

    One spike in one cell is the least step of a seed's value. Few seeds without any do not show that there
    are none.

    Args:
        stored: the cells, by key.
    """
    mean_S = []
    for key_WL in landscape.key_SWL:
        count_N = counts_of([stored[str(key)] for key in key_WL.ravel()])
        if count_N is None:
            return Missing(f"needs at least {LEAST + 1} recorded points per cell (budget.points)")
        mean_S.append(float(count_N.mean()))
    return Estimate(tuple(mean_S), least=0.0, resolution=1 / landscape.key_SWL[0].size if mean_S else 0.0)


def counts_of(records: Sequence[CellRecord]) -> Floats | None:
    """Late spikes of each of N cells; None where too few points of one were recorded.

    What follows divergence is not counted.
    """
    # A cell that diverged early has few points too, but they are all that there is to count.
    if any(record.finished and len(record.curve) <= LEAST for record in records):
        return None
    losses = [[value for _, value, _ in record.curve if value is not None] for record in records]
    loss_NJ = np.full((len(losses), max(map(len, losses), default=0)), np.nan)
    for n, known in enumerate(losses):
        loss_NJ[n, : len(known)] = known
    return spikes_of(loss_NJ, np.arange(loss_NJ.shape[1], dtype=np.float64), window=WINDOW, least=LEAST)[0]
