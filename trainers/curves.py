"""What a run returns: recorded points, and how each cell ended."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trainers.budget import Budget
from trainers.dynamics import Dynamics, beside
from trainers.outcomes import (
    DIVERGED,
    FINISHED,
    LOSS_EXPLODED,
    NO_STEP_TAKEN,
    diverged_at,
    last_living_step,
)


@dataclass(frozen=True)
class Curves:
    """Recorded points of C cells. Losses and metrics after a cell became non-finite are NaN.

    Attributes:
        step_K: steps done at each recorded point; the first is 0.
        loss_KC: mean training loss since the point before; at point 0 the initial loss [loss units].
        metric_KC: the workload's metric on the evaluation set.
        outcome_C, reason_C, diverged_step_C: how each cell ended; reason and step are None for a finished
            cell.
        loss_initial: mean loss of the untrained network over the batches of the last tenth, so that it
            differs from `loss_final_C` (mean over the same batches while training) by the parameters alone
            [loss units].
        metric_best_C: best value over the recorded points.
        seconds: wall time of the whole run [s].
        dynamics: statistics of gradients and steps, if the budget asks for them.
        skipped_C: steps that overflowed and were skipped while the cell lived, in float16; else None [steps].
    """

    step_K: tuple[int, ...]
    loss_KC: Tensor
    metric_KC: Tensor
    outcome_C: tuple[str, ...]
    reason_C: tuple[str | None, ...]
    diverged_step_C: tuple[int | None, ...]
    loss_initial: float
    loss_final_C: Tensor
    metric_best_C: Tensor
    seconds: float
    dynamics: Dynamics | None = None
    skipped_C: tuple[int, ...] | None = None

    @property
    def last_step_C(self) -> tuple[float, ...]:
        """The last step that each cell lived through; infinite for those that lived to the end."""
        ends = zip(self.reason_C, self.diverged_step_C, strict=True)
        return tuple(last_living_step(reason, step) for reason, step in ends)

    @property
    def metric_initial_C(self) -> Tensor:
        return self.metric_KC[0]

    @property
    def metric_final_C(self) -> Tensor:
        return self.metric_KC[-1]


def curves(
    budget: Budget,
    loss_TC: Tensor,
    metric_KC: Tensor,
    bad_parameters_C: list[int | None],
    loss_initial: float,
    *,
    higher_is_better: bool,
    seconds: float,
    dynamics: Dynamics | None = None,
    skipped_C: Sequence[int] | None = None,
) -> Curves:
    """Judge raw losses and metrics: the same for the fused and the serial trainer.

    A cell that skipped every step has diverged at the first one (`no_step_taken`).
    """
    loss_TC, metric_KC = loss_TC.double().cpu(), metric_KC.double().cpu()
    ends_C = diverged_at(loss_TC, bad_parameters_C, loss_initial, budget.tail, budget.explosion_factor)
    step_K = budget.recorded_steps
    for c, end in enumerate(ends_C):
        if end is None and skipped_C is not None and skipped_C[c] == budget.steps:
            ends_C[c] = NO_STEP_TAKEN, 1
        # An exploded loss is finite to the end, so its numbers are kept.
        elif end is not None and end[0] != LOSS_EXPLODED:
            loss_TC[end[1] - 1 :, c] = torch.nan
            metric_KC[[k for k, step in enumerate(step_K) if step >= end[1]], c] = torch.nan
            if dynamics is not None:
                dynamics.end(c, last_living_step(*end))
    means = [loss_TC[a:b].mean(dim=0) for a, b in itertools.pairwise(step_K)]
    loss_KC = torch.stack([torch.full_like(loss_TC[0], loss_initial), *means])
    if higher_is_better:
        best_C = torch.nan_to_num(metric_KC, nan=-torch.inf).amax(0)
    else:
        best_C = torch.nan_to_num(metric_KC, nan=torch.inf).amin(0)
    return Curves(
        step_K=step_K,
        loss_KC=loss_KC,
        metric_KC=metric_KC,
        outcome_C=tuple(FINISHED if end is None else DIVERGED for end in ends_C),
        reason_C=tuple(None if end is None else end[0] for end in ends_C),
        diverged_step_C=tuple(None if end is None else end[1] for end in ends_C),
        loss_initial=loss_initial,
        loss_final_C=loss_TC[-budget.tail :].mean(dim=0),
        metric_best_C=best_C,
        seconds=seconds,
        dynamics=dynamics,
        skipped_C=None if skipped_C is None else tuple(skipped_C),
    )


def joined(parts: Sequence[Curves]) -> Curves:
    """The curves of tiles that were trained one after another, as those of one tile."""
    first = parts[0]
    skipped = [part.skipped_C for part in parts if part.skipped_C is not None]
    return replace(
        first,
        loss_KC=torch.cat([part.loss_KC for part in parts], 1),
        metric_KC=torch.cat([part.metric_KC for part in parts], 1),
        outcome_C=tuple(one for part in parts for one in part.outcome_C),
        reason_C=tuple(one for part in parts for one in part.reason_C),
        diverged_step_C=tuple(one for part in parts for one in part.diverged_step_C),
        loss_final_C=torch.cat([part.loss_final_C for part in parts]),
        metric_best_C=torch.cat([part.metric_best_C for part in parts]),
        seconds=sum(part.seconds for part in parts),
        dynamics=beside([part.dynamics for part in parts if part.dynamics is not None]),
        skipped_C=tuple(one for part in skipped for one in part) if skipped else None,
    )
