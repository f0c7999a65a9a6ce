"""The performance-sensitivity plane of methods over environments: its numbers, and the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.analysis import Analysis
from study.file_names import file_name
from study.measures.estimate import Estimate, Missing
from study.measures.plane import REFERENCE, Spot, plane
from study.report.pictures.saving import canvas, save, save_table, wrapped
from study.report.pictures.style import COLOURS, ORDINARY, PictureStyle, style

if TYPE_CHECKING:
    from study.report.pictures.saving import Axes, Figure

MARKERS = "osD^vP*X"
"""Beside the colours of the points, whose names stand there, too."""
HEIGHT = 3.1
"""Of the picture, without its title [inches]."""


@dataclass(frozen=True)
class Plane:
    """A performance-sensitivity plane.

    Attributes:
        environments: names of the workloads.
        confidence: of the intervals.
    """

    title: str
    spots: tuple[Spot, ...]
    environments: tuple[str, ...]
    confidence: float

    @property
    def seeds(self) -> int:
        return self.spots[0].performance.n


def draw_planes(
    analysis: Analysis, folder: Path, look: PictureStyle = ORDINARY
) -> tuple[list[Path], dict[str, str]]:
    """One plane per optimizer and condition in every format, with its numbers, and why some are missing."""
    written: list[Path] = []
    missing: dict[str, str] = {}
    groups = dict.fromkeys((piece.optimizer, piece.condition) for piece in analysis.evidence)
    for group in groups:
        words = " · ".join(part for part in group if part)
        found = shown(analysis, *group)
        if isinstance(found, Missing):
            missing[f"plane of {words}"] = found.reason
            continue
        file = file_name("-".join(part for part in ("plane", *group) if part))
        written += save(draw_plane(found, look), folder, file, look)
        written += save_table(plane_table(found), folder, file)
    return written, missing


def shown(analysis: Analysis, optimizer: str, condition: str) -> Plane | Missing:
    """The plane of one optimizer and condition."""
    pieces = [one for one in analysis.evidence if (one.optimizer, one.condition) == (optimizer, condition)]
    spots = plane(pieces)
    if isinstance(spots, Missing):
        return spots
    words = " · ".join(part for part in (optimizer, condition) if part)
    title = f"{analysis.plan.spec.name}: {words}"
    confidence = pieces[0].tolerances.confidence
    return Plane(title, spots, tuple(piece.workload_title for piece in pieces), confidence)


def plane_table(found: Plane) -> list[dict[str, Any]]:
    """The numbers behind a plane, one row per transform and measure."""
    rows = []
    for spot in found.spots:
        for name in ("performance", "sensitivity", "dimension"):
            one: Estimate = getattr(spot, name)
            low, high = one.interval(found.confidence) or (None, None)
            rows.append(
                {
                    "measure": name,
                    "transform": spot.transform,
                    "value": one.shown,
                    "low": low,
                    "high": high,
                    "confidence": found.confidence,
                    "seeds": one.n,
                    "environments": " ".join(found.environments),
                    "label": spot.title,
                }
            )
    return rows


def draw_plane(found: Plane, look: PictureStyle = ORDINARY) -> Figure:
    """Every method with its intervals, and the lines that divide the plane at the reference."""
    with style(look=look):
        figure = canvas(look.inches, HEIGHT + 0.25 * look.title)
        axes = figure.add_subplot()
        reference = next((spot for spot in found.spots if spot.method == REFERENCE), None)
        if reference is not None:
            divide(axes, reference)
        for k, spot in enumerate(found.spots):
            place(axes, spot, k, found.confidence)
        axes.set_xlabel("sensitivity Φ: what one setting for all environments costs [normalised score]")
        axes.set_ylabel("performance, tuned for each environment\n[normalised score]")
        axes.grid(linewidth=0.3, alpha=0.5)
        axes.spines[["right", "top"]].set_visible(False)
        axes.margins(0.12)
        axes.legend(loc="best", frameon=False)
        if look.title:
            figure.suptitle(wrapped(found.title, 90))
        note = (
            f"{found.confidence:.0%} intervals, {found.seeds} seeds, environments: "
            f"{', '.join(found.environments)}; d: hyperparameters to tune for each; "
            f"lines: through {REFERENCE}, the dashed one with slope 1"
        )
        axes.annotate(wrapped(note, 120), (0, -0.2), xycoords="axes fraction", va="top", color="#444444")
        return figure


def divide(axes: Axes, reference: Spot) -> None:
    """Above the dashed line a method gains more performance than it costs in sensitivity."""
    x, y = reference.sensitivity.shown, reference.performance.shown
    faint: dict[str, Any] = {"color": "#888888", "linewidth": 0.6, "zorder": 0}
    axes.axvline(x, **faint)
    axes.axhline(y, **faint)
    axes.axline((x, y), slope=1, linestyle=(0, (4, 2)), **faint)


def place(axes: Axes, spot: Spot, k: int, confidence: float) -> None:
    """One method."""
    x, y = spot.sensitivity.shown, spot.performance.shown
    axes.errorbar(
        [x],
        [y],
        xerr=ends(spot.sensitivity, confidence),
        yerr=ends(spot.performance, confidence),
        color=COLOURS[k % len(COLOURS)],
        marker=MARKERS[k % len(MARKERS)],
        markersize=4,
        elinewidth=0.7,
        capsize=1.5,
        linestyle="none",
        label=f"{spot.title} (d = {spot.dimension.shown:.2g})",
    )


def ends(one: Estimate, confidence: float) -> Sequence[Sequence[float]] | None:
    """How far an interval reaches below and above the mean; None where there is none."""
    interval = one.interval(confidence)
    if interval is None:
        return None
    return [[max(one.shown - interval[0], 0.0)], [max(interval[1] - one.shown, 0.0)]]
