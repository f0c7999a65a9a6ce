"""What a map can show of its cells: score, loss, lost seeds, steps to divergence. Numbers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from study.measures.array_types import Floats
from study.measures.landscape import DIVERGED, FINISHED, Landscape, column
from study.report.page.scale import Scale
from study.report.pictures.shades import limits, mean_metric, over_seeds, special

CODES = {"diverged": "D", "failed": "F", "pending": "P", "inferred inside": "I", "inferred outside": "O"}
"""Letters of the cells that have a pattern instead of a colour."""
NOTHING = " "
"""The letter of a cell of which there is nothing to show."""
DIGITS = "0123456789abcdefghijklmnopqrstuv"
"""Letters of the 32 colours, from dark to light."""


@dataclass(frozen=True)
class View:
    """One quantity of all cells of a setting.

    Attributes:
        title: with its unit. scale: shared by all transforms.
        value_WL: of each landscape. letters: what each of its cells is drawn as, row by row.
    """

    name: str
    title: str
    scale: Scale
    value_WL: tuple[Floats, ...]
    letters: tuple[str, ...]


def views(landscapes: Sequence[Landscape]) -> list[View]:
    """Every quantity that the cells of a setting have; the score comes first."""
    first = landscapes[0]
    low, high = limits(landscapes)
    start, best = (low, high) if first.higher_is_better else (high, low)
    found = [
        view(
            "score",
            f"{first.metric_name}, mean over seeds that finished",
            Scale(start, best, "shortfall"),
            landscapes,
            [np.asarray(mean_metric(one)) for one in landscapes],
        )
    ]
    losses = [over_seeds(one.loss_SWL, one.outcome_SWL == FINISHED) for one in landscapes]
    seen = np.concatenate([value[np.isfinite(value) & (value > 0)] for value in losses])
    untrained = np.concatenate([one.loss_initial_S[np.isfinite(one.loss_initial_S)] for one in landscapes])
    if len(seen) and len(untrained) and untrained.mean() > seen.min():
        ends = Scale(float(untrained.mean()), float(seen.min()), "log")
        found.append(
            view("loss", "final training loss, mean over seeds that finished", ends, landscapes, losses)
        )
    lost = [over_seeds(one.lost_SWL.astype(float), one.trained_SWL) for one in landscapes]
    found.append(view("lost", "share of seeds that are lost", Scale(1, 0), landscapes, lost, patterned=False))
    steps = [
        over_seeds(step_SWL(one), one.outcome_SWL == DIVERGED)
        for one in landscapes
        if one.record_SWL is not None
    ]
    known = [value[np.isfinite(value)] for value in steps]
    if len(steps) == len(landscapes) and any(map(len, known)):
        longest = max(float(value.max()) for value in known if len(value))
        title = "step of divergence, mean over the seeds that diverged"
        found.append(view("step", title, Scale(0, max(longest, 1)), landscapes, steps, patterned=False))
    return found


def step_SWL(landscape: Landscape) -> Floats:
    """The step at which each cell diverged [steps]."""
    assert landscape.record_SWL is not None
    records = landscape.record_SWL
    return column(list(records.ravel()), "diverged_step").reshape(records.shape)


def view(
    name: str,
    title: str,
    scale: Scale,
    landscapes: Sequence[Landscape],
    values: Sequence[Floats],
    *,
    patterned: bool = True,
) -> View:
    """Give every cell its letter.

    Args:
        patterned: diverged cells have a pattern, whatever number they have.
    """
    drawn = []
    for landscape, value_WL in zip(landscapes, values, strict=True):
        letters = np.array([NOTHING, *DIGITS])[scale.levels(value_WL) + 1]
        for kind, place_WL in special(landscape).items():
            if patterned or kind != "diverged":
                letters = np.where(place_WL, CODES[kind], letters)
        drawn.append("".join(letters.ravel().tolist()))
    return View(name, title, scale, tuple(values), tuple(drawn))
