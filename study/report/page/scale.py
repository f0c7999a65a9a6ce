"""From numbers to the colours of the maps: 32 steps that grow lighter, and what each stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from study.measures.array_types import Floats
from study.report.pictures.shades import POWER

LEVELS = 32
# Points of viridis, which is monotone in lightness and can be read with any colour vision. So few are within
# 1 % of the whole map, and matplotlib need not be loaded for them.
ANCHORS = (
    *("#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c"),
    *("#28ae80", "#5ec962", "#addc30", "#fde725"),
)
SHOWN_WAYS = (0.0, 0.5, 0.75, 0.9, 0.97, 1.0)
"""Where a scale of shortfalls has ticks [the same share]."""

Kind = Literal["shortfall", "linear", "log"]


@dataclass(frozen=True)
class Scale:
    """A range of numbers with a place for each.

    Attributes:
        start, end: the numbers of the darkest and the lightest colour; `end` may be the smaller one.
        kind: `shortfall` gives a third of the colours to the last tenth of the way to `end`, where methods
            differ: the place goes by the square root of what is lacking.
    """

    start: float
    end: float
    kind: Kind = "linear"

    def places(self, values: Floats) -> Floats:
        """From 0 to 1, NaN where there is no number."""
        if self.kind == "log":
            first, last = np.log10((self.start, self.end))
            with np.errstate(divide="ignore", invalid="ignore"):
                found = (np.log10(values) - first) / (last - first)
        else:
            found = (values - self.start) / (self.end - self.start)
        way = np.clip(found, 0.0, 1.0)
        if self.kind == "shortfall":
            way = 1 - (1 - way) ** POWER
        return np.asarray(way)

    def levels(self, values: Floats) -> np.ndarray:
        """The colour of each number, from 0 to 31; -1 where there is none."""
        places = self.places(values)
        known = np.nan_to_num(places, nan=0.0)
        return np.where(np.isnan(places), -1, np.minimum((known * LEVELS).astype(int), LEVELS - 1))

    @property
    def ticks(self) -> list[tuple[float, float]]:
        """(place, number) of what is written beside the colours."""
        ways = np.array(SHOWN_WAYS) if self.kind == "shortfall" else np.linspace(0, 1, 5)
        if self.kind == "log":
            values = self.start * (self.end / self.start) ** ways
        else:
            values = self.start + ways * (self.end - self.start)
        return list(zip(self.places(values).tolist(), values.tolist(), strict=True))


def ramp(levels: int = LEVELS) -> list[str]:
    """The colours from dark to light, as hexadecimal numbers."""
    points = np.array([channels(colour) for colour in ANCHORS])
    at, known = (np.arange(levels) + 0.5) / levels, np.linspace(0, 1, len(points))
    mixed = np.stack([np.interp(at, known, points[:, k]) for k in range(3)], axis=1)
    return ["#" + "".join(f"{round(part):02x}" for part in row) for row in mixed.tolist()]


def channels(colour: str) -> Sequence[int]:
    """Red, green and blue of `#rrggbb`."""
    return [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
