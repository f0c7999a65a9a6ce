"""The difference map of a comparison: both transforms, and their difference cell by cell. Only draws."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from study.comparison import SideBySide
from study.file_names import file_name
from study.measures.array_types import Flags
from study.measures.landscape import DIVERGED, INFERRED, Landscape
from study.report.pictures.cells import dots, frame, handle, label_axes, mesh, plain, shades
from study.report.pictures.saving import canvas, save, wrapped
from study.report.pictures.shades import (
    class_of,
    difference_of,
    mean_metric,
    partly_diverged,
    scale_of,
    special,
)
from study.report.pictures.style import style

if TYPE_CHECKING:
    from study.report.pictures.saving import Axes, Figure

CLASSES = {"both": "diverged", "a": "diverged with the first alone", "b": "diverged with the second alone"}
"""What cells are shown as that diverged with both, or with one of the two alone."""
LETTERS = 42
"""In a line above a panel."""


@style()
def draw_difference(comparison: SideBySide) -> Figure:
    """Three panels: the mean metric of a, of b, and the mean over seeds of a - b where both finished."""
    one, other = comparison.landscapes
    names = comparison.titles
    figure = canvas(6.75, 2.9)
    panels = figure.subplots(1, 3)
    scale = scale_of([one, other])
    image: Any = None
    for panel, landscape, name in zip(panels[:2], comparison.landscapes, names, strict=True):
        if landscape.seeds:
            image = shades(panel, landscape, scale.shade(mean_metric(landscape)), "viridis")
            for kind, place_WL in special(landscape).items():
                plain(panel, landscape, place_WL, kind)
            dots(panel, landscape, partly_diverged(landscape), "o")
            label_axes(panel, landscape, bottom=True, left=panel is panels[0])
            frame(panel, landscape)
        else:
            say(panel, "no seed is complete in both")
        panel.set_title(wrapped(name, LETTERS))
    if image is not None:
        bar = figure.colorbar(image, ax=list(panels[:2]), orientation="horizontal", fraction=0.06, pad=0.02)
        bar.set_ticks([shade for shade, _ in scale.ticks], labels=[word for _, word in scale.ticks])
        seeds = len(one.seeds)
        bar.set_label(f"{one.metric_name}, mean over {seeds} seed{'s' * (seeds != 1)}; finer toward the best")
    paint_difference(figure, panels[2], comparison)
    figure.suptitle(wrapped(f"{comparison.setting}: {names[0]} and {names[1]}", 3 * LETTERS))
    legend(figure, comparison)
    return figure


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
    panel.set_title(wrapped(f"{comparison.titles[0]} - {comparison.titles[1]}", LETTERS))
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
        vmin=-reach,
        vmax=reach,
    )
    found = classes(one, other)
    for name, place_WL in found.items():
        plain(panel, one, place_WL, CLASSES[name])
    named_WL = np.logical_or.reduce(list(found.values()))
    plain(panel, one, ~np.isfinite(value_WL) & ~named_WL, "no pair of seeds")
    label_axes(panel, one, bottom=True, left=False)
    frame(panel, one)
    bar = figure.colorbar(image, ax=panel, orientation="horizontal", fraction=0.06, pad=0.02)
    bar.set_label(f"difference of {one.metric_name}")


def say(panel: Axes, words: str) -> None:
    """Write words where there is nothing to draw."""
    panel.set_axis_off()
    panel.text(0.5, 0.5, words, ha="center", va="center", transform=panel.transAxes)


def legend(figure: Figure, comparison: SideBySide) -> None:
    """What the plain colours mean; only those that occur."""
    one, other = comparison.landscapes
    comparable = bool(one.seeds) and (one.lr, one.weight_decay) == (other.lr, other.weight_decay)
    found = classes(one, other) if comparable else {}
    drawn = [landscape for landscape in comparison.landscapes if landscape.seeds]
    handles = []
    if any((class_of(landscape) == DIVERGED).any() for landscape in drawn):
        handles.append(handle("diverged", "ground"))
    if any(partly_diverged(landscape).any() for landscape in drawn):
        handles.append(handle("some seeds diverged", "o"))
    for key, name in zip(("a", "b"), comparison.titles, strict=True):
        if key in found and found[key].any():
            handles.append(handle(CLASSES[key], "ground", f"diverged with {wrapped(name, LETTERS)} alone"))
    if (
        comparable
        and (~np.isfinite(difference_of(one, other)) & ~np.logical_or.reduce([*found.values()])).any()
    ):
        handles.append(handle("no pair of seeds", "ground"))
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)


def save_difference(comparison: SideBySide, folder: Path) -> list[Path]:
    """Write the map in every format."""
    return save(draw_difference(comparison), folder, map_name(comparison))


def map_name(comparison: SideBySide) -> str:
    """The name of its files: study, setting, measure, both transforms, and the second study if another."""
    (study, other_study), (one, other) = comparison.studies, comparison.landscapes
    second = [other_study] if other_study != study else []
    parts = (study, *one.setting, one.metric_name, one.transform, "vs", *second, other.transform)
    return file_name("-".join(part for part in parts if part))
