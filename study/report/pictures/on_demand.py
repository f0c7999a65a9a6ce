"""Pictures that are asked for by name.

Add a panel by adding a row of `PANELS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from study.report.pictures.style import ORDINARY, PictureStyle

if TYPE_CHECKING:
    from study.analysis import Analysis

EXPORTED = ("forest", "slices")
"""Plots that are part of every export."""

Drawn = tuple[list[Path], dict[str, str]]
"""The files that were written, and in words why some pictures are missing."""


@dataclass(frozen=True)
class Asked:
    """A panel that is asked for.

    Attributes:
        folder: where its files go.
        name: a key of `PANELS`.
        lr, weight_decay: where dynamics and slices are read; None where it is not said.
    """

    analysis: Analysis
    folder: Path
    name: str
    look: PictureStyle
    lr: float | None
    weight_decay: float | None


Drawer = Callable[[Asked], Drawn]


# Each drawer is imported when it draws: `study figures --help` lists the panels, and must load no numpy.
def dynamics(asked: Asked) -> Drawn:
    """What cells recorded in training, at one learning rate and weight decay."""
    from study.report.pictures.training_figures import draw_figures

    return draw_figures(asked.analysis, asked.folder, asked.lr, asked.weight_decay, asked.look)


def heatmap(asked: Asked) -> Drawn:
    """A heatmap of `study.report.pictures.quantities.QUANTITIES`, of the whole grid."""
    from study.report.pictures.heatmaps import draw_heatmaps

    return draw_heatmaps(asked.analysis, asked.folder, asked.name, asked.look)


def plot(asked: Asked) -> Drawn:
    """One of `study.report.pictures.plots.PLOTS`, with slices at one learning rate and weight decay."""
    from study.report.pictures.plots import draw_plot

    place = asked.lr, asked.weight_decay
    return draw_plot(asked.analysis, asked.folder, asked.name, asked.look, *place)


def plane(asked: Asked) -> Drawn:
    """The performance-sensitivity plane, over all environments."""
    from study.report.pictures.plane import draw_planes

    return draw_planes(asked.analysis, asked.folder, asked.look)


PANELS: dict[str, Drawer] = {
    "dynamics": dynamics,
    "score": heatmap,
    "loss": heatmap,
    "outcomes": heatmap,
    "steps": heatmap,
    "difference": heatmap,
    "forest": plot,
    "slices": plot,
    "tuning": plot,
    "importances": plot,
    "plane": plane,
}
"""What `study figures` draws, by its name."""


def draw_panels(
    analysis: Analysis,
    folder: Path,
    names: Sequence[str],
    look: PictureStyle = ORDINARY,
    lr: float | None = None,
    weight_decay: float | None = None,
) -> Drawn:
    """The pictures of every name as files, and in words why some are missing.

    Args:
        names: keys of `PANELS`.
        lr, weight_decay: where dynamics and slices are read.

    Raises:
        UserError: the learning rate or weight decay is not on the grid.
        OSError: the folder cannot be written.
    """
    written: list[Path] = []
    missing: dict[str, str] = {}
    for name in names:
        found = PANELS[name](Asked(analysis, folder, name, look, lr, weight_decay))
        written += found[0]
        missing |= found[1]
    return written, missing
