"""Cell-true heatmaps: one panel per transform, on shared axes and colours. Only draws."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.analysis import Analysis
from study.file_names import file_name
from study.measures.estimate import Missing
from study.report.pictures.cells import (
    BEST,
    DOT,
    PUBLISHED,
    STAR,
    bands,
    dots,
    frame,
    label_axes,
    mark,
    outline,
    plain,
    say,
    shades,
)
from study.report.pictures.geometry import bottoms, tick_label
from study.report.pictures.key import draw_key, entries
from study.report.pictures.layout import LINE, columns_for, name_width, page_of, title_width
from study.report.pictures.panels import Heatmap, Panel, edge_table, heatmap, table_of
from study.report.pictures.saving import canvas, save, save_table, wrapped
from study.report.pictures.style import ORDINARY, PictureStyle, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = {"one": 2, "two": 4}
"""Most panels side by side, by the width of the page."""


def draw(shown: Heatmap, look: PictureStyle = ORDINARY) -> Figure:
    """A page of panels with its key."""
    with style(look=look):
        first = shown.panels[0].landscape
        columns = columns_for(len(shown.panels), COLUMNS[look.width])
        letters = name_width(look.inches, columns)
        heads = [wrapped(one.landscape.title, int(letters * 0.8)) for one in shown.panels]
        captions = [wrapped(one.caption, int(letters * 1.12)) for one in shown.panels]
        title = wrapped(shown.title, title_width(look.inches)) if look.title else ""
        names = entries(shown)
        page = page_of(
            len(shown.panels),
            (float(bottoms(first)[-1] + 1), float(len(first.lr))),
            look.inches,
            most=COLUMNS[look.width],
            head=max(map(lines_of, heads)) + max(map(lines_of, captions)),
            title=title.count("\n") + 1 if title else 0,
            entries=len(names),
            longest=max(map(len, names), default=0),
            words=len(shown.words),
            products=any("times" in tick_label(value) for value in first.weight_decay),
        )
        figure = canvas(page.width, page.height, layout=None)
        image: Any = None
        for k, (panel, box, (bottom, left)) in enumerate(
            zip(shown.panels, page.panels, page.outer, strict=True)
        ):
            x, y, width, height = box
            axes = figure.add_axes(
                (x / page.width, y / page.height, width / page.width, height / page.height)
            )
            image = paint(axes, panel, "PuOr" if shown.diverging else "viridis", height)
            # Two texts at fixed heights: lines of one text move with the letters that hang below them.
            above(axes, captions[k], 2.0, "normal")
            above(axes, heads[k], 2.0 + LINE * 72 * max(map(lines_of, captions)), "bold")
            label_axes(axes, panel.landscape, bottom=bottom, left=left, inches=width)
        draw_key(figure, page, shown, image)
        if title:
            figure.text(0.5, 1 - 0.04 / page.height, title, ha="center", va="top", fontsize="large")
        return figure


def lines_of(words: str) -> int:
    """How many lines words take."""
    return words.count("\n") + 1


def above(axes: Axes, words: str, lift: float, weight: str) -> None:
    """Words above a panel, so many points higher than its border."""
    axes.annotate(
        words,
        (0.5, 1),
        (0, lift),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        va="bottom" if "\n" in words else "baseline",
        weight=weight,
        linespacing=1.0,
    )


def paint(axes: Axes, panel: Panel, colours: str, inches: float) -> Any:
    """One panel: colours first, then classes, edges and marks.

    Args:
        inches: its height.
    """
    landscape = panel.landscape
    image = shades(axes, landscape, panel.shade_WL, colours)
    for name, place_WL in panel.classes.items():
        plain(axes, landscape, place_WL, name)
    dots(axes, landscape, panel.dots, DOT)
    dots(axes, landscape, panel.stars, STAR)
    bands(axes, landscape, [edge for edge in panel.edges if edge.kind == panel.named], inches)
    for kind, inside_WL in panel.outlines.items():
        outline(axes, landscape, inside_WL, kind)
    if panel.published is not None:
        axes.plot(*[[value] for value in panel.published], **mark(PUBLISHED))
    if panel.best is not None:
        row, column = panel.best
        axes.plot([column + 0.5], [bottoms(landscape)[row] + 0.5], **mark(BEST))
    if panel.outlines or panel.empty:
        say(axes, [f"no {kind} region" for kind in panel.empty])
    frame(axes, landscape)
    return image


def draw_heatmaps(
    analysis: Analysis, folder: Path, name: str = "score", look: PictureStyle = ORDINARY
) -> tuple[list[Path], dict[str, str]]:
    """A heatmap per setting in every format with its numbers beside it, and in words why some are missing.

    Args:
        name: a kind of heatmap, of `study.report.pictures.quantities.QUANTITIES`.
    """
    written: list[Path] = []
    missing: dict[str, str] = {}
    for piece in analysis.evidence:
        found = heatmap(analysis, piece, name)
        if isinstance(found, Missing):
            missing[f"{name} of {piece.name}"] = found.reason
            continue
        metric = found.panels[0].landscape.metric_name
        file = file_name("-".join(part for part in (*piece.key, metric if name == "score" else name) if part))
        written += save(draw(found, look), folder, file, look)
        written += save_table(table_of(found), folder, file)
        written += save_table(edge_table(found), folder, file_name(f"{file}-edges"))
    return written, missing
