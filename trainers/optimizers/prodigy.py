"""Prodigy: Adam with an estimate of the distance to the solution as its learning rate."""

from __future__ import annotations

import math
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


def prodigy(
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    d0: float = 1e-6,
    d_coef: float = 1.0,
    growth_rate: float = math.inf,
    *,
    bias_correction: bool = False,
    safeguard_warmup: bool = False,
) -> Optimizer:
    """AdamW whose learning rate is lr · d, d being an estimate that the gradients of the whole cell make.

        η = d · lr,   times sqrt(1 - beta2^t) / (1 - beta1^t) with bias_correction
        r = sqrt(beta2) · r + (d / d0) · η · <g, θ_0 - θ>,   the product being over all tensors of the cell
        m = beta1 · m + (1 - beta1) · d · g,   v = beta2 · v + (1 - beta2) · d² · g²
        s = sqrt(beta2) · s + (d / d0) · η · g,   with safeguard_warmup d in place of η
        d <- min(max(d, e), growth_rate · d),   e the largest d_coef · r / ||s||_1 so far
        θ <- (1 - η · weight_decay) · θ - η · m / (sqrt(v) + d · eps)

    d begins at d0 and never falls. It is one number per cell. A cell whose gradients were all zero does not
    move.

    **lr is a factor of d, and its default is 1.** Whether Prodigy needs no tuning is asked by an axis around
    1, such as `lr: {low: 0.01, high: 100, points_per_decade: 2}`, not by the learning rates of Adam. Weight
    decay is multiplied by η. With a warm-up, `safeguard_warmup` keeps its small lr from making d too large.
    A restart zeroes m and v; d, r, s and θ_0 stay, because they say where the cell is. Without
    bias_correction the step after it is then (1 - beta1) / sqrt(1 - beta2) times as large as a usual one, 3.2
    at the defaults, as the first one of all is.

    Args:
        beta1: decay of the mean, in [0, 1).
        beta2: decay of the squared mean, in (0, 1).
        eps: added to the root, >= 0.
        d0: first d, > 0.
        d_coef: factor of the estimate, > 0.
        growth_rate: largest factor between one d and the next, >= 1.
        bias_correction: divide the means by what they lack at the start.
        safeguard_warmup: leave lr out of s.

    Raises:
        ValueError: a constant is out of range.

    Reference: Mishchenko, Defazio, "Prodigy: An Expeditiously Adaptive Parameter-Free Learner",
        arXiv:2306.06101, 2023, Algorithm 4, and the official code with decoupled weight decay.
    Differs from the reference: nothing; as in the official code d leaves d0 at the first positive estimate.
    """
    check_range("prodigy", 0.0, 1.0, open_high=True, beta1=beta1)
    check_range("prodigy", 0.0, 1.0, open_low=True, open_high=True, beta2=beta2)
    check_range("prodigy", 0.0, eps=eps)
    check_range("prodigy", 0.0, math.inf, open_low=True, open_high=True, d0=d0, d_coef=d_coef)
    check_range("prodigy", 1.0, growth_rate=growth_rate)
    beta3 = math.sqrt(beta2)

    def init(params: Tensors) -> OptimizerState:
        zero = step_zero(params)
        return {
            "first": {name: p.clone() for name, p in params.items()},
            "sum": zeros_like(params),
            "mean": zeros_like(params),
            "square": zeros_like(params),
            "step": zero,
            "d": zero + d0,
            "largest": zero + d0,
            "product": zero.clone(),
        }

    def update(
        grads: Tensors, state: OptimizerState, params: Tensors, lr: Tensor, weight_decay: Tensor
    ) -> tuple[Tensors, OptimizerState]:
        dtype, d, step = lr.dtype, state["d"], state["step"] + 1
        # d and what it is made of are in float64: d / d0 and its powers go over many decades.
        rate = d * lr.double()
        if bias_correction:
            rate = rate * torch.sqrt(1 - beta2**step) / (1 - beta1**step)
        towards = sum((g * (state["first"][k] - params[k])).sum().double() for k, g in grads.items())
        product = beta3 * state["product"] + d / d0 * rate * towards
        share = (d * (1 - beta1)).to(dtype)
        squared_share = (d * d * (1 - beta2)).to(dtype)
        along = (d / d0 * (d if safeguard_warmup else rate)).to(dtype)
        mean = {k: beta1 * state["mean"][k] + share * g for k, g in grads.items()}
        square = {k: beta2 * state["square"][k] + squared_share * g * g for k, g in grads.items()}
        total = {k: beta3 * state["sum"][k] + along * g for k, g in grads.items()}
        length = sum(s.abs().sum().double() for s in total.values())
        moves = length > 0
        estimate = d_coef * product / length
        # `where` and not `maximum`: an estimate that is no number counts as none, as in the reference.
        first = torch.where((d == d0) & (estimate > d), estimate, d)
        largest = torch.where(estimate > state["largest"], estimate, state["largest"])
        new_d = torch.where(moves, torch.minimum(largest, first * growth_rate), d)
        rate, floor = rate.to(dtype), (new_d * eps).to(dtype)
        keep = 1 - rate * weight_decay
        new = {
            k: torch.where(moves, p * keep - rate * mean[k] / (square[k].sqrt() + floor), p)
            for k, p in params.items()
        }
        return new, {
            "first": state["first"],
            "sum": total,
            "mean": mean,
            "square": square,
            "step": step,
            "d": new_d,
            "largest": torch.where(moves, largest, state["largest"]),
            "product": product,
        }

    def reference(params: NamedParameters, lr: float, weight_decay: float) -> torch.optim.Optimizer:
        return Prodigy(
            params,
            lr,
            weight_decay,
            betas=(beta1, beta2),
            eps=eps,
            d0=d0,
            d_coef=d_coef,
            growth_rate=growth_rate,
            bias_correction=bias_correction,
            safeguard_warmup=safeguard_warmup,
        )

    return Optimizer(
        "prodigy",
        init,
        update,
        reference,
        {"mean": "exp_avg", "square": "exp_avg_sq"},
        {
            "beta1": beta1,
            "beta2": beta2,
            "eps": eps,
            "d0": d0,
            "d_coef": d_coef,
            "growth_rate": growth_rate,
            "bias_correction": bias_correction,
            "safeguard_warmup": safeguard_warmup,
        },
        elementwise=False,
    )


