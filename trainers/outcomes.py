"""When a cell counts as diverged, at which step, and why. Diverged is a value, never an exception."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Whoever reads stored cells asks this file which steps they lived through, and does so without torch.
    from torch import Tensor

FINISHED = "finished"
DIVERGED = "diverged"
ROUNDING = 1e-5
"""The same loss, summed in another order, is no explosion: a cell with lr 0 has not diverged [relative]."""
NONFINITE_LOSS = "nonfinite_loss"
NONFINITE_PARAMETERS = "nonfinite_parameters"
LOSS_EXPLODED = "loss_exploded"
NO_STEP_TAKEN = "no_step_taken"
"""In float16: every step overflowed and was skipped, so that nothing was trained."""
POLICY_COLLAPSED = "policy_collapsed"
"""Of agents alone, whose loss does not explode: see `trainers.control.returns`."""


def first_step(bad_TC: Tensor) -> list[int | None]:
    """For each cell the first step (counted from 1) at which a row is True, or None."""
    hit_C = bad_TC.any(dim=0).tolist()
    at_C = bad_TC.byte().argmax(dim=0).tolist()
    return [at + 1 if hit else None for hit, at in zip(hit_C, at_C, strict=True)]


def diverged_at(
    loss_TC: Tensor, bad_parameters_C: list[int | None], loss_initial: float, tail: int, factor: float
) -> list[tuple[str, int] | None]:
    """Why and when each cell diverged, or None for a finished one.

    A cell has diverged when its loss was not finite at a step (`nonfinite_loss`), or its parameters were not
    finite at a recorded point (`nonfinite_parameters`), or its mean loss over the last `tail` steps is above
    `factor` times the loss of the untrained network on the same batches (`loss_exploded`; the step is the
    first after which the loss stayed above).

    Args:
        loss_TC: training loss of each step and cell [loss units].
        bad_parameters_C: step at which non-finite parameters were seen, per cell.
        loss_initial: mean loss of the untrained network over the batches of the last `tail` steps [loss
            units].
    """
    limit = factor * loss_initial * (1 + ROUNDING)
    exploded_C = (loss_TC[-tail:].mean(dim=0) > limit).tolist()
    result: list[tuple[str, int] | None] = []
    for c, (loss_step, parameter_step) in enumerate(
        zip(first_step(~loss_TC.isfinite()), bad_parameters_C, strict=True)
    ):
        # A step's loss is computed before its parameters move, so at the same step the loss was first.
        if loss_step is not None and (parameter_step is None or loss_step <= parameter_step):
            result.append((NONFINITE_LOSS, loss_step))
        elif parameter_step is not None:
            result.append((NONFINITE_PARAMETERS, parameter_step))
        elif exploded_C[c]:
            below = (loss_TC[:, c] <= limit).nonzero()
            last_below = int(below[-1]) + 1 if len(below) else 0
            # The tail's mean may be above the limit and its last losses not. Its first step counts then.
            result.append((LOSS_EXPLODED, min(last_below, len(loss_TC) - tail) + 1))
        else:
            result.append(None)
    return result


def last_living_step(reason: str | None, diverged_step: int | None) -> float:
    """The last step (counted from 1) that a cell lived through; infinite for one that lived to the end.

    A step's loss is computed before its parameters move. So a cell was dead before the step whose loss was
    not finite, and still lived in the step after which its parameters were seen not to be finite. One whose
    loss exploded lives to the end, as a finished one does.

    Args:
        reason: why the cell diverged, None for a finished one.
        diverged_step: the step at which this was seen, None likewise.
    """
    if diverged_step is None:
        return math.inf
    return {NONFINITE_LOSS: diverged_step - 1, NONFINITE_PARAMETERS: diverged_step}.get(
        reason or "", math.inf
    )
