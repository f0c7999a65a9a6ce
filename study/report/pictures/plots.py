"""Forest plots, slices and tuning curves as figures. Only draws."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from study.analysis import Analysis
from study.file_names import file_name
from study.measures.estimate import Missing
from study.measures.evidence import Evidence
from study.report.pictures.cells import TICK
from study.report.pictures.forest import Column, Forest, forest, forest_table, importance_forest
from study.report.pictures.geometry import tick_label, tick_places
from study.report.pictures.layout import LETTER, LINE, title_width
from study.report.pictures.saving import canvas, save, save_table, wrapped
from study.report.pictures.slices import Chart, Charts, Line, chart_table, slices, spread, tuning
from study.report.pictures.style import COLOURS, ORDINARY, PictureStyle, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHES: tuple[Any, ...] = ("-", (0, (4, 1.2)), (0, (1, 1)), (0, (5, 1, 1, 1)))
"""For the second seven transforms, and so on. Names stand beside the lines, too."""
COLUMN_GAP = 0.24
"""Between the columns of a forest plot [inches]. Numbers of four letters overhang their axes by half."""
LONGEST = 24
"""Letters of a transform's name in a line beside a plot."""
PLOT = 1.35
"""Height of a chart [inches]."""


def draw_forest(shown: Forest, look: PictureStyle = ORDINARY) -> Figure:
    """A column per measure with a row per transform: estimate and interval."""
    with style(look=look):
        names = [wrapped(title, LONGEST) for title, _ in shown.rows]
        lines = [name.count("\n") + 1 for name in names]
        most = 2 if look.width == "one" else len(shown.columns)
        side = max(max(len(part) for name in names for part in name.split("\n")) * LETTER + 0.12, 0.5)
        wide = (look.inches - side - 0.08 - COLUMN_GAP * (most - 1)) / most
        floors = math.ceil(len(shown.columns) / most)
        high = sum(lines) * LINE + 0.05 * len(lines) + 0.1
        top = title_height(shown.title, look)
        pitch = high + 0.52
        height = top + floors * pitch + 0.16
        figure = canvas(look.inches, height, layout=None)
        for k, column in enumerate(shown.columns):
            floor, place = divmod(k, most)
            left, bottom = side + place * (wide + COLUMN_GAP), height - top - floor * pitch - high - 0.03
            box = (left / look.inches, bottom / height, wide / look.inches, high / height)
            forest_column(figure.add_axes(box), column, names if place == 0 else [""] * len(names), lines)
        words(figure, shown.title, shown.note, look)
        return figure


def forest_column(axes: Axes, column: Column, names: list[str], lines: list[int]) -> None:
    """One measure."""
    # Rows of names in two lines are higher.
    at = np.cumsum([0, *[count * LINE + 0.05 for count in lines[:-1]]]) + np.array(lines) * LINE / 2
    for y, point in zip(at, column.points, strict=True):
        if point.value is None:
            axes.plot([], [])
            axes.annotate("–", (0.5, y), xycoords=("axes fraction", "data"), ha="center", va="center")
            continue
        if point.interval is not None:
            axes.plot(point.interval, [y, y], color="black", linewidth=0.9, solid_capstyle="butt")
            for end in point.interval:
                axes.plot([end, end], [y - 0.03, y + 0.03], color="black", linewidth=0.9)
        marker = {(True, False): ">", (False, True): "<"}.get((point.lower_bound, point.upper_bound), "o")
        axes.plot([point.value], [y], marker=marker, color="black", markersize=3.4)
    axes.set_ylim(float(at[-1]) + lines[-1] * LINE / 2 + 0.06, -0.06)
    axes.set_yticks(at.tolist(), names)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", linewidth=0.3, alpha=0.5)
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.margins(x=0.08)
    # No steps of 2.5, whose numbers are longer than those of 2 and 5.
    axes.locator_params(axis="x", nbins=4, steps=[1, 2, 5, 10])
    axes.set_xlabel(column.words)


