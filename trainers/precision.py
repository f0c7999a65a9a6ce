"""Networks that compute in half precision while parameters stay in float32.

For float16 every cell has a dynamic loss scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from trainers.budget import Budget
from trainers.workloads.base import Workload

Tensors = dict[str, Tensor]
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
"""Layers whose parameters stay in float32, because their statistics need it."""

GROWTH_INTERVAL = 2000
"""Steps without overflow after which the loss scale doubles, as in `torch.amp.GradScaler` [steps]."""
LARGEST_SCALE = 2.0**127
"""A double of it would not be finite in float32."""


def loss_function(
    workload: Workload, model: nn.Module, budget: Budget
) -> Callable[[Mapping[str, Tensor], Tensors, Tensor, Tensor], Tensor]:
    """`loss(params, buffers, x, y)` of one cell in the budget's arithmetic; its value is at least float32."""
    low = budget.arithmetic
    if low == budget.dtype:
        return lambda params, buffers, x, y: workload.loss(
            functional_call(model, (dict(params), buffers), (x,)), y
        )
    cast = lowered(model, budget)

    def loss(params: Mapping[str, Tensor], buffers: Tensors, x: Tensor, y: Tensor) -> Tensor:
        # The cast is part of what is differentiated, so gradients arrive in the parameters' own precision.
        output = functional_call(model, (cast(params), buffers), (x.to(low) if x.is_floating_point() else x,))
        return workload.loss(output.to(budget.dtype), y)

    return loss


def lowered(model: nn.Module, budget: Budget) -> Callable[[Mapping[str, Tensor]], Tensors]:
    """What casts the parameters of a network to the budget's arithmetic, those of norms left as they are."""
    high: set[str] = set()
    for name, module in model.named_modules():
        if isinstance(module, NORMS):
            high |= {
                f"{name}.{inner}" if name else inner for inner, _ in module.named_parameters(recurse=False)
            }
    low = budget.arithmetic
    return lambda params: {name: p if name in high else p.to(low) for name, p in params.items()}


@dataclass(frozen=True)
class LossScale:
    """A dynamic loss scale for one cell, as `torch.amp.GradScaler` has it for one model.

    The loss is multiplied by `scale`, gradients are divided by it. A step with a non-finite gradient is
    skipped and halves the scale; `GROWTH_INTERVAL` good steps in a row double it, unless that overflows. What
    is skipped stays as it was: parameters, the optimizer's state with its count of steps, and what the
    transform remembers. The schedule goes on, and so do a network's running statistics.

    State of a cell: `scale`; `good`, steps without overflow in a row; `skipped`, how many were skipped;
    `lost`, 1 once a loss was not finite, after which no step counts.

    Reference: `torch.amp.GradScaler` with its defaults.
    Differs from the reference: whether gradients are finite is asked after they were divided by the scale,
        accumulated and multiplied by a spike, not before. Losses of micro-batches are not divided by their
        number before gradients are taken, as some loops do, but gradients afterwards.
    """

    start: float = 65536.0

    def init(self, like: Tensor) -> Tensors:
        """The state of a cell before its first step, on the device of a tensor."""
        return {
            "scale": torch.full_like(like, self.start, dtype=torch.float32),
            **{name: torch.zeros_like(like, dtype=torch.float32) for name in ("good", "skipped", "lost")},
        }

    def update(self, state: Tensors, finite: Tensor, loss: Tensor | None = None) -> Tensors:
        """The state after a step.

        Args:
            finite: whether its gradients were.
            loss: of the step; None where it was finite.
        """
        good = torch.where(finite, state["good"] + 1, 0.0)
        grown = good >= GROWTH_INTERVAL
        double = (state["scale"] * 2.0).clamp(max=LARGEST_SCALE)
        scale = torch.where(finite, torch.where(grown, double, state["scale"]), state["scale"] * 0.5)
        lost = state["lost"] if loss is None else torch.where(loss.isfinite(), state["lost"], 1.0)
        skipped = torch.where(finite, state["skipped"], state["skipped"] + 1 - lost)
        return {"scale": scale, "good": torch.where(grown, 0.0, good), "skipped": skipped, "lost": lost}


def scaled_in(budget: Budget) -> bool:
    """Whether the budget's arithmetic needs a loss scale."""
    return budget.arithmetic == torch.float16
