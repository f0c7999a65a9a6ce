"""Where a number stands on an axis of a grid, and a pair of numbers in a landscape."""

from __future__ import annotations

import math
from collections.abc import Sequence

from study.measures.landscape import Landscape

ROUNDING = 1e-6
"""Axes are computed in decades, and hold what people and papers write as 0.001 only up to rounding.

Two points of a grid are much farther apart.
"""


def index_on(axis: Sequence[float], value: float) -> int | None:
    """The index of a number on an axis, up to rounding; None where the axis has no such number."""
    return next((k for k, one in enumerate(axis) if math.isclose(one, value, rel_tol=ROUNDING)), None)


def cell_at(landscape: Landscape, lr: float, weight_decay: float) -> tuple[int, int] | None:
    """Row and column of a setting; None where the grid has no such cell."""
    row, column = index_on(landscape.weight_decay, weight_decay), index_on(landscape.lr, lr)
    return None if row is None or column is None else (row, column)
