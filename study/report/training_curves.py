"""What cells recorded while they trained, at one learning rate and weight decay: means and ranges over seeds. Numbers only; `figures.py` draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from study.claims.catalogue import stress
from study.errors import UserError
from study.measures.array_types import Flags, Floats
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
    """A quantity over J moments: its mean over the seeds that still trained, and the least and the greatest of them; NaN where none did."""

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
        return f"lr {self.landscape.lr[self.column]:.3g}, weight decay {self.landscape.weight_decay[self.row]:.3g}"

    @property
    def outcome_S(self) -> NDArray[np.int64]:
        """How each seed ended here."""
        return self.landscape.outcome_SWL[:, self.row, self.column]

    @property
    def label(self) -> str:
        """The transform, and how many seeds lack or diverged."""
        outcome_S = self.outcome_S
        diverged, there = int((outcome_S == DIVERGED).sum()), int((outcome_S != PENDING).sum())
        notes = [f"{there} of {len(outcome_S)} seeds"] * (there < len(outcome_S)) + [
            f"{diverged} of {there} diverged"
        ] * (diverged > 0)
        return self.landscape.transform + (f" ({', '.join(notes)})" if notes else "")

    @cached_property
    def seen(self) -> Series | None:
        """The dynamics of the cell's seeds."""
        return (
            None
            if self.landscape.record_SWL is None
            else series(self.landscape.record_SWL[:, self.row : self.row + 1, self.column : self.column + 1])
        )

    def recorded(self, name: str) -> Band | None:
        """A recorded series, `grad_std` or `scale` say; None where it was not recorded."""
        return (
            None
            if self.seen is None or not self.seen.has(name)
            else self.band(
                self.seen.step_J, self.seen.values[name][:, 0, 0], self.seen.recorded_SWLJ[:, 0, 0]
            )
        )

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
        if self.landscape.record_SWL is None:
            return None
        steps, value_SWLK = curve(
            self.landscape.record_SWL[:, self.row : self.row + 1, self.column : self.column + 1], METRIC
        )
        found = self.band(steps, value_SWLK[:, 0, 0])
        return found if found.known else None

    def scale_with(self, exponent: float) -> Band | None:
        """(numerator / (|ln s_t| + eps)) ^ exponent with autoscale's default constants, along the deviations s_t that this cell recorded."""
        if self.seen is None or not self.seen.has("grad_std"):
            return None
        default = {key: one.default for key, one in parameters(factories("transform")["autoscale"]).items()}
        std_SJ = self.seen.values["grad_std"][:, 0, 0]
        distance_SJ = np.abs(np.log(np.where(std_SJ > 0, std_SJ, np.nan))) + default["eps"]
        return self.band(
            self.seen.step_J,
            (default["numerator"] / distance_SJ) ** exponent,
            self.seen.recorded_SWLJ[:, 0, 0],
        )

    def band(self, steps: Sequence[int], value_SJ: Floats, recorded_SJ: Flags | None = None) -> Band:
        """Over seeds, against epochs or steps.

        Only moments which all seeds that still trained recorded: drawn spikes give each seed some of its own, where the mean would
        jump to that one seed. A seed that diverged has ended after its last finite number, and removes no moment after it.
        """
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
    """The least number of every moment, NaN where there is none."""
    least_J = np.where(np.isfinite(value_SJ), value_SJ, np.inf).min(axis=0)
    return np.where(np.isfinite(least_J), least_J, np.nan)


def tracks(
    analysis: Analysis, lr: float | None = None, weight_decay: float | None = None
) -> list[list[Track]]:
    """Per workload, model and optimizer one track for each transform; of several conditions, those nearest to the ordinary.

    The cell is the one that is asked for; else a published table's, if it is on the grid; else each transform's best. Where one of
    the two numbers is given, the other is that of the best cell with it.

    Raises:
        UserError: a number is not on the grid.
    """
    spec = analysis.plan.spec
    wanted = (position("lr", lr, spec.lr), position("weight-decay", weight_decay, spec.weight_decay))
    chosen = "as asked for"
    if wanted == (None, None):
        points = [(table.recipe.lr, table.recipe.weight_decay) for table in tables_of(analysis)]
        point = next((one for one in points if one[0] in spec.lr and one[1] in spec.weight_decay), None)
        wanted = (spec.lr.index(point[0]), spec.weight_decay.index(point[1])) if point else wanted
        chosen = "the published setting" if point else "each transform's best cell"
    elif None in wanted:
        chosen = "as asked for, the other number each transform's best"
    groups: dict[tuple[str, str], tuple[str, str, str]] = {}
    for piece in sorted(analysis.evidence, key=stress):
        groups.setdefault(piece.key[:2], piece.key)
    order = [piece.key for piece in analysis.evidence if piece.key in groups.values()]
    return [
        [_track(one, *wanted, chosen) for one in analysis.landscapes if one.setting == key] for key in order
    ]


def position(name: str, value: float | None, axis: tuple[float, ...]) -> int | None:
    """Where a number stands on an axis; None for none."""
    found = [k for k, one in enumerate(axis) if value is not None and math.isclose(one, value, rel_tol=1e-6)]
    if value is not None and not found:
        raise UserError(
            f"--{name} {value:g} is not on the study's grid; wanted one of {', '.join(f'{one:g}' for one in axis)}"
        )
    return found[0] if found else None


def _track(landscape: Landscape, column: int | None, row: int | None, chosen: str) -> Track:
    score_WL = np.nan_to_num(landscape.score_SWL, nan=-np.inf).mean(axis=0)
    allowed_WL = np.zeros(score_WL.shape, dtype=bool)
    allowed_WL[slice(None) if row is None else row, slice(None) if column is None else column] = True
    done_WL = np.where(allowed_WL, (landscape.outcome_SWL != PENDING).sum(axis=0), -1)
    best = max(np.ndindex(score_WL.shape), key=lambda at: (done_WL[at] > 0, allowed_WL[at], score_WL[at]))
    return Track(landscape, best[0], best[1], chosen)
