"""Lion: steps of one size, along the sign of an interpolated momentum."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trainers.naming import check_range
from trainers.optimizers.base import NamedParameters, Optimizer, OptimizerState, Tensors, zeros_like


def lion(beta1: float = 0.9, beta2: float = 0.99) -> Optimizer:
    """Move every entry by lr in the direction of a sign; weight decay shrinks the parameters directly.

        c = beta1 · m + (1 - beta1) · g
        θ <- (1 - lr · weight_decay) · θ - lr · sign(c)
        m = beta2 · m + (1 - beta2) · g

    No step of it depends on the scale of the gradients, so a transform that multiplies all gradients by one
    constant number changes nothing. sign(0) = 0, and in torch sign(NaN) = 0 too: a NaN gradient stops its
    entry for good, but for the decay, and the parameters stay finite. A restart sets m to zero.

    Args:
        beta1: weight of the momentum in the sign, in [0, 1).
        beta2: decay of the momentum, in [0, 1).

    Raises:
        ValueError: a constant is out of range.

    Reference: Chen et al., "Symbolic Discovery of Optimization Algorithms", arXiv:2302.06675, 2023, Algorithm
        2.
    Differs from the reference: nothing.
    """
    check_range("lion", 0.0, 1.0, open_high=True, beta1=beta1, beta2=beta2)

    def init(params: Tensors) -> OptimizerState:
        return {"mean": zeros_like(params)}

    def update(
        grads: Tensors, state: OptimizerState, params: Tensors, lr: Tensor, weight_decay: Tensor
    ) -> tuple[Tensors, OptimizerState]:
        keep = 1 - lr * weight_decay
        signs = {k: torch.sign(torch.lerp(state["mean"][k], g, 1 - beta1)) for k, g in grads.items()}
        new = {k: p * keep - lr * signs[k] for k, p in params.items()}
        return new, {"mean": {k: torch.lerp(state["mean"][k], g, 1 - beta2) for k, g in grads.items()}}

    def reference(params: NamedParameters, lr: float, weight_decay: float) -> torch.optim.Optimizer:
        return Lion(params, lr, beta1, beta2, weight_decay)

    return Optimizer("lion", init, update, reference, {"mean": "exp_avg"}, {"beta1": beta1, "beta2": beta2})


class Lion(torch.optim.Optimizer):
    """Lion as `torch.optim` would have it, line by line after the paper: what the serial trainer steps with.

    Args:
        params: parameters, or groups of them.
        lr: size of every step.
        beta1, beta2, weight_decay: as in `lion`.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-4,
        beta1: float = 0.9,
        beta2: float = 0.99,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "beta1": beta1, "beta2": beta2, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step on every parameter that has a gradient; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                memory = self.state[p]
                m = memory.setdefault("exp_avg", torch.zeros_like(p))
                direction = torch.sign(group["beta1"] * m + (1 - group["beta1"]) * p.grad)
                p -= group["lr"] * (direction + group["weight_decay"] * p)
                memory["exp_avg"] = group["beta2"] * m + (1 - group["beta2"]) * p.grad
        return loss
