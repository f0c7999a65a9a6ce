"""What cells recorded of gradients while they trained, as lines over steps or epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from study.analysis import Analysis
from study.measures.dynamics import PROBES
from study.report.page.charts import Chart, Line, chart
from study.report.page.wording import number
from study.report.pictures.training_curves import Track, tracks

QUANTITIES: Mapping[str, str] = {
    "grad_norm": "norm of the gradient",
    "grad_std": "standard deviation of the gradient",
    "scale": "factor of the transform",
    "out_norm": "norm behind the transform",
    "update_ratio": "length of a step, as a share of the weights",
    "cosine": "cosine of gradient and outcome",
    **PROBES,
}
"""What is drawn of the dynamics, and what it is called."""

MOMENTS = 12
"""Columns of a table of the dynamics, at most."""


@dataclass(frozen=True)
class Dynamics:
    """One quantity of every transform of a task.

    Attributes:
        cells: of which cell each transform's line is.
        places, table: some of the moments, and the mean of each transform at them.
    """

    setting: str
    quantity: str
    unit: str
    cells: list[str]
    chart: Chart
    places: list[str]
    table: list[tuple[str, list[str]]]


def dynamics(analysis: Analysis) -> list[Dynamics]:
    """One chart per task and quantity; none where nothing was recorded."""
    if not any(piece.budget and piece.budget.dynamics for piece in analysis.evidence):
        return []
    found = []
    for group in tracks(analysis):
        name = group[0].landscape.setting_title
        cells = [f"{one.landscape.title}: {one.place}" for one in group]
        for quantity, words in QUANTITIES.items():
            lines = [line for one in group if (line := line_of(one, quantity)) is not None]
            drawn = chart(lines, None)
            if drawn is not None:
                places, table = tabulated(lines)
                found.append(Dynamics(name, words, group[0].unit, cells, drawn, places, table))
    return found


def line_of(track: Track, quantity: str) -> Line | None:
    """One transform's line; None where it recorded nothing of this."""
    band = track.recorded(quantity)
    if band is None or not band.known:
        return None
    return Line(track.landscape.title, np.array(band.at_J), band.mean_J, band.low_J, band.high_J)


def tabulated(lines: Sequence[Line]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Evenly thinned moments, and the numbers of every line at them."""
    moments = np.unique(np.concatenate([line.x_J for line in lines]))
    kept = moments[np.unique(np.linspace(0, len(moments) - 1, MOMENTS).round().astype(int))]
    table = []
    for line in lines:
        known = dict(zip(line.x_J.tolist(), line.mean_J.tolist(), strict=True))
        table.append((line.name, [number(known.get(moment)) for moment in kept.tolist()]))
    return [f"{moment:.4g}" for moment in kept.tolist()], table
