"""The cells of one panel: colours, hatches, borders, bands and marks. Only draws."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from study.measures.array_types import Flags, Floats
from study.measures.landscape import Landscape
from study.report.pictures.geometry import (
    MOST_TICKS,
    at_column,
    blocks,
    borders,
    bottoms,
    runs,
    tick_label,
    tick_places,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes

    from study.report.pictures.panels import Edge


Box = tuple[float, float, float, float]
"""Left, low, right and high [cells]."""


class Ground(NamedTuple):
    """How cells of a class look: a colour, and a hatch that tells it in a grey print."""

    colour: str
    hatch: str
    lines: str


GROUNDS = {
    "diverged": Ground("#7f1d1d", "////", "#f0b7ab"),
    "failed": Ground("#d946ef", "oo", "#3b0764"),
    "pending": Ground("#e2e2e2", "..", "#7a7a7a"),
    "inferred inside": Ground("#f5d0a9", "||", "#8a5a1f"),
    "inferred outside": Ground("#f4f4f5", "--", "#8c8c94"),
    "no better than untrained": Ground("none", "\\\\\\", "#b9a6c9"),
    "no seed diverged": Ground("#f4f4f5", "", "#f4f4f5"),
    "diverged with the first alone": Ground("#15803d", "\\\\\\\\", "#d1fae5"),
    "diverged with the second alone": Ground("#22d3ee", "//", "#083344"),
    "no pair of seeds": Ground("#d4d4d4", "xx", "#7a7a7a"),
}
"""Classes of cells that are shown as what they are."""
OUTLINES = {"trained": "white", "competitive": "black"}
"""Colour of each kind of region's border. A thin rim of the other colour makes it visible on every ground."""
LANE, LANE_INCHES = 0.22, 0.035
"""Greatest height of the interval of an edge [cells, inches]. A higher one would cover the cells."""
MOST_CELLS_AS_PATHS = 2000
"""Larger grids become an image inside of svg and pdf, where each cell would else be a path of its own."""
TICK = 0.29
"""Width of a number below an axis, with its distance to the next [inches]."""
BEST, PUBLISHED, DOT, STAR = "*", "s", "o", "+"
"""Marks: the best cell, a paper's setting, some seeds diverged, an interval that excludes 0."""


def mark(kind: str, size: float = 5.0) -> dict[str, Any]:
    """How a mark looks."""
    plain: dict[str, Any] = {"marker": kind, "linestyle": "none"}
    if kind == BEST:
        return plain | {"color": "white", "markersize": 7.5, "mec": "black", "mew": 0.6}
    if kind == PUBLISHED:
        return plain | {
            "mfc": "none",
            "markersize": 6.0,
            "mec": "#ff7f0e",
            "mew": 1.2,
            "path_effects": rim("black", 2.0),
        }
    if kind == STAR:
        return plain | {"color": "black", "markersize": min(size, 3.5), "mew": 0.6}
    return plain | {"color": "#7f1d1d", "markersize": min(size, 3.2), "mec": "white", "mew": 0.5}


def rim(colour: str, width: float) -> list[Any]:
    """A line of another colour around a line."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground=colour)]


def border(kind: str) -> dict[str, Any]:
    """How a region's border looks."""
    other = OUTLINES["competitive" if kind == "trained" else "trained"]
    return {"color": OUTLINES[kind], "linewidth": 1.1, "path_effects": rim(other, 1.9)}


def mesh(panel: Axes, landscape: Landscape, value_WL: Any, **style: Any) -> Any:
    """Colour every cell by its value."""
    image: Any = None
    for rows in blocks(landscape):
        edges = np.arange(rows.stop - rows.start + 1) + bottoms(landscape)[rows.start]
        image = panel.pcolormesh(
            np.arange(len(landscape.lr) + 1),
            edges,
            value_WL[rows],
            rasterized=value_WL.size > MOST_CELLS_AS_PATHS,
            **style,
        )
    return image


def shades(panel: Axes, landscape: Landscape, shade_WL: Floats, colours: str) -> Any:
    """Colour the cells by shades from 0 to 1; those without one stay empty."""
    return mesh(panel, landscape, np.ma.masked_invalid(shade_WL), cmap=colours, vmin=0, vmax=1)


def plain(panel: Axes, landscape: Landscape, chosen_WL: Flags, name: str) -> None:
    """Show the chosen cells as a class."""
    if not chosen_WL.any():
        return
    bottom = bottoms(landscape)
    ground = GROUNDS[name]
    # One path for all of them, with a side for neighbours together: hatches run on from cell to cell.
    together(
        panel,
        [(first, float(bottom[row]), last, float(bottom[row]) + 1) for row, first, last in runs(chosen_WL)],
        facecolor=ground.colour,
        edgecolor=ground.lines,
        hatch=ground.hatch or None,
        linewidth=0,
        rasterized=chosen_WL.size > MOST_CELLS_AS_PATHS,
    )


def frame(panel: Axes, landscape: Landscape) -> None:
    """The whole grid, whatever is drawn on it."""
    panel.set_xlim(0, len(landscape.lr))
    panel.set_ylim(0, bottoms(landscape)[-1] + 1)


