"""The stored cells of one transform as arrays over seeds, weight decays and learning rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from study.measures.array_types import Flags, Floats, Records
from study.measures.clipping import clipping_of
from study.measures.dynamics import Series, series
from study.measures.lost_cells import collapsed_cells, departed_cells
from study.measures.plateaus import Surroundings
from study.plan.cells import Plan, Setting, words_of
from study.spec.method_choice import Choice
from study.spec.tolerances import Tolerances
from tracking import OUTCOMES, CellRecord

STATES = ("pending", *OUTCOMES, "inferred")
"""What a cell of a landscape can be; the numbers are indices."""
PENDING, FINISHED, DIVERGED, FAILED, INFERRED = range(5)
ROUNDING = 1e-6
"""Metrics that are nearer to each other than this are equal."""


@dataclass(frozen=True)
class Landscape:
    """One transform with one workload, optimizer and condition.

    Axes: S seeds, W weight decays, L learning rates.

    Attributes:
        method: name of the transform; `transform` is its technical name, with the constants that differ from
            its defaults.
        outcome_SWL: index into `STATES`.
        metric_SWL: final metric; NaN where the cell is not finished.
        untrained_S: the metric of the untrained network.
        loss_SWL: final loss; NaN where it was not finite [loss units].
        loss_initial_S: loss of the untrained network [loss units].
        key_SWL: keys of the cells.
        constants: those of the transform that differ from its defaults.
        condition: what is varied of the budget, `loss_scale=0.01`; empty where nothing is.
        origin: the setting's choices and budget; None for a landscape that no study planned.
        record_SWL: the stored cells themselves, None where there is none.
        class_SWL: what an edge-seeking design says of each cell: in how many of the `sought` regions of its
            seed it lies, -1 nothing yet. None where the whole grid is trained.
        sought: the kinds of regions whose edges such a design leads to, the widest first. They are those
            against the transform's own best.
        departed: limit of a departed loss, as a share of the untrained one.
        label: what the spec calls the transform; empty where it gives no label.
        workload_label: what the spec calls the workload with its model; empty where it gives no label.
        fingerprint: of data and network; empty for a landscape that no study planned.
        clipping: at what the cells' framework clips by itself, before any transform; empty where it does not.
    """

    workload: str
    optimizer: str
    method: str
    transform: str
    lr: tuple[float, ...]
    weight_decay: tuple[float, ...]
    seeds: tuple[int, ...]
    metric_name: str
    higher_is_better: bool
    outcome_SWL: NDArray[np.int64]
    metric_SWL: Floats
    untrained_S: Floats
    loss_SWL: Floats
    loss_initial_S: Floats
    key_SWL: NDArray[np.str_]
    constants: tuple[tuple[str, object], ...] = ()
    condition: str = ""
    origin: Setting | None = None
    record_SWL: Records | None = None
    class_SWL: NDArray[np.int64] | None = None
    sought: tuple[str, ...] = ()
    departed: float = Tolerances.departed
    label: str = ""
    workload_label: str = ""
    fingerprint: str = ""
    clipping: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What people read of the transform: its label, else its technical name with constants."""
        own = self.label or self.transform
        # In a framework that clips, the baseline is clipping.
        if self.method == "none" and self.clipping:
            return f"{own} (framework clips {', '.join(self.clipping)})"
        return own

    @property
    def workload_title(self) -> str:
        """What people read of the workload with its model: its label, else its technical name."""
        return self.workload_label or self.workload

    @property
    def setting(self) -> tuple[str, str, str]:
        """Workload, optimizer and condition by technical names.

        Landscapes with equal ones are compared with each other. A label is in none of them, since it says
        nothing of what was trained.
        """
        return self.workload, self.optimizer, self.condition

    @property
    def setting_title(self) -> str:
        """What people read of the setting: `digits/mlp · adamw · loss_scale=0.01`."""
        return words_of(self.workload_title, self.optimizer, self.condition)

    @property
    def identity(self) -> tuple[str, ...]:
        """Its setting and its transform: what identifies it in a study."""
        return *self.setting, self.transform

    @property
    def optimizer_method(self) -> str:
        """Name of the optimizer without its constants; its label where no study planned the landscape."""
        return self.origin.optimizer.name if self.origin else self.optimizer

    @cached_property
    def series(self) -> Series | None:
        """What was recorded of gradients and steps; None where nothing was."""
        return None if self.record_SWL is None else series(self.record_SWL)

    def inside_SWL(self, kind: str) -> Flags | None:
        """The cells of a kind of region, as an edge-seeking design knows them; None if it seeks no such."""
        if self.class_SWL is None or kind not in self.sought:
            return None
        return np.asarray(self.class_SWL > self.sought.index(kind))

    def with_departed(self, limit: float) -> Landscape:
        """The same cells under another limit of a departed loss; see `departed`."""
        if limit == self.departed:
            return self
        other = replace(self, departed=limit)
        if "series" in vars(self):  # reading what cells recorded takes longest, and no limit changes it
            vars(other)["series"] = self.series
        return other

    @cached_property
    def complete_S(self) -> Flags:
        """The seeds of which every cell is finished or diverged, or classified by an edge-seeking design."""
        if self.class_SWL is not None:
            return np.asarray((self.class_SWL >= 0).all(axis=(1, 2)))
        return np.asarray(self.trained_SWL.all(axis=(1, 2)))

    @property
    def sign(self) -> float:
        return 1.0 if self.higher_is_better else -1.0

    @property
    def trained_SWL(self) -> Flags:
        """Cells that were trained to their end, whatever it was."""
        return np.asarray(np.isin(self.outcome_SWL, (FINISHED, DIVERGED)))

    @property
    def tells_losses(self) -> bool:
        """Whether the loss of the untrained network is known, without which no loss has a scale."""
        return bool(np.isfinite(self.loss_initial_S).all())

    @cached_property
    def departed_SWL(self) -> Flags:
        """Cells whose loss left (`study.measures.lost_cells`)."""
        diverged_SWL: Flags = self.outcome_SWL == DIVERGED
        left = departed_cells(self.loss_SWL, self.loss_initial_S, diverged_SWL, self.departed)
        return np.asarray(self.trained_SWL & left)

    @cached_property
    def collapsed_SWL(self) -> Flags:
        """Cells that are stuck at chance (`study.measures.lost_cells`)."""
        alive = self.trained_SWL & ~self.departed_SWL
        return collapsed_cells(self.loss_SWL, self.loss_initial_S, alive)

    @cached_property
    def lost_SWL(self) -> Flags:
        """Cells that departed or collapsed. Which of the two it was depends on a limit, and this does not."""
        return np.asarray(self.departed_SWL | self.collapsed_SWL)

    @cached_property
    def score_SWL(self) -> Floats:
        """The metric with higher better; a lost cell counts as untrained, and nothing as worse."""
        untrained = self.sign * self.untrained_S[:, None, None]
        learned = (self.outcome_SWL == FINISHED) & ~self.lost_SWL
        score = np.where(learned, self.sign * self.metric_SWL, -np.inf)
        return np.asarray(np.maximum(score, untrained))

    @cached_property
    def resolution(self) -> float:
        """The smallest step between two stored metrics, such as one example of an accuracy [metric]."""
        steps = np.diff(np.unique(self.metric_SWL[np.isfinite(self.metric_SWL)]))
        # Equal shares differ by rounding where they were summed in another order.
        steps = steps[steps > ROUNDING]
        return float(steps.min()) if len(steps) else 0.0

    @cached_property
    def clamped_loss_SWL(self) -> Floats:
        """min(final loss, initial loss), a diverged or non-finite one counted as the initial loss.

        Reference: Wortsman et al., "Small-scale proxies for large-scale Transformer training instabilities",
            2023, section 2.2.
        Differs from the reference: what diverged counts as the initial loss by whatever rule it did, and not
            by a NaN alone.
        """
        start = self.loss_initial_S[:, None, None]
        known = np.isfinite(self.loss_SWL) & (self.outcome_SWL == FINISHED)
        return np.asarray(np.minimum(np.where(known, self.loss_SWL, np.inf), start))

    @property
    def score_SN(self) -> Floats:
        """The scores of the N places whose cells are trained at every seed."""
        return np.asarray(self.score_SWL[:, self.trained_SWL.all(axis=0)])

    @cached_property
    def plateau_SN(self) -> Floats:
        """The mean scores around the N places of which enough is trained (`study.measures.plateaus`)."""
        known_SWL = np.where(self.trained_SWL, self.score_SWL, np.nan)
        return Surroundings.of(self.weight_decay, self.lr).scores(known_SWL)

    def at_seeds(self, chosen_S: Flags) -> Landscape:
        """The same landscape with these seeds only."""
        arrays = {
            name: getattr(self, name)[chosen_S]
            for name in ("outcome_SWL", "metric_SWL", "untrained_S", "loss_SWL", "loss_initial_S", "key_SWL")
        }
        records = None if self.record_SWL is None else self.record_SWL[chosen_S]
        classes = None if self.class_SWL is None else self.class_SWL[chosen_S]
        return replace(
            self,
            seeds=tuple(np.asarray(self.seeds)[chosen_S].tolist()),
            record_SWL=records,
            class_SWL=classes,
            **arrays,
        )


