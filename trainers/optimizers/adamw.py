"""AdamW: Adam with decoupled weight decay."""

from __future__ import annotations

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


def adamw(beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> Optimizer:
    """Adam whose weight decay shrinks the parameters directly.

        m = beta1 · m + (1 - beta1) · g,   v = beta2 · v + (1 - beta2) · g²
        m̂ = m / (1 - beta1^t),   v̂ = v / (1 - beta2^t)
        θ <- (1 - lr · weight_decay) · θ - lr · m̂ / (sqrt(v̂) + eps)

    Args:
        beta1: decay of the mean, in [0, 1).
        beta2: decay of the squared mean, in [0, 1).
        eps: added to the root, >= 0.

    Raises:
        ValueError: a constant is out of range.

    Reference: Loshchilov, Hutter, "Decoupled Weight Decay Regularization", 2019, Algorithm 2, as
        `torch.optim.AdamW` has it (decay multiplied by lr).
    Differs from the reference: nothing.
    """
    check_range("adamw", 0.0, 1.0, open_high=True, beta1=beta1, beta2=beta2)
    check_range("adamw", 0.0, eps=eps)

    def init(params: Tensors) -> OptimizerState:
        return {"mean": zeros_like(params), "square": zeros_like(params), "step": step_zero(params)}

    def update(
        grads: Tensors, state: OptimizerState, params: Tensors, lr: Tensor, weight_decay: Tensor
    ) -> tuple[Tensors, OptimizerState]:
        step = state["step"] + 1
        dtype = lr.dtype
        rate = lr / (1 - beta1**step).to(dtype)
        root = torch.sqrt(1 - beta2**step).to(dtype)
        keep = 1 - lr * weight_decay
        mean = {k: torch.lerp(state["mean"][k], g, 1 - beta1) for k, g in grads.items()}
        square = {
            k: torch.addcmul(beta2 * state["square"][k], g, g, value=1 - beta2) for k, g in grads.items()
        }
        new = {k: p * keep - rate * mean[k] / (square[k].sqrt() / root + eps) for k, p in params.items()}
        return new, {"mean": mean, "square": square, "step": step}

    def reference(params: NamedParameters, lr: float, weight_decay: float) -> torch.optim.Optimizer:
        return torch.optim.AdamW(params, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)

    return Optimizer(
        "adamw",
        init,
        update,
        reference,
        {"mean": "exp_avg", "square": "exp_avg_sq"},
        {"beta1": beta1, "beta2": beta2, "eps": eps},
    )
