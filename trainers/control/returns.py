"""What training agents gave: returns, how far they fall short of the best, and how each agent ended."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trainers.budget import Budget
from trainers.curves import Curves
from trainers.dynamics import Dynamics
from trainers.outcomes import DIVERGED, FINISHED, POLICY_COLLAPSED, diverged_at, last_living_step
from trainers.workloads.control import Control

ERRORS = 3.0
"""A policy collapsed where its return is below the untrained one's by more than so many standard errors."""


def collapsed_below(untrained_N: Tensor) -> float:
    """The mean return below which a policy has collapsed.

    It is the untrained policy's, less three standard errors of it over the episodes of the evaluation.
    """
    error = float(untrained_N.std()) / math.sqrt(len(untrained_N)) if len(untrained_N) > 1 else 0.0
    return float(untrained_N.mean()) - ERRORS * error


def agents_curves(
    budget: Budget,
    workload: Control,
    loss_TC: Tensor,
    metric_KC: Tensor,
    bad_parameters_C: list[int | None],
    untrained_N: Tensor,
    *,
    seconds: float,
    dynamics: Dynamics | None = None,
) -> Curves:
    """Judge agents: the same for the fused and the serial trainer.

    An agent diverged where PPO's loss or the parameters were not finite, or where its policy collapsed: at
    the end its return is below `collapsed_below`. The step is then the first recorded point after which it
    stayed there.

    PPO's loss compares a policy with the one before, so it says nothing of how good a policy is. What stands
    as loss in the curves is what the return lacks of the best possible one.

    Args:
        loss_TC: PPO's loss of each step; asked for its finiteness alone.
        metric_KC: mean returns at the recorded points.
        untrained_N: returns of the untrained policy's episodes.
    """
    metric_KC = metric_KC.double().cpu()
    below = metric_KC < collapsed_below(untrained_N)
    # No loss is above an infinite limit: of these losses only the finiteness counts.
    ends_C = diverged_at(loss_TC.double().cpu(), bad_parameters_C, 1.0, budget.tail, math.inf)
    step_K = budget.recorded_steps
    for c, end in enumerate(ends_C):
        if end is not None:
            metric_KC[[k for k, step in enumerate(step_K) if step >= end[1]], c] = torch.nan
            if dynamics is not None:
                dynamics.end(c, last_living_step(*end))
        elif bool(below[-1, c]):
            above = (~below[:, c]).nonzero()
            ends_C[c] = POLICY_COLLAPSED, step_K[int(above[-1]) + 1]
    short_KC = workload.environment.best - metric_KC
    return Curves(
        step_K=step_K,
        loss_KC=short_KC,
        metric_KC=metric_KC,
        outcome_C=tuple(FINISHED if end is None else DIVERGED for end in ends_C),
        reason_C=tuple(None if end is None else end[0] for end in ends_C),
        diverged_step_C=tuple(None if end is None else end[1] for end in ends_C),
        loss_initial=workload.environment.best - float(untrained_N.mean()),
        loss_final_C=short_KC[-1],
        metric_best_C=torch.nan_to_num(metric_KC, nan=-torch.inf).amax(0),
        seconds=seconds,
        dynamics=dynamics,
    )