def landscapes(plan: Plan, stored: Mapping[str, CellRecord]) -> list[Landscape]:
    """One landscape per workload, optimizer, condition and transform, in the spec's order."""
    spec = plan.spec
    shape = (len(spec.seeds), len(spec.weight_decay), len(spec.lr))
    groups: dict[tuple[str, Choice], list[int]] = {}
    for index, cell in enumerate(plan.cells):
        groups.setdefault((cell.setting, Choice(cell.transform, cell.constants)), []).append(index)
    titles = {(one.name, one.constants): one.title for one in spec.transforms if one.label}
    result = []
    for (key, transform), members in groups.items():
        setting = plan.settings[key]
        # The plan's own order is seed by seed, then weight decay, then lr: a reshape makes S x W x L of it.
        cells = [plan.cells[index] for index in members]
        records = [stored.get(cell.key) for cell in cells]
        # A failed cell is stored without the name of a metric.
        some = next((record for record in records if record is not None and not record.failed), None)
        outcomes = [STATES.index(record.outcome) if record else PENDING for record in records]
        outcome = np.array(outcomes).reshape(shape)
        metric = column(records, "metric_final").reshape(shape)
        initial = column(records, "metric_initial").reshape(shape)
        start = column(records, "loss_initial").reshape(shape)
        result.append(
            Landscape(
                workload=setting.name,
                optimizer=setting.optimizer.technical_name,
                method=transform.name,
                transform=transform.technical_name,
                lr=spec.lr,
                weight_decay=spec.weight_decay,
                seeds=spec.seeds,
                metric_name=some.metric_name if some else "score",
                higher_is_better=some is None or some.metric_direction == "max",
                outcome_SWL=outcome,
                metric_SWL=np.where(outcome == FINISHED, metric, np.nan),
                untrained_S=first_known(initial),
                loss_SWL=column(records, "loss_final").reshape(shape),
                loss_initial_S=first_known(start),
                key_SWL=np.array([cell.key for cell in cells]).reshape(shape),
                constants=transform.constants,
                condition=setting.condition.label,
                origin=setting,
                record_SWL=objects(records).reshape(shape),
                departed=spec.region.departed,
                label=titles.get((transform.name, transform.constants), ""),
                workload_label=setting.title if setting.title != setting.name else "",
                fingerprint=plan.fingerprints.get(setting.name, ""),
                clipping=clipping_of(records),
            )
        )
    return result


def objects(records: list[CellRecord | None]) -> Records:
    """The records as an array of objects with one axis."""
    array = np.empty(len(records), dtype=np.object_)
    array[:] = records
    return array


def column(records: list[CellRecord | None], name: str) -> Floats:
    """One field of each record; NaN where there is no record or no number."""
    values = [getattr(record, name) if record is not None else None for record in records]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def first_known(values_SWL: Floats) -> Floats:
    """Per seed the first number that is not NaN (equal for all cells of a seed), or NaN."""
    flat = values_SWL.reshape(len(values_SWL), -1)
    return np.array([row[np.isfinite(row)][0] if np.isfinite(row).any() else np.nan for row in flat])
