"""Where cells stand in a panel: its size, its rows, borders of regions, ticks. Numbers only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from study.measures.array_types import Flags
from study.measures.landscape import Landscape

APART = 0.4
"""Distance of the row of weight decay 0 from the others [cells]."""
MOST_TICKS = 7
"""More labels than these run into each other on an axis of the usual length."""
WHOLE = 0.005
"""How far the logarithm of a value may lie from a whole number, to count as a power of ten [decades].

A grid from 3.16e-4 on has 9.99e-4, which two digits write as 1.0e-3.
"""


def bottoms(landscape: Landscape) -> np.ndarray:
    """Lower end of each row, shape [W].

    A row of weight decay 0 stands apart. It is not on the logarithmic axis, and no area includes it.
    """
    row = np.arange(len(landscape.weight_decay), dtype=float)
    return row + APART * (np.array(landscape.weight_decay) > 0) * (min(landscape.weight_decay) == 0)


def blocks(landscape: Landscape) -> list[slice]:
    """Rows that are drawn without a gap between them: weight decay 0, and the others."""
    zeros = sum(value == 0 for value in landscape.weight_decay)
    parts = (slice(0, zeros), slice(zeros, len(landscape.weight_decay)))
    return [rows for rows in parts if rows.start < rows.stop]


def borders(inside_WL: Flags) -> Iterator[list[tuple[int, int]]]:
    """The lines between a region's cells and the outside, each as its two ends (x, y)."""
    # A rim of outside cells, so that the grid's own border needs no cases of its own.
    padded = np.pad(inside_WL, 1)
    for y, first, last in runs(padded[1:, 1:-1] != padded[:-1, 1:-1]):
        yield [(first, y), (last, y)]
    for x, first, last in runs((padded[1:-1, 1:] != padded[1:-1, :-1]).T):
        yield [(x, first), (x, last)]


def runs(chosen: Flags) -> list[tuple[int, int, int]]:
    """Neighbours in a row that are chosen, as (row, first, behind the last)."""
    step = np.diff(np.pad(chosen, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, first = np.nonzero(step == 1)
    _, last = np.nonzero(step == -1)
    return list(zip(row.tolist(), first.tolist(), last.tolist(), strict=True))


def at_column(lr: Sequence[float], place: float) -> float:
    """Where a learning rate stands on an axis of equal cells [cells].

    Args:
        place: its log10. Beyond the outermost cells' middles it goes on as between the last two.
    """
    at = np.log10(lr)
    if len(at) < 2:
        return 0.5
    k = int(np.clip(np.searchsorted(at, place) - 1, 0, len(at) - 2))
    return float(np.clip(k + (place - at[k]) / (at[k + 1] - at[k]) + 0.5, 0.0, len(at)))


def tick_places(values: Sequence[float], most: int = MOST_TICKS) -> list[int]:
    """Which values get a tick: whole decades and 0, or any where there are none, evenly thinned."""
    whole = [k for k, value in enumerate(values) if value == 0 or whole_decade(value)]
    places = whole or list(range(len(values)))
    return places[:: math.ceil(len(places) / most)]


def whole_decade(value: float) -> bool:
    """Whether a value is a power of ten, up to rounding."""
    power = math.log10(value)
    return abs(power - round(power)) < WHOLE


def tick_label(value: float) -> str:
    """`0`, a power of ten, or up to two digits before one; numbers between 0.1 and 100 as they are."""
    if value == 0:
        return "0"
    if whole_decade(value):
        return f"$10^{{{round(math.log10(value))}}}$"
    if 0.1 <= value < 100:
        return f"{value:.2g}"
    digits, _, power = f"{value:.1e}".partition("e")
    return f"${digits.removesuffix('.0')}{{\\times}}10^{{{int(power)}}}$"
