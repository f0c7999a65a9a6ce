"""The picture of a fine map: finished cells dark, diverged cells light, each by the rank of its losses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from study.measures.edge_dimension import Dimension
from study.measures.estimate import Missing
from study.measures.fine_map import FineMap, filled, stretched
from study.measures.landscape import DIVERGED, FINISHED, PENDING
from study.plan.window import FIRST, Window
from study.report.amounts import amount
from study.report.pictures.saving import DPI
from study.report.pictures.style import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 1280
"""Side of the map [pixels]: a whole number of them for every cell."""
FINISHED_COLOURS = ("#3b78b8", "#265a94", "#123a6b", "#050f24")
DIVERGED_COLOURS = ("#dd8a33", "#eeb25e", "#f8dc9e", "#fffbe8")
"""From far off the edge to the edge. Blue and orange differ for all kinds of colour blindness.

In grey every diverged cell (lightness 65 to 98) is lighter than every finished one (4 to 49). At the edge,
where they meet, the two are nearly black and nearly white.
"""
PENDING_COLOUR = "#868686"


@dataclass(frozen=True)
class Titled:
    """What is written above a map."""

    study: str
    window: Window
    boxes: Dimension | Missing | None = None


@style()
def draw(found: FineMap, said: Titled) -> Figure:
    """The map of a window, as far as it is known. Unknown cells show the next coarser known one."""
    from matplotlib.figure import Figure as Page

    window, side = said.window, SIDE / DPI
    left, bottom, right, top = 0.62, 0.95, 0.2, 0.62
    width, height = left + side + right, bottom + side + top
    figure = Page(figsize=(width, height), dpi=DPI)
    panel = figure.add_axes((left / width, bottom / height, side / width, side / height))
    panel.imshow(
        colours(found),
        origin="lower",
        interpolation="nearest",
        extent=(-0.5, found.points - 0.5, -0.5, found.points - 0.5),
    )
    _label(panel.xaxis, window.lr, found.points, "learning rate")
    _label(panel.yaxis, window.weight_decay, found.points, "weight decay")
    above: dict[str, Any] = {"transform": panel.transAxes, "va": "bottom", "linespacing": 1.3}
    panel.text(0, 1.085, heading(said), fontsize=8.5, **above)
    panel.text(0, 1.015, below(found, said), fontsize=7, **above)
    _key(figure, left / width, side / width, height)
    return figure


def colours(found: FineMap) -> np.ndarray:
    """Red, green and blue of each cell, shape [W, L, 3]."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    known = found.state_WL != PENDING
    coarsest = max(1, found.points // FIRST)
    state = filled(found.state_WL, known, coarsest)
    shown = np.empty((*state.shape, 3))
    shown[:] = to_rgb(PENDING_COLOUR)
    # The losses of finished cells grow towards the edge, and so do the inverse ones of diverged cells.
    for kind, names in ((FINISHED, FINISHED_COLOURS), (DIVERGED, DIVERGED_COLOURS)):
        rank = filled(stretched(found.size_WL, found.state_WL == kind), known, coarsest)
        scale = LinearSegmentedColormap.from_list("", names)
        shown[state == kind] = scale(rank[state == kind])[:, :3]
    return shown


def heading(said: Titled) -> str:
    """What was trained."""
    window = said.window
    steps = amount(window.setting.condition.budget.steps, "step")
    where = f"{window.transform.title}, {window.setting.full_title}"
    return f"{said.study}: {where}, {steps}, seed {window.seed}"


def below(found: FineMap, said: Titled) -> str:
    """How far the map is, and the dimension of its edge."""
    n, counts = found.points, found.counts
    line = f"{n} × {n} cells: {counts['finished']:,} finished, {counts['diverged']:,} diverged"
    if counts["pending"]:
        return f"{line}, {counts['pending']:,} to come (they show the next known cell)"
    if isinstance(said.boxes, Dimension):
        one = said.boxes
        line += (
            f"\nbox-counting dimension of the edge {one.value:.2f} [{one.low:.2f}, {one.high:.2f}] "
            f"with {one.confidence:.0%}, "
            f"boxes of {one.sizes[0]} to {one.sizes[-1]} cells, n = {one.n:,}"
        )
    elif said.boxes is not None:
        line += f"\nbox-counting dimension of the edge: {said.boxes.reason}"
    return line


def _label(axis: Any, ends: tuple[float, float], points: int, name: str) -> None:
    """Ticks at round values of a logarithmic axis."""
    values = round_values(*ends)
    low, high = ends
    places = [points * math.log(value / low) / math.log(high / low) for value in values]
    # The high end is where the next cell would be, outside of the map.
    shown = [
        (place, f"{value:g}") for place, value in zip(places, values, strict=True) if place < points - 0.5
    ]
    axis.set_ticks([place for place, _ in shown], [label for _, label in shown], fontsize=7)
    axis.set_tick_params(length=2.5)
    axis.set_label_text(name, fontsize=8)


def round_values(low: float, high: float) -> list[float]:
    """Three to eight round numbers in a range: powers of ten, with 2 and 5, or evenly apart."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1,), (1, 2, 5), tuple(range(1, 10))):
        every_one = [float(f"{digit}e{k}") for k in decades for digit in digits]
        found = [value for value in every_one if low <= value <= high]
        if len(found) >= 3:
            every = -(-len(found) // 8)
            return found[::every]
    from matplotlib.ticker import MaxNLocator

    return [float(f"{value:.6g}") for value in MaxNLocator(4).tick_values(low, high) if low <= value <= high]


def _key(figure: Figure, left: float, width: float, height: float) -> None:
    """The two scales, each from far off the edge to the edge."""
    from matplotlib.colors import LinearSegmentedColormap

    for k, (name, names, ends) in enumerate(
        (
            ("finished", FINISHED_COLOURS, ("smallest losses", "largest")),
            ("diverged", DIVERGED_COLOURS[::-1], ("latest", "earliest")),
        )
    ):
        bar = figure.add_axes((left + k * width * 0.53, 0.33 / height, width * 0.47, 0.1 / height))
        scale = LinearSegmentedColormap.from_list("", names)
        bar.imshow(np.linspace(0, 1, 256)[None, :], aspect="auto", cmap=scale)
        bar.set_yticks([])
        bar.set_xticks([0, 255], ends, fontsize=6.5)
        bar.set_title(f"{name}, by rank", fontsize=7, pad=2)
        bar.tick_params(length=0, pad=2)
        labels = bar.get_xticklabels()
        labels[0].set_horizontalalignment("left")
        labels[1].set_horizontalalignment("right")
