"""How much of a landscape departed or collapsed."""

from __future__ import annotations

import numpy as np

from study.measures.array_types import Flags, Floats
from study.measures.edges import extent
from study.measures.estimate import Estimate
from study.measures.grid_error import EXACT, GridError
from study.measures.landscape import Landscape
from study.measures.windows import LrWindow


def divergence_share(landscape: Landscape) -> Estimate:
    """Share of cells whose loss departed, over the grid [fraction].

    Networks that are stuck at chance are a class of their own, see `collapse_share`.
    """
    return share(landscape, landscape.departed_SWL)


def collapse_share(landscape: Landscape) -> Estimate:
    """Share of cells that are stuck at chance, over the grid [fraction]."""
    return share(landscape, landscape.collapsed_SWL)


def lost_share(landscape: Landscape, window: LrWindow | None = None) -> Estimate:
    """Share of cells that departed or collapsed [fraction]: no limit decides which of the two.

    Args:
        window: the learning rates that count; all of the grid where it is not given.
    """
    return share(landscape, landscape.lost_SWL, window)


def share(landscape: Landscape, of_SWL: Flags, window: LrWindow | None = None) -> Estimate:
    """Share of cells with a property that begins at some learning rate [fraction]."""
    seeds, rows, columns = of_SWL.shape
    weight_SL = window.weight_SL if window else np.full((seeds, columns), 1 / columns)
    value_S = (of_SWL.mean(axis=1) * weight_SL).sum(axis=1)
    # The window is as wide as so many columns.
    wide = 1 / float(weight_SL.max(axis=1).mean()) if seeds else 1.0
    grid = jump_grid_error(landscape, of_SWL, np.full(rows, columns / wide))
    if window:
        grid = grid + window.error
    return Estimate(tuple(value_S.tolist()), grid, least=0.0, most=1.0, resolution=1 / (rows * wide))


def jump_grid_error(landscape: Landscape, of_SWL: Flags, jump_W: Floats) -> GridError:
    """The grid's error of a mean over all cells that changes by `jump_W` where a property begins."""
    lr = np.log10(landscape.lr)
    # No margins: divergence is a jump, so its edge may lie anywhere between two cells.
    along = extent(of_SWL, lr, np.gradient(lr) if len(lr) > 1 else np.zeros(len(lr)))
    gap = max(along.first.gap, along.last.gap)
    if not gap:  # nothing begins to diverge inside of the grid
        return EXACT
    return along.grid_error(jump_W / (len(jump_W) * len(lr) * gap))
