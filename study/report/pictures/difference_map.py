"""The difference map of a comparison: both transforms, and their difference cell by cell. Only draws."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from study.comparison import SideBySide
from study.file_names import file_name
from study.measures.array_types import Flags, Floats
from study.measures.landscape import DIVERGED, FINISHED, INFERRED, Landscape
from study.report.pictures.geometry import bottoms, panel_size
from study.report.pictures.heatmaps import (
    COLOURS,
    canvas,
    label_axes,
    mesh,
    paint,
    patch,
    plain,
    save,
    scale,
    some_diverged,
)
from study.report.pictures.shades import class_of, limits, partly_diverged
from study.report.pictures.style import style

if TYPE_CHECKING:
    from study.report.pictures.heatmaps import Axes, Figure

ONLY = {"a": "#15803d", "b": "#22d3ee"}
"""Colours of cells that diverged with one of the two alone."""


@style()
def draw_difference(comparison: SideBySide) -> Figure:
    """Three panels: the mean metric of a, of b, and the mean over seeds of a - b where both finished."""
    one, other = comparison.landscapes
    width, height = panel_size(one)
    figure = canvas(3 * width + 2.6, height + 2.1)
    panels = figure.subplots(1, 3)
    norm = scale(*limits([one, other]))
    image: Any = None
    sides = zip(panels[:2], comparison.landscapes, (comparison.a, comparison.b), strict=True)
    for panel, landscape, name in sides:
        if landscape.seeds:
            image = paint(panel, landscape, norm)
            label_axes(panel, landscape, bottom=True, left=panel is panels[0])
        else:
            say(panel, "no seed is complete in both")
        panel.set_title(name, fontsize=8.5)
    if image is not None:
        bar = figure.colorbar(image, ax=list(panels[:2]), fraction=0.04, pad=0.01)
        seeds = len(one.seeds)
        bar.set_label(f"{one.metric_name}, mean over {seeds} seed{'s' * (seeds != 1)}", fontsize=8)
        bar.ax.tick_params(labelsize=7.5)
    paint_difference(figure, panels[2], comparison)
    figure.suptitle(f"{comparison.setting}: {comparison.a} and {comparison.b}", fontsize=10)
    legend(figure, comparison)
    return figure


def difference_of(one: Landscape, other: Landscape) -> Floats:
    """Mean over seeds of the metric's difference, shape [W, L]; NaN where one is not shown as finished."""
    both_SWL = (one.outcome_SWL == FINISHED) & (other.outcome_SWL == FINISHED)
    count = both_SWL.sum(axis=0)
    gain_SWL = np.nan_to_num(one.metric_SWL) - np.nan_to_num(other.metric_SWL)
    total = np.where(both_SWL, gain_SWL, 0.0).sum(axis=0)
    mean = np.divide(total, count, out=np.zeros(total.shape), where=count > 0)
    # A cell of which most seeds diverged has no colour on either side, so a difference would explain nothing.
    shown = (count > 0) & (class_of(one) == FINISHED) & (class_of(other) == FINISHED)
    return np.asarray(np.where(shown, mean, np.nan))


def classes(one: Landscape, other: Landscape) -> dict[str, Flags]:
    """Which cells diverged with both, or with one alone while the other was trained."""
    a, b = class_of(one), class_of(other)
    first, second = a == DIVERGED, b == DIVERGED
    return {
        "both": first & second,
        "a": first & ~second & (b != INFERRED),
        "b": second & ~first & (a != INFERRED),
    }


def paint_difference(figure: Figure, panel: Axes, comparison: SideBySide) -> None:
    """Colour a - b around 0, and the cells where only one of the two has a number."""
    one, other = comparison.landscapes
    panel.set_title(f"{comparison.a} - {comparison.b}", fontsize=8.5)
    if not one.seeds:
        return say(panel, "no seed is complete in both")
    if (one.lr, one.weight_decay) != (other.lr, other.weight_decay):
        return say(panel, "the grids differ:\ncells cannot be subtracted")
    if one.metric_name != other.metric_name:
        return say(panel, f"measured by {one.metric_name}\nand by {other.metric_name}")
    value_WL = difference_of(one, other)
    known = np.abs(value_WL[np.isfinite(value_WL)])
    reach = float(known.max()) if len(known) and known.max() > 0 else 1.0
    image = mesh(
        panel,
        one,
        np.ma.masked_invalid(value_WL),
        # Reversed for losses, so one colour always means that a is better.
        cmap="PuOr_r" if one.higher_is_better else "PuOr",
        norm=scale(-reach, reach),
    )
    found = classes(one, other)
    for name, colour in (("both", COLOURS["diverged"]), *ONLY.items()):
        plain(panel, one, found[name], colour)
    named_WL = np.logical_or.reduce(list(found.values()))
    plain(panel, one, ~np.isfinite(value_WL) & ~named_WL, COLOURS["pending"])
    label_axes(panel, one, bottom=True, left=False)
    panel.set_ylim(0, bottoms(one)[-1] + 1)
    bar = figure.colorbar(image, ax=panel, fraction=0.05, pad=0.02)
    bar.set_label(f"difference of {one.metric_name}", fontsize=8)
    bar.ax.tick_params(labelsize=7.5)


def say(panel: Axes, words: str) -> None:
    """Write words where there is nothing to draw."""
    panel.set_axis_off()
    panel.text(0.5, 0.5, words, ha="center", va="center", fontsize=9, transform=panel.transAxes)


def legend(figure: Figure, comparison: SideBySide) -> None:
    """What the plain colours mean; only those that occur."""
    one, other = comparison.landscapes
    comparable = bool(one.seeds) and (one.lr, one.weight_decay) == (other.lr, other.weight_decay)
    found = classes(one, other) if comparable else {}
    drawn = [landscape for landscape in comparison.landscapes if landscape.seeds]
    handles = []
    if any((class_of(landscape) == DIVERGED).any() for landscape in drawn):
        handles.append(patch(COLOURS["diverged"], "diverged"))
    if any(partly_diverged(landscape).any() for landscape in drawn):
        handles.append(some_diverged())
    for key, name in (("a", comparison.a), ("b", comparison.b)):
        if key in found and found[key].any():
            handles.append(patch(ONLY[key], f"diverged with {name} alone"))
    if handles:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False
        )


def save_difference(comparison: SideBySide, folder: Path) -> list[Path]:
    """Write the map in every format."""
    return save(draw_difference(comparison), folder, map_name(comparison))


def map_name(comparison: SideBySide) -> str:
    """The name of its files: study, setting, measure, both transforms, and the second study if another."""
    (study, other_study), (one, other) = comparison.studies, comparison.landscapes
    second = [other_study] if other_study != study else []
    parts = (study, *one.setting, one.metric_name, one.transform, "vs", *second, other.transform)
    return file_name("-".join(part for part in parts if part))
