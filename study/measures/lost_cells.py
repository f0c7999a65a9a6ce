"""Which cells of a grid are lost: their loss left, or their network is stuck at chance."""

from __future__ import annotations

import numpy as np

from study.measures.array_types import Flags, Floats

STUCK = 0.05
"""A network whose loss went less of the seed's best way down than this has learned nothing [fraction].

Networks that died at chance go 0 to 2 % of it, cells at the rim of a region 10 % and more.
"""


def departed_cells(loss_SWL: Floats, start_S: Floats, diverged_SWL: Flags, limit: float) -> Flags:
    """Cells whose loss left: it is not finite, or lies beyond `limit` times the untrained one.

    Args:
        loss_SWL: final loss; NaN where it was not finite, or none is known [loss units].
        start_S: loss of the untrained network [loss units].
        diverged_SWL: cells that diverged. A finished one without a loss has a training function that reports
            none.
    """
    left = diverged_SWL & ~np.isfinite(loss_SWL)
    return np.asarray(left | (loss_SWL > limit * start_S[:, None, None]))


def collapsed_cells(loss_SWL: Floats, start_S: Floats, alive_SWL: Flags) -> Flags:
    """Cells that are stuck at chance: finite, not departed, and no better than the untrained network.

    Where lr is too small a network has learned nothing either. So a cell counts only from the seed's best
    lr of its row on, or from that of the seed's whole landscape where nothing in the row has learned.

        (initial loss - final loss) < STUCK · (initial loss - the seed's least final loss)

    Args:
        loss_SWL, start_S: as `departed_cells` takes them.
        alive_SWL: the trained cells that did not depart.
    """
    start_S = start_S[:, None, None]
    known = alive_SWL & np.isfinite(loss_SWL - start_S)
    fell = np.where(known, start_S - loss_SWL, -np.inf)
    way_S = np.maximum(fell.max(axis=(1, 2), keepdims=True), 0.0)
    learned = fell > STUCK * way_S
    most_SW = np.where(learned, fell, -np.inf)
    best_S = most_SW.max(axis=1).argmax(axis=1)
    best_SW = np.where(learned.any(axis=2), most_SW.argmax(axis=2), best_S[:, None])
    beyond = np.arange(loss_SWL.shape[2]) >= best_SW[:, :, None]
    return np.asarray(known & ~learned & beyond)
