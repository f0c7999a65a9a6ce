"""Lines over an axis as geometry: slices through the maps, and what was recorded while training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from study.measures.array_types import Floats
from study.report.page.scale import Scale
from study.report.page.wording import number

LEFT, RIGHT, TOP, BOTTOM = 54.0, 10.0, 8.0, 34.0
"""Margins [px]."""
WIDE, HIGH = 236.0, 120.0
"""Of the lines together [px]."""
FEW = 5
"""Ticks of an axis, about."""
ROUNDING = 1e-9
"""Numbers that differ by less than this share of them are equal."""
DECADES = 2.0
"""An axis that spans more than these is logarithmic, if all of its numbers are positive."""


@dataclass(frozen=True)
class Line:
    """One row of numbers with its range over seeds, NaN where there is none."""

    name: str
    x_J: Floats
    mean_J: Floats
    low_J: Floats
    high_J: Floats


@dataclass(frozen=True)
class Drawn:
    """A line as paths [px]."""

    name: str
    mean: str
    band: str
    dots: str


@dataclass(frozen=True)
class Chart:
    """Lines on shared axes [px]."""

    lines: list[Drawn]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    width: float = LEFT + WIDE + RIGHT
    height: float = TOP + HIGH + BOTTOM
    left: float = LEFT
    top: float = TOP
    right: float = LEFT + WIDE
    bottom: float = TOP + HIGH


def chart(lines: Sequence[Line], x_ticks: Sequence[tuple[float, str]] | None) -> Chart | None:
    """Lines on the axes that hold all of them; None where no line has a number.

    Args:
        x_ticks: (number, words) of the horizontal axis; round numbers if they are not given.
    """
    parts = [part[np.isfinite(part)] for one in lines for part in (one.mean_J, one.low_J, one.high_J)]
    values = np.concatenate([*parts, np.zeros(0)])
    at = np.concatenate([one.x_J for one in lines]) if lines else np.zeros(0)
    if not len(values) or not len(at):
        return None
    vertical = scale_of(values)
    low, high = float(at.min()), float(at.max())
    along = Scale(low, high) if high > low else Scale(low - 0.5, high + 0.5)

    def x(value: Floats) -> Floats:
        return LEFT + 6 + along.places(value) * (WIDE - 12)

    def y(value: Floats) -> Floats:
        return TOP + HIGH - vertical.places(value) * HIGH

    shown = x_ticks
    if shown is None:
        shown = [(value, f"{value:g}") for value in round_numbers(along.start, along.end)]
    up = decades_in(vertical) if vertical.kind == "log" else round_numbers(vertical.start, vertical.end)
    return Chart(
        [drawn(one, x, y) for one in lines],
        [(round(float(x(np.array(value))), 1), words) for value, words in shown],
        [(round(float(y(np.array(value))), 1), words) for value, words in zip(up, names(up), strict=True)],
    )


def scale_of(values: Floats) -> Scale:
    """A linear scale with a little room, or a logarithmic one for what spans many decades."""
    low, high = float(values.min()), float(values.max())
    if low > 0 and math.log10(high / low) > DECADES:
        return Scale(low / 1.2, high * 1.2, "log")
    # Means of equal numbers differ by rounding, which is no range to draw.
    flat = high - low <= ROUNDING * max(abs(low), abs(high))
    room = max(abs(low), 1.0) * 0.1 if flat else 0.06 * (high - low)
    return Scale(low - room, high + room)


def drawn(line: Line, x: Callable[[Floats], Floats], y: Callable[[Floats], Floats]) -> Drawn:
    """The paths of a line; a gap in its numbers is a gap in the path."""
    at, mean, low, high = x(line.x_J), y(line.mean_J), y(line.low_J), y(line.high_J)
    known = np.isfinite(mean)
    path: list[str] = []
    band: list[str] = []
    dots: list[str] = []
    for piece in runs(known):
        points = [f"{a:.1f} {b:.1f}" for a, b in zip(at[piece], mean[piece], strict=True)]
        # A line of one point has no length, and would not be seen.
        (path if len(points) > 1 else dots).append(
            "M" + "L".join(points) + ("h0" if len(points) == 1 else "")
        )
        upper = [f"{a:.1f} {b:.1f}" for a, b in zip(at[piece], high[piece], strict=True)]
        lower = [f"{a:.1f} {b:.1f}" for a, b in zip(at[piece], low[piece], strict=True)]
        band.append("M" + "L".join([*upper, *reversed(lower)]) + "z")
    return Drawn(line.name, "".join(path), "".join(band), "".join(dots))


def runs(known: np.ndarray) -> list[slice]:
    """The stretches in which all is known."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]])))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def round_numbers(low: float, high: float) -> list[float]:
    """About five round numbers between these."""
    raw = (high - low) / FEW
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    first = math.ceil(low / step)
    return [float(f"{k * step:.12g}") for k in range(first, math.floor(high / step) + 1)]


def names(values: Sequence[float]) -> list[str]:
    """Ticks in words, with as many digits as tell neighbours apart."""
    found = [number(value) for value in values]
    if len(set(found)) == len(found):
        return found
    step = min(abs(b - a) for a, b in pairwise(values))
    # The step is a round number, but for rounding.
    decimals = max(-math.floor(math.log10(step) + 1e-6), 0)
    return [f"{value:.{decimals}f}".replace("-", "−") for value in values]


def decades_in(scale: Scale) -> list[float]:
    """Powers of ten on a logarithmic scale, evenly thinned."""
    powers = range(math.ceil(math.log10(scale.start)), math.floor(math.log10(scale.end)) + 1)
    thin = math.ceil(len(powers) / (FEW + 1)) or 1
    return [10.0**power for power in powers[::thin]]
