"""Cell-true heatmaps: one panel per transform on shared axes and colours. Only draws; it and `figures.py` import matplotlib."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from study.measures.array_types import Flags
from study.measures.estimate import worded
from study.measures.evidence import Evidence
from study.measures.landscape import DIVERGED, FAILED, FINISHED, INFERRED, PENDING, Landscape
from study.measures.regions import Region
from study.report.shades import class_of, limits, mean_metric

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
APART = 0.4
"""Distance of the row of weight decay 0 from the others [cells]."""
OUTLINES = {"trained": "white", "competitive": "black"}
"""Colour of each kind of region's border; drawn over a thin rim of the other colour, so that it shows on every ground."""


def draw(landscapes: Sequence[Landscape], evidence: Evidence, title: str) -> Figure:
    """The mean metric over seeds of every cell, with each transform's trained and competitive regions outlined."""
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
    bar.set_label(
        f"{landscapes[0].metric_name}, mean over {len(landscapes[0].seeds)} seed{'s' * (len(landscapes[0].seeds) > 1)}",
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
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

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


def panel_size(landscape: Landscape) -> tuple[float, float]:
    """Width and height of a panel [inches], so that cells are about square without becoming tiny or huge."""
    cell = min(0.19, 3.4 / len(landscape.lr))
    return max(2.7, cell * len(landscape.lr)), min(3.4, max(0.95, cell * len(landscape.weight_decay)))


def special(landscape: Landscape) -> dict[str, Flags]:
    """Where cells are shown in a colour of their own, by the names in `COLOURS`."""
    shown = class_of(landscape)
    inside = (
        np.zeros(shown.shape, dtype=bool)
        if landscape.class_SWL is None
        else (landscape.class_SWL == 1).all(axis=0)
    )
    return {
        "diverged": shown == DIVERGED,
        "failed": shown == FAILED,
        "pending": shown == PENDING,
        "inferred inside": (shown == INFERRED) & inside,
        "inferred outside": (shown == INFERRED) & ~inside,
    }


def paint(panel: Axes, landscape: Landscape, norm: Any) -> Any:
    """Colour the cells; a dot marks cells of which some seeds, but less than half, diverged."""
    shown = class_of(landscape)
    image = mesh(
        panel,
        landscape,
        np.ma.masked_invalid(mean_metric(landscape)),
        cmap="viridis" if landscape.higher_is_better else "viridis_r",
        norm=norm,
    )
    for name, place_WL in special(landscape).items():
        plain(panel, landscape, place_WL, COLOURS[name])
    w, c = np.nonzero((landscape.outcome_SWL == DIVERGED).any(axis=0) & (shown == FINISHED))
    panel.plot(c + 0.5, bottoms(landscape)[w] + 0.5, **DOT)
    return image


def bottoms(landscape: Landscape) -> np.ndarray:
    """Where each row begins: a row of weight decay 0 stands apart, because it is not on the logarithmic axis and not in the area."""
    row = np.arange(len(landscape.weight_decay), dtype=float)
    return row + APART * (np.array(landscape.weight_decay) > 0) * (min(landscape.weight_decay) == 0)


def blocks(landscape: Landscape) -> list[slice]:
    """Rows that hang together: weight decay 0, and the others."""
    zeros = sum(value == 0 for value in landscape.weight_decay)
    return [
        rows
        for rows in (slice(0, zeros), slice(zeros, len(landscape.weight_decay)))
        if rows.start < rows.stop
    ]


def mesh(panel: Axes, landscape: Landscape, value_WL: Any, **style: Any) -> Any:
    """Colour every cell by its value."""
    image: Any = None
    for rows in blocks(landscape):
        edges = np.arange(rows.stop - rows.start + 1) + bottoms(landscape)[rows.start]
        image = panel.pcolormesh(
            np.arange(len(landscape.lr) + 1), edges, value_WL[rows], rasterized=value_WL.size > 2000, **style
        )
    return image


def plain(panel: Axes, landscape: Landscape, chosen_WL: Flags, colour: str) -> None:
    """Colour the chosen cells in one colour."""
    from matplotlib.colors import ListedColormap

    if chosen_WL.any():
        mesh(
            panel,
            landscape,
            np.ma.masked_where(~chosen_WL, np.zeros(chosen_WL.shape)),
            cmap=ListedColormap([colour]),
        )


def outline(panel: Axes, landscape: Landscape, inside_WL: Flags, kind: str) -> None:
    """Draw the border of a region along the edges of its cells; a row of weight decay 0 has a border of its own."""
    from matplotlib.collections import LineCollection

    lines = [
        [(x, y + bottoms(landscape)[rows.start]) for x, y in line]
        for rows in blocks(landscape)
        for line in borders(inside_WL[rows])
    ]
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


def borders(inside_WL: Flags) -> Iterator[list[tuple[int, int]]]:
    """The sides of cells inside of a region whose other side is outside, as pairs of (x, y)."""
    padded = np.pad(inside_WL, 1)
    for w, c in np.argwhere(inside_WL):
        y, x = int(w), int(c)
        if not padded[y, x + 1]:
            yield [(x, y), (x + 1, y)]
        if not padded[y + 2, x + 1]:
            yield [(x, y + 1), (x + 1, y + 1)]
        if not padded[y + 1, x]:
            yield [(x, y), (x, y + 1)]
        if not padded[y + 1, x + 2]:
            yield [(x + 1, y), (x + 1, y + 1)]


def caption(evidence: Evidence, landscape: Landscape) -> str:
    """The lr width, with its interval, of the trained region; of the competitive one where an edge-seeking design found it."""
    kind = "competitive" if evidence.partial else "trained"
    found: Region | None = evidence.regions.get((landscape.transform, kind, "own"))
    if found is None:
        return "no complete seed yet"
    if len(landscape.lr) < 2:
        return "one learning rate: no width"
    return f"{kind}: {worded(found.lr_width, evidence.tolerances.confidence, digits='.1f')} decades of lr"


def label_axes(panel: Axes, landscape: Landscape, *, bottom: bool, left: bool) -> None:
    """Ticks at whole decades, written as powers of ten."""
    for axis, values, name in (
        (panel.xaxis, landscape.lr, "lr"),
        (panel.yaxis, landscape.weight_decay, "weight decay"),
    ):
        whole = [
            k
            for k, value in enumerate(values)
            if value == 0 or abs(math.log10(value) - round(math.log10(value))) < 1e-6
        ]
        places = thinned(whole or list(range(len(values))))
        outer = bottom if axis is panel.xaxis else left
        start = np.arange(len(values)) if axis is panel.xaxis else bottoms(landscape)
        axis.set_ticks(
            [start[k] + 0.5 for k in places], [tick(values[k]) if outer else "" for k in places], fontsize=7.5
        )
        axis.set_tick_params(length=2)
        if outer:
            axis.set_label_text(name, fontsize=8.5)


def thinned(places: list[int]) -> list[int]:
    """At most seven of the ticks, evenly."""
    return places[:: math.ceil(len(places) / 7)]


def tick(value: float) -> str:
    """0, 10^k, or three digits."""
    if value == 0:
        return "0"
    power = math.log10(value)
    return f"$10^{{{round(power)}}}$" if abs(power - round(power)) < 1e-6 else f"{value:.2g}"


def add_legend(figure: Figure, landscapes: Sequence[Landscape]) -> None:
    """What the special colours and lines mean; only those that occur."""
    from matplotlib.lines import Line2D

    handles: list[Any] = [
        patch(colour, name)
        for name, colour in COLOURS.items()
        if any(special(landscape)[name].any() for landscape in landscapes)
    ]
    if any(
        ((landscape.outcome_SWL == DIVERGED).any(axis=0) & (class_of(landscape) == FINISHED)).any()
        for landscape in landscapes
    ):
        handles.append(some_diverged())
    if any(landscape.complete_S.any() for landscape in landscapes):
        handles += [
            Line2D(
                [], [], color=colour, linewidth=1.7, path_effects=rim(kind), label=f"{kind} region (own best)"
            )
            for kind, colour in OUTLINES.items()
        ]
    if handles:
        most = int(figure.get_figwidth() / 1.75)
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=min(len(handles), most),
            fontsize=8,
            frameon=False,
        )


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write the figure in every format; pictures carry no date, so that equal studies give equal files."""
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none", "pdf.fonttype": 42}):
        for kind in FORMATS:
            path = folder / f"{name}.{kind}"
            figure.savefig(
                path,
                dpi=150,
                metadata={"png": None, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind],
            )
            written.append(path)
    return written
