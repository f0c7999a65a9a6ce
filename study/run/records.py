"""Records of a tile's cells: what its run found, or why it failed."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from search_spaces import Cell
from study.measures.dynamics import LAYERS, QUOTIENTS, SERIES
from study.plan.job import Job
from study.spec.strict_json import strict_json
from tracking import FAILED, CellRecord
from tracking.record import IDENTITY

if TYPE_CHECKING:
    from torch import Tensor

    from trainers import Curves, Workload


def records(job: Job, workload: Workload, curves: Curves, provenance: str) -> list[CellRecord]:
    """One record per cell of a tile that was trained."""
    loss_CK, metric_CK = curves.loss_KC.T.tolist(), curves.metric_KC.T.tolist()
    final_C, initial_C, last_C, best_C = (
        t.tolist()
        for t in (curves.loss_final_C, curves.metric_initial_C, curves.metric_final_C, curves.metric_best_C)
    )
    return [
        CellRecord(
            **identity(cell),
            outcome=curves.outcome_C[c],
            reason=curves.reason_C[c],
            diverged_step=curves.diverged_step_C[c],
            steps=job.budget.steps,
            loss_initial=finite(curves.loss_initial),
            loss_final=finite(final_C[c]),
            metric_name=workload.metric_name,
            metric_direction="max" if workload.higher_is_better else "min",
            metric_initial=finite(initial_C[c]),
            metric_final=finite(last_C[c]),
            metric_best=finite(best_C[c]),
            seconds=curves.seconds / len(job.tile.cells),
            curve=tuple(
                (step, finite(loss), finite(metric))
                for step, loss, metric in zip(curves.step_K, loss_CK[c], metric_CK[c], strict=True)
            ),
            dynamics=json.dumps(dynamics_of(curves, c)),
            provenance=provenance,
            skipped_steps=None if curves.skipped_C is None else curves.skipped_C[c],
        )
        for c, cell in enumerate(job.tile.cells)
    ]


def identity(cell: Cell) -> dict[str, Any]:
    """The fields of a record that are known before the cell is trained."""
    return {name: getattr(cell, name) for name in IDENTITY} | {"constants": strict_json(dict(cell.constants))}


def dynamics_of(curves: Curves, cell: int) -> dict[str, Any]:
    """What was measured of one cell's gradients, as plain lists over steps.

    A number of a living cell that is not finite is kept as what it is, infinite or NaN. None stands where
    nothing was measured: after the last step that the cell lived through, and where a quotient has no value
    although nothing overflowed (`undefined`).
    """
    found = curves.dynamics
    if found is None:
        return {}
    last = curves.last_step_C[cell]
    lived_J = [step <= last for step in found.step_J]
    norms = zip(found.grad_norm_JC[:, cell].tolist(), found.out_norm_JC[:, cell].tolist(), strict=True)
    gaps = undefined(list(norms))
    nowhere = [False] * len(lived_J)
    series = {
        name: column(getattr(found, f"{name}_JC")[:, cell], lived_J, gaps.get(name, nowhere))
        for name in SERIES
    }
    # Networks without probes have none, and their records stay as they are.
    series |= {name: column(shown[:, cell], lived_J, nowhere) for name, shown in found.probes.items()}
    layers: dict[str, dict[str, list[float | None]]] = {}
    for name in LAYERS:
        values_JN, gap_J = getattr(found, f"{name}_JCN")[:, cell], gaps.get(name, nowhere)
        layers[name] = {
            layer: column(values_JN[:, n], lived_J, gap_J) for n, layer in enumerate(found.layers)
        }
    return {"step": list(found.step_J), **series, **layers}


def undefined(norms: Sequence[tuple[float, float]]) -> dict[str, list[bool]]:
    """At which steps a NaN is no overflow, for each series that has such steps.

    A gradient of zero has no direction, and no ratio to another one of zero. Of finite norms no quotient is
    NaN for any other reason.

    Args:
        norms: of the gradient before and after the transform, per step.
    """
    calm = [out == 0 or (math.isfinite(norm) and math.isfinite(out)) for norm, out in norms]
    return {"scale": [norm == 0 for norm, _ in norms], **dict.fromkeys(QUOTIENTS, calm)}


def column(values: Tensor, lived: Sequence[bool], undefined: Sequence[bool]) -> list[float | None]:
    """Plain numbers of seven digits, which is what float32 has.

    None where the cell did not live, and in the place of a NaN that is undefined.
    """
    return [
        None if not alive or (gap and math.isnan(value)) else float(f"{value:.7g}")
        for value, alive, gap in zip(values.tolist(), lived, undefined, strict=True)
    ]


def failed_records(job: Job, reason: str) -> list[CellRecord]:
    """One record per cell of a tile whose infrastructure failed.

    They are stored with the reason, are never evidence, and are trained again at the next launch.
    """
    # An error that names a file may hold half a character, which no database takes.
    reason = reason.encode("utf-8", "backslashreplace").decode()
    return [
        CellRecord(
            **identity(cell),
            outcome=FAILED,
            reason=reason,
            diverged_step=None,
            steps=0,
            loss_initial=None,
            loss_final=None,
            metric_name="",
            metric_direction="max",
            metric_initial=None,
            metric_final=None,
            metric_best=None,
            seconds=0.0,
            curve=(),
            dynamics="{}",
            provenance="{}",
        )
        for cell in job.tile.cells
    ]


def finite(value: float) -> float | None:
    """The number, or None when it is not finite."""
    # JSON has no infinities, and MLflow's database replaces them by the largest float.
    return value if math.isfinite(value) else None