class Prodigy(torch.optim.Optimizer):
    """The same as `torch.optim` would have it, after the paper: what the serial trainer steps with.

    Args:
        params: parameters, with or without names; one group.
        lr, weight_decay, betas, eps, d0, d_coef, growth_rate, bias_correction, safeguard_warmup: as in
            `prodigy`.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        weight_decay: float = 0.0,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        d0: float = 1e-6,
        d_coef: float = 1.0,
        growth_rate: float = math.inf,
        bias_correction: bool = False,
        safeguard_warmup: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "betas": betas,
            "eps": eps,
            "d0": d0,
            "d_coef": d_coef,
            "growth_rate": growth_rate,
            "bias_correction": bias_correction,
            "safeguard_warmup": safeguard_warmup,
            "d": d0,
            "largest": d0,
            "product": 0.0,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step on every parameter that has a gradient; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        (group,) = self.param_groups
        beta1, beta2 = group["betas"]
        beta3, d = math.sqrt(beta2), group["d"]
        moved = [p for p in group["params"] if p.grad is not None]
        length = 0.0
        group["product"] *= beta3
        for p in moved:
            memory = self.state[p]
            first = memory.setdefault("first", p.clone())
            m, v, s = (
                memory.setdefault(key, torch.zeros_like(p)) for key in ("exp_avg", "exp_avg_sq", "sum")
            )
            t = memory.setdefault("step", torch.zeros(()))
            t += 1
            rate = d * group["lr"]
            if group["bias_correction"]:
                rate *= math.sqrt(1 - beta2 ** float(t)) / (1 - beta1 ** float(t))
            group["product"] += d / group["d0"] * rate * float((p.grad * (first - p)).sum())
            m.mul_(beta1).add_((1 - beta1) * d * p.grad)
            v.mul_(beta2).add_((1 - beta2) * (d * p.grad) ** 2)
            s.mul_(beta3).add_(d / group["d0"] * (d if group["safeguard_warmup"] else rate) * p.grad)
            length += float(s.abs().sum())
        if length == 0:
            return loss
        estimate = group["d_coef"] * group["product"] / length
        group["largest"] = max(group["largest"], estimate)
        start = max(d, estimate) if d == group["d0"] else d
        group["d"] = min(group["largest"], start * group["growth_rate"])
        for p in moved:
            memory = self.state[p]
            p.mul_(1 - rate * group["weight_decay"])
            p.sub_(rate * memory["exp_avg"] / (memory["exp_avg_sq"].sqrt() + group["d"] * group["eps"]))
        return loss
