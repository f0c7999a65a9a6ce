"""Stochastic gradient descent, with momentum if wanted."""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.naming import check_range
from trainers.optimizers.base import NamedParameters, Optimizer, OptimizerState, Tensors, zeros_like


def sgd(momentum: float = 0.0, dampening: float = 0.0, *, nesterov: bool = False) -> Optimizer:
    """Steps along the gradient, or along a running sum of gradients; weight decay is added to the gradient.

        g <- g + weight_decay · θ
        b = momentum · b + (1 - dampening) · g      (b = g at the first step of training)
        θ <- θ - lr · d,   d = b, or g + momentum · b with nesterov, or g without momentum

    A transform's restart sets b to zero and nothing else. Without dampening the next step is then a first
    step (b = g). With it the next step is b = (1 - dampening) · g: the first-step rule is kept for the first
    step of training, because SGD counts no steps that could start again. Without momentum there is nothing to
    forget.

    Args:
        momentum: decay of the running sum, in [0, 1).
        dampening: what a gradient lacks when it enters the sum, in [0, 1].
        nesterov: look ahead along the sum; needs momentum > 0 and dampening 0.

    Raises:
        ValueError: a constant is out of range, or nesterov is used without momentum or with dampening.

    Reference: Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum in deep
        learning", 2013, eq. 1 to 4, in the form of `torch.optim.SGD` (lr outside of the sum).
    Differs from the reference: nothing while parameters are finite.
    """
    check_range("sgd", 0.0, 1.0, open_high=True, momentum=momentum)
    check_range("sgd", 0.0, 1.0, dampening=dampening)
    if nesterov and (momentum == 0 or dampening != 0):
        raise ValueError(
            f"sgd: nesterov with momentum {momentum:g} and dampening {dampening:g}; "
            "wanted momentum > 0 and dampening 0"
        )

    def init(params: Tensors) -> OptimizerState:
        state: OptimizerState = {"sum": zeros_like(params)} if momentum else {}
        # Without dampening a sum of zero gives b = g by itself, and no flag is needed.
        if momentum and dampening:
            state["begun"] = torch.zeros((), dtype=torch.bool, device=next(iter(params.values())).device)
        return state

    def update(
        grads: Tensors, state: OptimizerState, params: Tensors, lr: Tensor, weight_decay: Tensor
    ) -> tuple[Tensors, OptimizerState]:
        direction = {k: g + weight_decay * params[k] for k, g in grads.items()}
        if momentum:
            total = {k: momentum * state["sum"][k] + (1 - dampening) * g for k, g in direction.items()}
            state = {**state, "sum": total}
            if dampening:
                state["sum"] = total = {
                    k: torch.where(state["begun"], b, direction[k]) for k, b in total.items()
                }
                state["begun"] = torch.ones_like(state["begun"])
            direction = {k: direction[k] + momentum * b if nesterov else b for k, b in total.items()}
        return {k: p - lr * direction[k] for k, p in params.items()}, state

    def reference(params: NamedParameters, lr: float, weight_decay: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            params,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
        )

    moments = {"sum": "momentum_buffer"} if momentum else {}
    return Optimizer(
        "sgd",
        init,
        update,
        reference,
        moments,
        {"momentum": momentum, "dampening": dampening, "nesterov": nesterov},
    )
