"""Cell-true heatmaps: one panel per transform, on shared axes and colours. Only draws."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from study.measures.array_types import Flags
from study.measures.estimate import worded
from study.measures.evidence import Evidence
from study.measures.landscape import Landscape
from study.measures.regions import Region
from study.report.pictures.geometry import blocks, borders, bottoms, panel_size, tick_label, tick_places
from study.report.pictures.shades import limits, mean_metric, partly_diverged, special
from study.report.pictures.style import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure as Figure

FORMATS = ("png", "svg", "pdf")
LINE = 0.17
"""Height of a line of a title [inches]."""
COLUMNS = 4
"""Most panels side by side."""
COLOURS = {
    "diverged": "#7f1d1d",
    "failed": "#d946ef",
    "pending": "#d4d4d4",
    "inferred inside": "#f5d0a9",
    "inferred outside": "#f4f4f5",
}
DOT: dict[str, Any] = {
    "marker": "o",
    "linestyle": "none",
    "markersize": 4,
    "color": COLOURS["diverged"],
    "markeredgecolor": "white",
    "markeredgewidth": 0.7,
}
"""Marks a cell of which some seeds diverged."""
OUTLINES = {"trained": "white", "competitive": "black"}
"""Colour of each kind of region's border. A thin rim of the other colour makes it visible on every ground."""
MOST_CELLS_AS_PATHS = 2000
"""Larger grids become an image inside of svg and pdf, where each cell would else be a path of its own."""


@style()
def draw(landscapes: Sequence[Landscape], evidence: Evidence, title: str) -> Figure:
    """The mean metric over seeds of every cell, with the outlines of trained and competitive regions."""
    columns = min(len(landscapes), COLUMNS)
    rows = math.ceil(len(landscapes) / columns)
    width, height = panel_size(landscapes[0])
    names = [wrapped(landscape.transform, int(width * 14)) for landscape in landscapes]
    lines = max(name.count("\n") for name in names)
    figure = canvas(max(columns * width + 1.6, 6.5), rows * (height + 0.62 + LINE * lines) + 1.15)
    axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    norm = scale(*limits(landscapes))
    image: Any = None
    for k, (panel, landscape) in enumerate(zip(axes, landscapes, strict=False)):
        image = paint(panel, landscape, norm)
        for kind in OUTLINES:
            found = evidence.regions.get((landscape.transform, kind, "own"))
            if found is not None:
                outline(panel, landscape, found.inside_WL, kind)
        panel.set_title(f"{names[k]}\n{caption(evidence, landscape)}", fontsize=8.5)
        label_axes(panel, landscape, bottom=k + columns >= len(landscapes), left=k % columns == 0)
    for panel in axes[len(landscapes) :]:
        panel.remove()
    bar = figure.colorbar(image, ax=axes[: len(landscapes)].tolist(), fraction=0.025, pad=0.01)
    seeds = len(landscapes[0].seeds)
    bar.set_label(
        f"{landscapes[0].metric_name}, mean over {seeds} seed{'s' * (seeds > 1)}",
        fontsize=8.5,
    )
    bar.ax.tick_params(labelsize=8)
    title = wrapped(title, int(figure.get_figwidth() * 11))
    figure.suptitle(title, fontsize=10.5)
    figure.set_figheight(figure.get_figheight() + LINE * title.count("\n"))
    add_legend(figure, landscapes)
    return figure


def canvas(width: float, height: float) -> Figure:
    """An empty figure [inches] that needs no screen."""
    from matplotlib.figure import Figure

    # Not pyplot, which keeps every figure in a global list until somebody closes it.
    return Figure(figsize=(width, height), layout="constrained")


def wrapped(words: str, width: int) -> str:
    """Words in lines of so many characters."""
    return textwrap.fill(words, width)


def scale(low: float, high: float) -> Any:
    """Values to colours, linearly."""
    from matplotlib.colors import Normalize

    return Normalize(low, high)


def patch(colour: str, label: str) -> Any:
    """A coloured square of a legend."""
    from matplotlib.patches import Patch

    return Patch(color=colour, label=label)


