"""What cells recorded while they trained: means and ranges over seeds, at one learning rate and weight decay.

Numbers only; `training_figures.py` draws them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from study.claims.settings import stress
from study.errors import UserError
from study.measures.array_types import Flags, Floats, Records
from study.measures.axis import index_on
from study.measures.dynamics import Series, curve, series
from study.measures.landscape import DIVERGED, FINISHED, PENDING, Landscape
from study.papers.agreement import tables_of
from study.papers.recipes import epochs_of
from study.spec.methods import factories, parameters

if TYPE_CHECKING:
    from study.analysis import Analysis

METRIC = 2
"""Column of a recorded point that holds the metric."""


@dataclass(frozen=True)
class Band:
    """A quantity over J moments: mean, least and greatest of the seeds' finite numbers, NaN without any.

    Attributes:
        at_J: the moments, in epochs where those are known, else in steps.
    """

    at_J: tuple[float, ...]
    mean_J: Floats
    low_J: Floats
    high_J: Floats

    @property
    def known(self) -> bool:
        return bool(np.isfinite(self.mean_J).any())


@dataclass(frozen=True)
class Track:
    """One transform at one cell of its grid.

    Attributes:
        row, column: of the cell, in the landscape.
        chosen: why this cell, in words.
    """

    landscape: Landscape
    row: int
    column: int
    chosen: str

    @property
    def place(self) -> str:
        lr, weight_decay = self.landscape.lr[self.column], self.landscape.weight_decay[self.row]
        return f"lr {lr:.3g}, weight decay {weight_decay:.3g}"

    @property
    def outcome_S(self) -> NDArray[np.int64]:
        """How each seed ended here."""
        return self.landscape.outcome_SWL[:, self.row, self.column]

    @property
    def label(self) -> str:
        """The transform, and how many seeds are missing or diverged."""
        outcome_S = self.outcome_S
        diverged, there = int((outcome_S == DIVERGED).sum()), int((outcome_S != PENDING).sum())
        notes = []
        if there < len(outcome_S):
            notes.append(f"{there} of {len(outcome_S)} seeds")
        if diverged:
            notes.append(f"{diverged} of {there} diverged")
        return self.landscape.title + (f" ({', '.join(notes)})" if notes else "")

    @property
    def record_S11(self) -> Records | None:
        """Records of the cell's seeds, as a grid of one cell; None for landscapes that no study stored."""
        if self.landscape.record_SWL is None:
            return None
        return self.landscape.record_SWL[:, self.row : self.row + 1, self.column : self.column + 1]

    @cached_property
    def seen(self) -> Series | None:
        """The dynamics of the cell's seeds."""
        record_S11 = self.record_S11
        return None if record_S11 is None else series(record_S11)

    def recorded(self, name: str) -> Band | None:
        """A recorded series, `grad_std` or `scale` say; None where it was not recorded."""
        if self.seen is None or not self.seen.has(name):
            return None
        return self.band(self.seen.step_J, self.seen.values[name][:, 0, 0], self.seen.recorded_SWLJ[:, 0, 0])

    def layers(self, name: str) -> dict[str, Band]:
        """A series of each weight, in the network's order."""
        if self.seen is None or not self.seen.has(name):
            return {}
        recorded_SJ = self.seen.recorded_SWLJ[:, 0, 0]
        return {
            layer: self.band(self.seen.step_J, self.seen.values[name][:, 0, 0, :, n], recorded_SJ)
            for n, layer in enumerate(self.seen.layers)
        }

    def metric(self) -> Band | None:
        """The metric at the recorded points; None where nothing was recorded."""
        record_S11 = self.record_S11
        if record_S11 is None:
            return None
        steps, value_S11K = curve(record_S11, METRIC)
        found = self.band(steps, value_S11K[:, 0, 0])
        return found if found.known else None

    def scale_with(self, exponent: float) -> Band | None:
        """Autoscale's factor with another exponent, along the deviations s_t that this cell recorded.

            (numerator / (|ln s_t| + eps)) ^ exponent

        with autoscale's default constants.
        """
        if self.seen is None or not self.seen.has("grad_std"):
            return None
        # From the transform's own signature, so that a changed default cannot be forgotten here.
        default = {key: one.default for key, one in parameters(factories("transform")["autoscale"]).items()}
        std_SJ = self.seen.values["grad_std"][:, 0, 0]
        usable_SJ = (std_SJ > 0) & np.isfinite(std_SJ)
        distance_SJ = np.abs(np.log(np.where(usable_SJ, std_SJ, np.nan))) + default["eps"]
        return self.band(
            self.seen.step_J,
            (default["numerator"] / distance_SJ) ** exponent,
            self.seen.recorded_SWLJ[:, 0, 0],
        )

    def band(self, steps: Sequence[int], value_SJ: Floats, recorded_SJ: Flags | None = None) -> Band:
        """Over seeds, against epochs or steps.

        Only moments that were recorded by all seeds which still trained. A seed that diverged ended after its
        last finite number, and removes no moment after it.
        """
        # Spikes are drawn per seed, and each seed records some moments of its own around them. There the mean
        # would jump to the value of that one seed.
        if recorded_SJ is not None:
            kept_J = self.shared(value_SJ, recorded_SJ)
            steps, value_SJ = np.array(steps)[kept_J].tolist(), value_SJ[:, kept_J]
        origin = self.landscape.origin
        epochs = [epochs_of(origin, step) if origin else None for step in steps]
        at_J = tuple(
            float(step) if epoch is None else epoch for step, epoch in zip(steps, epochs, strict=True)
        )
        finite_SJ = np.where(np.isfinite(value_SJ), value_SJ, np.nan)
        count_J = np.isfinite(finite_SJ).sum(axis=0)
        mean_J = np.where(count_J > 0, np.nansum(finite_SJ, axis=0) / np.maximum(count_J, 1), np.nan)
        # Not `nanmean`, `nanmin` and `nanmax`, which warn where every seed is NaN.
        return Band(at_J, mean_J, lowest(finite_SJ), -lowest(-finite_SJ))

    def shared(self, value_SJ: Floats, recorded_SJ: Flags) -> Flags:
        """Moments that no seed lacks which still trained then."""
        moments = np.arange(value_SJ.shape[1])
        last_S = np.where(np.isfinite(value_SJ), moments, -1).max(axis=1)
        finished_S = self.outcome_S == FINISHED
        last_S = np.where(finished_S & recorded_SJ.any(axis=1), moments[-1], last_S)
        return np.asarray((recorded_SJ | (moments > last_S[:, None])).all(axis=0))

    @property
    def unit(self) -> str:
        """Of the horizontal axis."""
        origin = self.landscape.origin
        return "step" if origin is None or epochs_of(origin, 1) is None else "epoch"