def dots(panel: Axes, landscape: Landscape, chosen_WL: Flags, kind: str) -> None:
    """A mark in the middle of each chosen cell."""
    w, c = np.nonzero(chosen_WL)
    if not len(w):
        return
    size = 45.0 * min(2.0 / len(landscape.lr), 1.0)
    panel.plot(
        c + 0.5,
        bottoms(landscape)[w] + 0.5,
        **mark(kind, max(size, 0.8)),
        rasterized=chosen_WL.size > MOST_CELLS_AS_PATHS,
    )


def outline(panel: Axes, landscape: Landscape, inside_WL: Flags, kind: str) -> None:
    """Draw the border of a region along its cells. A row of weight decay 0 has a border of its own."""
    from matplotlib.collections import LineCollection

    lines = []
    for rows in blocks(landscape):
        bottom = bottoms(landscape)[rows.start]
        for line in borders(inside_WL[rows]):
            lines.append([(x, y + bottom) for x, y in line])
    if lines:
        panel.add_collection(LineCollection(lines, capstyle="projecting", **border(kind)), autolim=False)


def bands(panel: Axes, landscape: Landscape, edges: Iterable[Edge], inches: float) -> None:
    """The interval of each edge as a narrow band in its row, and the mean as a line across it.

    Args:
        inches: height of the panel.
    """
    lane = min(LANE, LANE_INCHES * float(bottoms(landscape)[-1] + 1) / inches)
    boxes: dict[str, list[Box]] = {}
    middles: dict[str, list[Box]] = {}
    for edge in edges:
        # A region that runs out of the grid has no edge here: the border, which it touches, says so.
        if edge.interval is None or edge.place is None or edge.beyond:
            continue
        bottom = float(bottoms(landscape)[edge.row]) + (1 - lane) / 2
        low, high, middle = (at_column(landscape.lr, place) for place in (*edge.interval, edge.place))
        boxes.setdefault(edge.kind, []).append((low, bottom, high, bottom + lane))
        middles.setdefault(edge.kind, []).append((middle, bottom, middle, bottom + lane))
    for kind, found in boxes.items():
        together(panel, found, **band(kind))
        together(panel, middles[kind], **band_mean(kind))


def together(panel: Axes, boxes: Sequence[Box], **style: Any) -> None:
    """Rectangles as one path: a file of a thousand small paths is large, and slow to draw."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    corners: list[tuple[float, float]] = []
    for left, low, right, high in boxes:
        corners += [(left, low), (right, low), (right, high), (left, high), (left, low)]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(boxes)
    panel.add_patch(PathPatch(Path(corners, codes), **style))


def band(kind: str) -> dict[str, Any]:
    """How the interval of an edge looks."""
    other = OUTLINES["competitive" if kind == "trained" else "trained"]
    return {"facecolor": OUTLINES[kind], "edgecolor": other, "linewidth": 0.4}


def band_mean(kind: str) -> dict[str, Any]:
    """How the mean of an edge looks."""
    colour = OUTLINES["competitive" if kind == "trained" else "trained"]
    return {"facecolor": "none", "edgecolor": colour, "linewidth": 0.7}


def handle(name: str, kind: Any, words: str = "") -> Any:
    """An entry of a legend.

    Args:
        kind: `ground`, a marker, or `border` or `band` with a kind of region.
        words: in the place of the name.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    label = words or name.strip()
    if kind == "ground":
        ground = GROUNDS[name]
        face = "#3b0f57" if ground.colour == "none" else ground.colour
        return Patch(
            facecolor=face, edgecolor=ground.lines, hatch=ground.hatch * 2 or None, linewidth=0, label=label
        )
    if isinstance(kind, tuple):
        sort, region = kind
        if sort == "border":
            return Line2D([], [], label=label, **border(region))
        return Patch(label=label, **(band(region) | {"edgecolor": "#555555", "linewidth": 0.4}))
    return Line2D([], [], label=label, **mark(kind))


def label_axes(panel: Axes, landscape: Landscape, *, bottom: bool, left: bool, inches: float = 2.0) -> None:
    """Ticks at whole decades, written as powers of ten; only the outer panels of a page have labels.

    Args:
        inches: width of the panel.
    """
    columns = np.arange(len(landscape.lr))
    for axis, values, starts, name, outer, most in (
        (panel.xaxis, landscape.lr, columns, "learning rate", bottom, max(2, int(inches / TICK))),
        (panel.yaxis, landscape.weight_decay, bottoms(landscape), "weight decay", left, MOST_TICKS),
    ):
        places = tick_places(values, most)
        labels = [tick_label(values[k]) if outer else "" for k in places]
        axis.set_ticks([starts[k] + 0.5 for k in places], labels)
        if outer:
            axis.set_label_text(name)


def say(panel: Axes, words: Sequence[str]) -> None:
    """Write words over a panel, where what it should show is not there."""
    from matplotlib.patheffects import withStroke

    if words:
        panel.text(
            0.5,
            0.03,
            "\n".join(words),
            ha="center",
            va="bottom",
            transform=panel.transAxes,
            color="black",
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )
