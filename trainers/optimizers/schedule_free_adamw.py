"""Schedule-Free AdamW: an average of iterates in place of a schedule."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trainers.naming import check_range
from trainers.optimizers.base import (
    NamedParameters,
    Optimizer,
    OptimizerState,
    Tensors,
    step_zero,
    zeros_like,
)


def schedule_free_adamw(
    beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, weight_lr_power: float = 2.0
) -> Optimizer:
    """Gradients at y, steps of z, and x, the average of all z, for evaluation.

        v = beta2 · v + (1 - beta2) · g²,   v̂ = v / (1 - beta2^t),   g taken at y
        u = g / (sqrt(v̂) + eps) + weight_decay · y
        z <- z - lr · u,   x <- (1 - c) · x + c · z,   y = (1 - beta1) · z + beta1 · x
        c = w_t / (w_1 + … + w_t),   w_t = (largest lr so far)^weight_lr_power

    Parameters of a cell are y while it trains: training losses, gradients and dynamics are those at y. Its
    metric is that of x. Running statistics of BatchNorm belong to y, so every evaluation computes them anew
    at x (`trainers.evaluation.recomputed`). The metric before the first step is that of the untrained network
    as it is.

    lr is that of AdamW and constant, weight decay is multiplied by it and acts at y. The budget's schedule
    multiplies lr here too; what the method is for is `schedule: constant`, with a warm-up. A restart zeroes v
    and the counter of its correction; z and the average are weights and stay.

    Args:
        beta1: share of x in y, in (0, 1).
        beta2: decay of the squared gradient, in [0, 1).
        eps: added to the root, >= 0.
        weight_lr_power: how steps made at a small lr count less in the average, >= 0.

    Raises:
        ValueError: a constant is out of range.

    Reference: Defazio et al., "The Road Less Scheduled", arXiv:2405.15682, 2024, Algorithm 1 and the official
        `AdamWScheduleFree` with r = 0.
    Differs from the reference: warm-up is the budget's, with the same factors t / warm-up.
    """
    check_range("schedule_free_adamw", 0.0, 1.0, open_low=True, open_high=True, beta1=beta1)
    check_range("schedule_free_adamw", 0.0, 1.0, open_high=True, beta2=beta2)
    check_range("schedule_free_adamw", 0.0, eps=eps, weight_lr_power=weight_lr_power)

    def init(params: Tensors) -> OptimizerState:
        return {
            "z": {name: p.clone() for name, p in params.items()},
            "square": zeros_like(params),
            "step": step_zero(params),
            "largest_lr": step_zero(params),
            "total": step_zero(params),
        }

    def update(
        grads: Tensors, state: OptimizerState, params: Tensors, lr: Tensor, weight_decay: Tensor
    ) -> tuple[Tensors, OptimizerState]:
        step, largest = state["step"] + 1, torch.maximum(state["largest_lr"], lr.double())
        weight = largest**weight_lr_power
        total = state["total"] + weight
        # Nothing has weight as long as lr is zero.
        share = torch.where(total > 0, weight / total, 0.0)
        root = torch.sqrt(1 - beta2**step).to(lr.dtype)
        along = lr * (beta1 * (1 - share) - 1).to(lr.dtype)
        share = share.to(lr.dtype)
        square = {
            k: torch.addcmul(beta2 * state["square"][k], g, g, value=1 - beta2) for k, g in grads.items()
        }
        u = {k: g / (square[k].sqrt() / root + eps) + weight_decay * params[k] for k, g in grads.items()}
        new = {k: torch.lerp(y, state["z"][k], share) + along * u[k] for k, y in params.items()}
        return new, {
            "z": {k: z - lr * u[k] for k, z in state["z"].items()},
            "square": square,
            "step": step,
            "largest_lr": largest,
            "total": total,
        }

    def evaluation(params: Tensors, state: OptimizerState) -> Tensors:
        # x, told from y and z, so that it need not be kept.
        return {k: torch.lerp(y, state["z"][k], 1 - 1 / beta1) for k, y in params.items()}

    def reference(params: NamedParameters, lr: float, weight_decay: float) -> torch.optim.Optimizer:
        return ScheduleFreeAdamW(params, lr, weight_decay, beta1, beta2, eps, weight_lr_power)

    return Optimizer(
        "schedule_free_adamw",
        init,
        update,
        reference,
        {"square": "exp_avg_sq"},
        {"beta1": beta1, "beta2": beta2, "eps": eps, "weight_lr_power": weight_lr_power},
        evaluation=evaluation,
    )


class ScheduleFreeAdamW(torch.optim.Optimizer):
    """The same as `torch.optim` would have it, after the paper: what the serial trainer steps with.

    `eval()` puts x into the parameters, and `train()` puts y back.

    Args:
        params: parameters, with or without names, or groups of them.
        lr, weight_decay, beta1, beta2, eps, weight_lr_power: as in `schedule_free_adamw`.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 2.5e-3,
        weight_decay: float = 0.0,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_lr_power: float = 2.0,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "beta1": beta1,
            "beta2": beta2,
            "eps": eps,
            "weight_lr_power": weight_lr_power,
            "largest_lr": 0.0,
            "total": 0.0,
        }
        super().__init__(params, defaults)
        self.training = True
        self._trained: dict[Tensor, Tensor] = {}

    @torch.no_grad()
    def eval(self) -> None:
        """Put x into the parameters."""
        for group in self.param_groups if self.training else ():
            for p in group["params"]:
                # Before the first step x, y and z are the same.
                if "z" in self.state[p]:
                    self._trained[p] = p.clone()
                    p.lerp_(self.state[p]["z"], 1 - 1 / group["beta1"])
        self.training = False

    @torch.no_grad()
    def train(self) -> None:
        """Put y back into the parameters."""
        # What was there, to the last bit: looking at a network does not change its training.
        for p, y in self._trained.items():
            p.copy_(y)
        self._trained.clear()
        self.training = True

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step on every parameter that has a gradient; returns the closure's loss.

        Raises:
            RuntimeError: the parameters are x.
        """
        if not self.training:
            raise RuntimeError("the parameters are those for evaluation; call train() before step()")
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr, beta1, beta2 = group["lr"], group["beta1"], group["beta2"]
            group["largest_lr"] = max(group["largest_lr"], lr)
            weight = group["largest_lr"] ** group["weight_lr_power"]
            group["total"] += weight
            share = weight / group["total"] if group["total"] else 0.0
            for p in group["params"]:
                if p.grad is None:
                    continue
                memory = self.state[p]
                z = memory.setdefault("z", p.clone())
                v = memory.setdefault("exp_avg_sq", torch.zeros_like(p))
                t = memory.setdefault("step", torch.zeros(()))
                t += 1
                v.mul_(beta2).add_((1 - beta2) * p.grad**2)
                root = torch.sqrt(v / (1 - beta2 ** float(t))) + group["eps"]
                u = p.grad / root + group["weight_decay"] * p
                x = (p - (1 - beta1) * z) / beta1
                z.sub_(lr * u)
                x = (1 - share) * x + share * z
                p.copy_((1 - beta1) * z + beta1 * x)
        return loss