def lowest(value_SJ: Floats) -> Floats:
    """The least number of each moment, NaN where there is none."""
    least_J = np.where(np.isfinite(value_SJ), value_SJ, np.inf).min(axis=0)
    return np.where(np.isfinite(least_J), least_J, np.nan)


def tracks(
    analysis: Analysis, lr: float | None = None, weight_decay: float | None = None
) -> list[list[Track]]:
    """Per workload, model and optimizer a track for each transform, of the most ordinary condition.

    The cell is the one that is asked for. Without one it is a published table's, if the grid has it, and else
    each transform's best. Where only one of the two numbers is given, the best cell with it is taken.

    Raises:
        UserError: a number is not on the grid.
    """
    column, row, chosen = chosen_cell(analysis, lr, weight_decay)
    groups: dict[tuple[str, str], tuple[str, str, str]] = {}
    for piece in sorted(analysis.evidence, key=stress):
        groups.setdefault(piece.key[:2], piece.key)
    found = []
    # In the study's order again, which sorting by stress has changed.
    for piece in analysis.evidence:
        if piece.key in groups.values():
            mine = [one for one in analysis.pictured if one.setting == piece.key]
            found.append([_track(one, column, row, chosen) for one in mine])
    return found


def chosen_cell(
    analysis: Analysis, lr: float | None, weight_decay: float | None
) -> tuple[int | None, int | None, str]:
    """Column and row of the cells to draw, None where each transform's best decides; and in words, why these.

    Raises:
        UserError: a number is not on the grid.
    """
    spec = analysis.plan.spec
    column = position("lr", lr, spec.lr)
    row = position("weight-decay", weight_decay, spec.weight_decay)
    if column is not None and row is not None:
        return column, row, "as asked for"
    if column is not None or row is not None:
        return column, row, "as asked for, the other number each transform's best"
    for table in tables_of(analysis):
        recipe = table.recipe
        column, row = index_on(spec.lr, recipe.lr), index_on(spec.weight_decay, recipe.weight_decay)
        if column is not None and row is not None:
            return column, row, "the published setting"
    return None, None, "each transform's best cell"


def position(name: str, value: float | None, axis: tuple[float, ...]) -> int | None:
    """Index of a number on an axis; None where no number is given.

    Raises:
        UserError: the axis has no such number.
    """
    if value is None:
        return None
    if (index := index_on(axis, value)) is not None:
        return index
    known = ", ".join(f"{one:g}" for one in axis)
    raise UserError(f"--{name} {value:g} is not on the study's grid; wanted one of {known}")


def _track(landscape: Landscape, column: int | None, row: int | None, chosen: str) -> Track:
    """The best cell of a landscape, in a column or a row where those are given."""
    score_WL = np.nan_to_num(landscape.score_SWL, nan=-np.inf).mean(axis=0)
    allowed_WL = np.zeros(score_WL.shape, dtype=bool)
    allowed_WL[slice(None) if row is None else row, slice(None) if column is None else column] = True
    done_WL = np.where(allowed_WL, (landscape.outcome_SWL != PENDING).sum(axis=0), -1)
    # Trained cells first, because the line of any other would be empty. Where no allowed cell is trained, it
    # is still one of them.
    best = max(np.ndindex(score_WL.shape), key=lambda at: (done_WL[at] > 0, allowed_WL[at], score_WL[at]))
    return Track(landscape, best[0], best[1], chosen)