def some_diverged() -> Any:
    """The legend's entry for a dot."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label="some seeds diverged", **DOT)


def paint(panel: Axes, landscape: Landscape, norm: Any) -> Any:
    """Colour the cells. A dot marks those of which some seeds, but less than half, diverged."""
    image = mesh(
        panel,
        landscape,
        np.ma.masked_invalid(mean_metric(landscape)),
        cmap="viridis" if landscape.higher_is_better else "viridis_r",
        norm=norm,
    )
    for name, place_WL in special(landscape).items():
        plain(panel, landscape, place_WL, COLOURS[name])
    w, c = np.nonzero(partly_diverged(landscape))
    panel.plot(c + 0.5, bottoms(landscape)[w] + 0.5, **DOT)
    return image


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


def plain(panel: Axes, landscape: Landscape, chosen_WL: Flags, colour: str) -> None:
    """Colour the chosen cells in one colour."""
    from matplotlib.colors import ListedColormap

    if chosen_WL.any():
        ground_WL = np.ma.masked_where(~chosen_WL, np.zeros(chosen_WL.shape))
        mesh(panel, landscape, ground_WL, cmap=ListedColormap([colour]))


def outline(panel: Axes, landscape: Landscape, inside_WL: Flags, kind: str) -> None:
    """Draw the border of a region along its cells. A row of weight decay 0 has a border of its own."""
    from matplotlib.collections import LineCollection

    lines = []
    for rows in blocks(landscape):
        bottom = bottoms(landscape)[rows.start]
        for line in borders(inside_WL[rows]):
            lines.append([(x, y + bottom) for x, y in line])
    panel.add_collection(
        LineCollection(
            lines, colors=OUTLINES[kind], linewidths=1.7, capstyle="projecting", path_effects=rim(kind)
        ),
        autolim=False,
    )


def rim(kind: str) -> list[Any]:
    """A thin line of the other colour around a border."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2.6, foreground=OUTLINES["competitive" if kind == "trained" else "trained"])]


def caption(evidence: Evidence, landscape: Landscape) -> str:
    """The lr width of the trained region, or of the competitive one after an edge-seeking design."""
    kind = "competitive" if evidence.partial else "trained"
    found: Region | None = evidence.regions.get((landscape.transform, kind, "own"))
    if found is None:
        return "no complete seed yet"
    if len(landscape.lr) < 2:
        return "one learning rate: no width"
    return f"{kind}: {worded(found.lr_width, evidence.tolerances.confidence, digits='.1f')} decades of lr"


def label_axes(panel: Axes, landscape: Landscape, *, bottom: bool, left: bool) -> None:
    """Ticks at whole decades, written as powers of ten; only the outer panels of a page have labels."""
    columns = np.arange(len(landscape.lr))
    for axis, values, starts, name, outer in (
        (panel.xaxis, landscape.lr, columns, "lr", bottom),
        (panel.yaxis, landscape.weight_decay, bottoms(landscape), "weight decay", left),
    ):
        places = tick_places(values)
        labels = [tick_label(values[k]) if outer else "" for k in places]
        axis.set_ticks([starts[k] + 0.5 for k in places], labels, fontsize=7.5)
        axis.set_tick_params(length=2)
        if outer:
            axis.set_label_text(name, fontsize=8.5)


def add_legend(figure: Figure, landscapes: Sequence[Landscape]) -> None:
    """What the special colours and lines mean; only those that occur."""
    from matplotlib.lines import Line2D

    handles: list[Any] = [
        patch(colour, name)
        for name, colour in COLOURS.items()
        if any(special(landscape)[name].any() for landscape in landscapes)
    ]
    if any(partly_diverged(landscape).any() for landscape in landscapes):
        handles.append(some_diverged())
    if any(landscape.complete_S.any() for landscape in landscapes):
        for kind, colour in OUTLINES.items():
            label = f"{kind} region (own best)"
            handles.append(Line2D([], [], color=colour, linewidth=1.7, path_effects=rim(kind), label=label))
    if handles:
        columns = min(len(handles), int(figure.get_figwidth() / 1.75))
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)


def take_literally(figure: Figure) -> None:
    """Show dollars in names and titles as they are: a spec's words may hold some, and are no formulas."""
    from matplotlib.text import Text

    # The exponents of a logarithmic axis are formulas, which matplotlib writes itself.
    axes = [axis for panel in figure.axes for axis in (panel.xaxis, panel.yaxis)]
    numbers = {id(label) for axis in axes for label in axis.get_ticklabels(which="both")}
    for text in figure.findobj(Text):
        if isinstance(text, Text) and id(text) not in numbers:
            text.set_parse_math(False)


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write the figure in every format. Pictures carry no date, so equal studies give equal files."""
    folder.mkdir(parents=True, exist_ok=True)
    undated: dict[str, dict[str, None] | None] = {
        "png": None,
        "svg": {"Date": None},
        "pdf": {"CreationDate": None},
    }
    written = []
    with style(name):
        take_literally(figure)
        for kind in FORMATS:
            path = folder / f"{name}.{kind}"
            figure.savefig(path, dpi=150, metadata=undated[kind])
            written.append(path)
    return written
