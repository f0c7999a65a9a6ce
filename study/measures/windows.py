"""Windows of learning rates around each seed's own optimum, equally wide for two methods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search_spaces import decades
from study.measures.array_types import Floats
from study.measures.estimate import Missing
from study.measures.grid_error import GridError
from study.measures.regions import Region


@dataclass(frozen=True)
class LrWindow:
    """Learning rates around each seed's own optimum.

    Attributes:
        weight_SL: share of each learning rate in a seed's window, of sum 1.
        error: of a share of the window. Its centre comes from edges that lie between cells, by an error that
            all seeds have in common, and a window that lies off by d shows up to d over its length more.
    """

    weight_SL: Floats
    error: GridError


def windows(one: Region, other: Region, share: float) -> tuple[LrWindow, LrWindow] | Missing:
    """For two methods equally wide windows.

    Methods may change what lr means, so windows lie around each one's own optimum. With c the mean log10 lr
    of a seed's own competitive region, and a and b the borders of the grid, both windows of the seed are

        [c - r, c + r],   r = share · min(c - a, b - c) over both methods.

    A cell enters with the part of it that lies inside. No index is shared by seeds: a column that is best on
    the mean of all seeds is luck where the optimum is flat, and no spread over seeds shows that.

    Args:
        one, other: competitive regions on one grid, against each method's own best.
        share: of the widest window.
    """
    lr = one.landscape.lr
    at, width = np.log10(lr), np.array(decades(lr))
    begins, ends = at - width / 2, at + width / 2
    centres = [one.centre_S(), other.centre_S()]
    if not np.isfinite(centres).all():
        return Missing("a competitive cell at every seed")
    reach_S = share * np.min([np.minimum(c - begins[0], ends[-1] - c) for c in centres], axis=0)
    # In a narrower one there is nothing to see on either side of the optimum.
    if (reach_S < width.mean()).any():
        return Missing("a window around the optima: one of them lies at the border of the lr axis; widen it")
    first, second = (
        LrWindow(
            _overlap(c - reach_S, c + reach_S, begins, ends),
            # Half of the width's error is the centre's; the window is twice the reach.
            region.lr_width.grid * (1 / 4 / float(reach_S.mean())),
        )
        for region, c in zip((one, other), centres, strict=True)
    )
    return first, second


def _overlap(low_S: Floats, high_S: Floats, begins: Floats, ends: Floats) -> Floats:
    """Length of each cell inside of each seed's window, as a share of the window."""
    inside = np.minimum(high_S[:, None], ends) - np.maximum(low_S[:, None], begins)
    return np.asarray(np.maximum(inside, 0.0) / (high_S - low_S)[:, None])
