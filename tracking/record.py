"""The stored facts of one cell, and of one study."""

from __future__ import annotations

from dataclasses import dataclass, fields

Curve = tuple[tuple[int, float | None, float | None], ...]
"""(step, loss, metric) at each recorded point; None where the value was not finite."""


@dataclass(frozen=True)
class CellRecord:
    """One finished (or diverged, or failed) cell. Frozen: a stored cell never changes.

    Attributes:
        key: identity of the cell; everything up to `setting` is what it is a hash of.
        constants: of the transform, as JSON.
        outcome: `finished`, `diverged` or `failed`. reason: why it diverged or failed.
        diverged_step: the step at which divergence was seen [steps].
        loss_initial, loss_final: mean over the batches of the last tenth, untrained and while training [loss units].
        metric_direction: `max` when higher is better, else `min`.
        metric_initial, metric_final, metric_best: on the evaluation set; None where not finite.
        seconds: this cell's share of its tile's wall time [s].
        curve: recorded points. dynamics: statistics of gradients over steps, as JSON, `{}` where the budget asks for none.
        provenance: versions, device, commit, as JSON.
    """

    key: str
    workload: str
    optimizer: str
    transform: str
    constants: str
    lr: float
    weight_decay: float
    seed: int
    setting: str
    outcome: str
    reason: str | None
    diverged_step: int | None
    steps: int
    loss_initial: float | None
    loss_final: float | None
    metric_name: str
    metric_direction: str
    metric_initial: float | None
    metric_final: float | None
    metric_best: float | None
    seconds: float
    curve: Curve
    dynamics: str
    provenance: str


FIELDS: tuple[str, ...] = tuple(field.name for field in fields(CellRecord))
