"""Pictures that are asked for by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from study.analysis import Analysis
from study.report.pictures.heatmaps import draw_heatmaps
from study.report.pictures.plane import draw_planes
from study.report.pictures.plots import draw_plot
from study.report.pictures.quantities import QUANTITIES
from study.report.pictures.style import ORDINARY, Look
from study.report.pictures.training_figures import draw_figures

EXPORTED = ("forest", "slices")
"""Plots that are part of every export."""


def draw_panels(
    analysis: Analysis,
    folder: Path,
    names: Sequence[str],
    look: Look = ORDINARY,
    lr: float | None = None,
    weight_decay: float | None = None,
) -> tuple[list[Path], dict[str, str]]:
    """The pictures of every name as files, and in words why some are missing.

    Args:
        names: `dynamics`, `plane`, a heatmap of `QUANTITIES`, or one of `study.report.pictures.plots.PLOTS`.
        lr, weight_decay: where dynamics and slices are read.

    Raises:
        UserError: the learning rate or weight decay is not on the grid.
        OSError: the folder cannot be written.
    """
    written: list[Path] = []
    missing: dict[str, str] = {}
    for name in names:
        if name == "dynamics":
            found = draw_figures(analysis, folder, lr, weight_decay, look)
        elif name == "plane":
            found = draw_planes(analysis, folder, look)
        elif name in QUANTITIES:
            found = draw_heatmaps(analysis, folder, name, look)
        else:
            found = draw_plot(analysis, folder, name, look, lr, weight_decay)
        written += found[0]
        missing |= found[1]
    return written, missing
