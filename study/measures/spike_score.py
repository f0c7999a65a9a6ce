"""How often the gradient's norm jumps far above what it was before."""

from __future__ import annotations

import numpy as np

from study.measures.array_types import Flags
from study.measures.estimate import Estimate
from study.measures.landscape import Landscape
from study.measures.spikes import spikes_of

WINDOW = 1_000
"""Steps before a recorded one that it is compared with, at most; as many as the reference takes."""
LEAST = 20
"""Finite moments in the window before one. A deviation of fewer is too uncertain to count in sevens.

A loss of `late_spikes` needs five alone: a cell records its norm at up to every step, and its loss a few
dozen times.
"""


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
        spikes, moments = spikes_of(norms_NJ, np.array(seen.step_J), window=WINDOW, least=LEAST)
        told = moments > 0
        if not told.any():
            return None
        value_S.append(float((spikes[told] / moments[told]).mean()))
        smallest = min(smallest, 1 / float(moments.sum()))
    return Estimate(tuple(value_S), least=0.0, most=1.0, resolution=smallest if value_S else 0.0)
