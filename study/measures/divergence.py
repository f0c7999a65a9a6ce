"""How much of a landscape diverged."""

from __future__ import annotations

import numpy as np

from study.measures.array_types import Flags, Floats
from study.measures.edges import extent
from study.measures.estimate import Estimate
from study.measures.grid_error import EXACT, GridError
from study.measures.landscape import DIVERGED, Landscape


def divergence_share(landscape: Landscape, columns_L: Flags | None = None) -> Estimate:
    """Share of cells that diverged, over the grid or over some learning rates [fraction]."""
    chosen_L = np.ones(len(landscape.lr), dtype=bool) if columns_L is None else columns_L
    diverged_SWL = (landscape.outcome_SWL == DIVERGED)[:, :, chosen_L]
    grid = jump_grid_error(landscape, chosen_L, np.ones(diverged_SWL.shape[1]))
    return Estimate(tuple(diverged_SWL.mean(axis=(1, 2)).tolist()), grid, least=0.0, most=1.0)


def jump_grid_error(landscape: Landscape, columns_L: Flags, jump_W: Floats) -> GridError:
    """The grid's error of a mean over cells that changes by `jump_W` where cells begin to diverge."""
    lr = np.log10(np.array(landscape.lr)[columns_L])
    diverged_SWL = (landscape.outcome_SWL == DIVERGED)[:, :, columns_L]
    # No margins: divergence is a jump, so its edge may lie anywhere between two cells.
    along = extent(diverged_SWL, lr, np.gradient(lr) if len(lr) > 1 else np.zeros(len(lr)))
    gap = max(along.first.gap, along.last.gap)
    if not gap:  # nothing begins to diverge inside of the grid
        return EXACT
    return along.grid_error(jump_W / (len(jump_W) * len(lr) * gap))
