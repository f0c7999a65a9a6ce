"""RMSprop: steps along the gradient, divided by the root of its running square."""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.naming import check_range
from trainers.optimizers.base import NamedParameters, Optimizer, OptimizerState, Tensors, zeros_like


def rmsprop(
    alpha: float = 0.99, eps: float = 1e-8, momentum: float = 0.0, *, centered: bool = False
) -> Optimizer:
    """Divide each entry's gradient by its running root mean square; weight decay is added to the gradient.

        g <- g + weight_decay · θ
        v = alpha · v + (1 - alpha) · g²,   a = alpha · a + (1 - alpha) · g
        u = g / (sqrt(v) + eps),   or   g / (sqrt(v - a²) + eps) when centered
        θ <- θ - lr · u,   or   b = momentum · b + u, θ <- θ - lr · b with momentum

    v starts at zero and is not corrected for that, so the first step, and the one after a transform's restart
    (which sets v, a and b to zero), has |u| = 1 / sqrt(1 - alpha), 10 at the default, and 1 / sqrt(alpha (1 -
    alpha)) when centered.

    Args:
        alpha: decay of the averages, in [0, 1), and above 0 when centered.
        eps: added to the root, >= 0.
        momentum: decay of the running sum of steps, in [0, 1).
        centered: subtract the squared mean, so that the root is a standard deviation.

    Raises:
        ValueError: a constant is out of range.

    Reference: Tieleman, Hinton, "Lecture 6.5: rmsprop", 2012, as `torch.optim.RMSprop` has it; centered:
        Graves, "Generating Sequences With Recurrent Neural Networks", 2013, eq. 38 to 45.
    Differs from the reference: nothing while parameters are finite; eps stands outside of the root, as in
        torch.
    """
    check_range("rmsprop", 0.0, 1.0, open_low=centered, open_high=True, alpha=alpha)
    check_range("rmsprop", 0.0, 1.0, open_high=True, momentum=momentum)
    check_range("rmsprop", 0.0, eps=eps)
    moments = {"square": "square_avg"}
    if centered:
        moments["mean"] = "grad_avg"
    if momentum:
        moments["sum"] = "momentum_buffer"

    def init(params: Tensors) -> OptimizerState:
        return {key: zeros_like(params) for key in moments}

    def update(
        grads: Tensors, state: OptimizerState, params: Tensors, lr: Tensor, weight_decay: Tensor
    ) -> tuple[Tensors, OptimizerState]:
        grads = {k: g + weight_decay * params[k] for k, g in grads.items()}
        spread = square = {
            k: torch.addcmul(alpha * state["square"][k], g, g, value=1 - alpha) for k, g in grads.items()
        }
        new: OptimizerState = {"square": square}
        if centered:
            new["mean"] = mean = {k: torch.lerp(state["mean"][k], g, 1 - alpha) for k, g in grads.items()}
            spread = {k: torch.addcmul(v, mean[k], mean[k], value=-1) for k, v in square.items()}
        steps = {k: g / (spread[k].sqrt() + eps) for k, g in grads.items()}
        if momentum:
            new["sum"] = steps = {k: momentum * state["sum"][k] + u for k, u in steps.items()}
        return {k: p - lr * steps[k] for k, p in params.items()}, new

    def reference(params: NamedParameters, lr: float, weight_decay: float) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(
            params,
            lr=lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=centered,
        )

    return Optimizer(
        "rmsprop",
        init,
        update,
        reference,
        moments,
        {"alpha": alpha, "eps": eps, "momentum": momentum, "centered": centered},
    )