def draw_charts(shown: Charts, look: PictureStyle = ORDINARY) -> Figure:
    """Charts with all transforms on one axis, each line with its name beside it."""
    with style(look=look):
        count = len(shown.charts[0].lines)
        most = 1 if look.width == "one" or len(shown.charts) == 1 else 2
        floors = math.ceil(len(shown.charts) / most)
        names = [wrapped(line.title, LONGEST) for line in shown.charts[0].lines]
        side = max(len(part) for name in names for part in name.split("\n")) * LETTER + 0.14
        lines = sum(name.count("\n") + 1 for name in names)
        high = max(PLOT, lines * LINE + 0.05)
        margin = max(len(word) for _, word in shown.scale.ticks) * LETTER + 0.22
        wide = (look.inches - (margin + side) * most) / most
        top, pitch = title_height(shown.title, look), high + 0.56
        height = top + floors * pitch + 0.14
        figure = canvas(look.inches, height, layout=None)
        for k, chart in enumerate(shown.charts):
            floor, place = divmod(k, most)
            left = margin + place * (wide + side + margin)
            bottom = height - top - floor * pitch - high - 0.17
            box = (left / look.inches, bottom / height, wide / look.inches, high / height)
            axes = figure.add_axes(box)
            chart_lines(axes, chart, shown, wide)
            name_lines(axes, chart, shown, high, names)
            axes.set_ylabel(shown.metric if place == 0 else "")
            axes.set_title(wrapped(chart.words, int((wide + side) / LETTER)), loc="left", pad=3)
        words(figure, shown.title, f"{shown.note}; axis finer toward the best (√)", look, count)
        return figure


