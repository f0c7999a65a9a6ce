"""The key of a page: a bar of colours with numbers, and what hatches, lines and marks mean. Only draws."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from study.report.pictures.cells import BEST, DOT, GROUNDS, OUTLINES, PUBLISHED, STAR, handle
from study.report.pictures.layout import BAR_FOOT, LETTER, Page
from study.report.pictures.panels import Heatmap
from study.report.pictures.saving import wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def entries(shown: Heatmap) -> dict[str, Any]:
    """What the legend names, each with its kind; only what occurs."""
    found: dict[str, Any] = {}
    for name in GROUNDS:
        if any(name in panel.classes and panel.classes[name].any() for panel in shown.panels):
            found[name] = "ground"
    if any(panel.dots.any() for panel in shown.panels):
        found["some seeds diverged"] = DOT
    for kind in OUTLINES:
        if any(kind in panel.outlines and panel.outlines[kind].any() for panel in shown.panels):
            found[f"{kind} region"] = ("border", kind)
        if any(
            edge.interval and not edge.beyond and edge.kind == kind == panel.named
            for panel in shown.panels
            for edge in panel.edges
        ):
            found[f"its edge, {shown.confidence:.0%} interval"] = ("band", kind)
    if any(panel.stars.any() for panel in shown.panels):
        found[f"{shown.confidence:.0%} interval without 0"] = STAR
    if any(panel.best for panel in shown.panels):
        found["best cell"] = BEST
    if any(panel.published for panel in shown.panels):
        found["the paper's setting"] = PUBLISHED
    return found


def apart(ticks: Sequence[tuple[float, str]], inches: float) -> Sequence[tuple[float, str]]:
    """Both ends and as many other ticks as have room for their words.

    Args:
        inches: length of the bar.
    """
    chosen = list(ticks)
    while len(chosen) > 2:
        room = [
            (end - start) * inches - ((len(one) + len(other)) / 2 + 1) * LETTER
            for (start, one), (end, other) in pairwise(chosen)
        ]
        closest = min(range(len(room)), key=room.__getitem__)
        if room[closest] > 0:
            break
        # The inner one of two: an end says where the scale begins, or what is best.
        del chosen[max(1, min(closest + 1, len(chosen) - 2))]
    return chosen


def draw_key(figure: Figure, page: Page, shown: Heatmap, image: Any) -> None:
    """The bar of colours and the legend, where the page has room for them."""
    left, bottom, width, height = page.bar
    panel = figure.add_axes(
        (left / page.width, (bottom + BAR_FOOT) / page.height, width / page.width, 0.09 / page.height)
    )
    bar = figure.colorbar(
        image, cax=panel, orientation="horizontal", extend="min" if shown.below else "neither"
    )
    ticks = apart(shown.ticks, width)
    bar.set_ticks([shade for shade, _ in ticks], labels=[word for _, word in ticks])
    bar.outline.set_linewidth(0.4)
    panel.set_title(wrapped(shown.words, max(20, int((width + 0.1) / LETTER))), pad=3, linespacing=1.05)
    found = entries(shown)
    if found:
        left, bottom, width, height = page.legend
        figure.legend(
            handles=[handle(name, kind) for name, kind in found.items()],
            loc="upper left",
            bbox_to_anchor=(left / page.width, (bottom + height) / page.height),
            ncols=page.legend_columns,
            frameon=False,
            borderpad=0.1,
            borderaxespad=0.1,
            labelspacing=0.25,
            handlelength=1.8,
            handletextpad=0.5,
            columnspacing=1.0,
        )