def line_style(k: int) -> dict[str, Any]:
    """Colour and dashes of the k-th line."""
    return {"color": COLOURS[k % len(COLOURS)], "linestyle": DASHES[k // len(COLOURS) % len(DASHES)]}


def chart_lines(axes: Axes, chart: Chart, shown: Charts, inches: float) -> None:
    """Means as lines, seeds as bands, crosses where most seeds diverged.

    Args:
        inches: width of the chart.
    """
    for k, line in enumerate(chart.lines):
        x, (mean, low, high) = (
            places(line),
            (shown.scale.shade(v) for v in (line.mean_J, line.low_J, line.high_J)),
        )
        chosen = line_style(k)
        if np.isfinite(low).any():
            axes.fill_between(x, low, high, color=chosen["color"], alpha=0.15, linewidth=0)
        axes.plot(x, mean, **chosen, marker="o" if len(x) < 3 else "", markersize=2)
        axes.plot(
            x[line.lost_J],
            mean[line.lost_J],
            linestyle="none",
            marker="x",
            markersize=2.5,
            mew=0.5,
            color=chosen["color"],
        )
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([shade for shade, _ in shown.scale.ticks], [word for _, word in shown.scale.ticks])
    values = chart.lines[0].at_J
    if chart.axis.startswith("random"):
        axes.set_xscale("log")
        whole = [k for k in (1, 2, 5, 10, 20, 50, 100) if k <= values[-1]]
        axes.set_xticks(whole, [str(k) for k in whole])
        axes.minorticks_off()
    else:
        chosen_ticks = tick_places(values, max(2, int(inches / TICK)))
        at = places(chart.lines[0])
        axes.set_xticks([float(at[k]) for k in chosen_ticks], [tick_label(values[k]) for k in chosen_ticks])
    axes.set_xlabel(chart.axis)
    axes.grid(linewidth=0.3, alpha=0.4)
    axes.spines[["right", "top"]].set_visible(False)


def places(line: Line) -> Any:
    """Where a line's values stand: decades, with 0 one step before the others; cells as they are counted."""
    at = np.array(line.at_J)
    if not line.where:
        return at
    positive = at[at > 0]
    if len(positive) == len(at):
        return np.log10(at)
    step = np.diff(np.log10(positive)).mean() if len(positive) > 1 else 1.0
    first = math.log10(positive[0]) - step if len(positive) else 0.0
    return np.concatenate([np.full(len(at) - len(positive), first), np.log10(positive)])


def name_lines(axes: Axes, chart: Chart, shown: Charts, high: float, names: list[str]) -> None:
    """The name of each line at the right, with a thin line to it."""
    found = []
    for k, line in enumerate(chart.lines):
        at = line.anchor(shown.scale)
        found.append((-at, float(shown.scale.shade(line.mean_J)[at]), k))
    found.sort()
    lines = [names[k].count("\n") + 1 for _, _, k in found]
    apart = LINE * max(lines) / high * 1.08
    heights = spread([y for _, y, _ in found], apart, 0.03, 0.96)
    x = places(chart.lines[0])
    for (back, y, k), height in zip(found, heights, strict=True):
        axes.annotate(
            names[k],
            (float(x[-back]), y),
            (1.03, height),
            xycoords="data",
            textcoords="axes fraction",
            va="center",
            color=line_style(k)["color"],
            linespacing=1.0,
            arrowprops={
                "arrowstyle": "-",
                "linewidth": 0.35,
                "color": line_style(k)["color"],
                "shrinkA": 1,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )


def title_height(title: str, look: PictureStyle) -> float:
    """Room for the words above all plots [inches]."""
    return (
        (wrapped(title, title_width(look.inches)).count("\n") + 1) * LINE * 1.15 + 0.06
        if look.title
        else 0.03
    )


def words(figure: Figure, title: str, note: str, look: PictureStyle, count: int = 0) -> None:
    """What stands above and below all plots."""
    height = figure.get_figheight()
    if look.title:
        shown = wrapped(title, title_width(look.inches))
        figure.text(0.5, 1 - 0.03 / height, shown, ha="center", va="top", fontsize="large")
    below = wrapped(note, int(look.inches / LETTER))
    more = below.count("\n") * LINE
    if more:
        # Long notes take more than one line on a narrow page: all plots move up by as much.
        for axes in figure.axes:
            box = axes.get_position()
            axes.set_position(
                (
                    box.x0,
                    (box.y0 * height + more) / (height + more),
                    box.width,
                    box.height * height / (height + more),
                )
            )
        figure.set_figheight(height + more)
        for text in figure.texts:
            text.set_y(1 - 0.03 / (height + more))
        height += more
    figure.text(0.01, 0.02 / height, below, va="bottom", color="#444444")


Shown = Forest | Charts | Missing
PLOTS: dict[str, Callable[[Analysis, Evidence, float | None, float | None], Shown]] = {
    "forest": lambda analysis, piece, lr, weight_decay: forest(analysis, piece),
    "slices": slices,
    "tuning": lambda analysis, piece, lr, weight_decay: tuning(analysis, piece),
    "importances": lambda analysis, piece, lr, weight_decay: importance_forest(analysis, piece),
}
"""Every kind of plot: of a study, a setting, and the lr and weight decay that slices are at."""


def draw_plot(
    analysis: Analysis,
    folder: Path,
    name: str,
    look: PictureStyle = ORDINARY,
    lr: float | None = None,
    weight_decay: float | None = None,
) -> tuple[list[Path], dict[str, str]]:
    """One kind of plot of every setting in every format, with its numbers, and why some are missing.

    Args:
        name: a key of `PLOTS`.
        lr, weight_decay: of the slices that are the same for all.
    """
    written: list[Path] = []
    missing: dict[str, str] = {}
    for piece in analysis.evidence:
        found = PLOTS[name](analysis, piece, lr, weight_decay)
        if isinstance(found, Missing):
            missing[f"{name} of {piece.name}"] = found.reason
            continue
        file = file_name("-".join(part for part in (name, *piece.key) if part))
        if isinstance(found, Forest):
            figure, rows = draw_forest(found, look), forest_table(found, piece.tolerances.confidence)
        else:
            figure, rows = draw_charts(found, look), chart_table(found)
        written += save(figure, folder, file, look)
        written += save_table(rows, folder, file)
    return written, missing
