"""Adam: steps along the mean gradient, divided by the root of its running square."""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.naming import check_range
from trainers.optimizers.adamw import adamw
from trainers.optimizers.base import NamedParameters, Optimizer, OptimizerState, Tensors


def adam(beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> Optimizer:
    """Adam; weight decay is added to the gradient, after the transform.

        g <- g + weight_decay · θ
        m = beta1 · m + (1 - beta1) · g,   v = beta2 · v + (1 - beta2) · g²
        θ <- θ - lr · m̂ / (sqrt(v̂) + eps),   m̂ = m / (1 - beta1^t),   v̂ = v / (1 - beta2^t)

    The decay goes through the division too, so that it is weaker where gradients are large; `adamw` is the
    one without this.

    Args:
        beta1: decay of the mean, in [0, 1).
        beta2: decay of the squared mean, in [0, 1).
        eps: added to the root, >= 0.

    Raises:
        ValueError: a constant is out of range.

    Reference: Kingma, Ba, "Adam: A Method for Stochastic Optimization", 2015, Algorithm 1, with the weight
        decay of `torch.optim.Adam`.
    Differs from the reference: nothing while parameters are finite.
    """
    check_range("adam", 0.0, 1.0, open_high=True, beta1=beta1, beta2=beta2)
    check_range("adam", 0.0, eps=eps)
    undecayed = adamw(beta1, beta2, eps)

    def update(
        grads: Tensors, state: OptimizerState, params: Tensors, lr: Tensor, weight_decay: Tensor
    ) -> tuple[Tensors, OptimizerState]:
        decayed = {k: g + weight_decay * params[k] for k, g in grads.items()}
        # The decay is in the gradient already.
        return undecayed.update(decayed, state, params, lr, torch.zeros_like(weight_decay))

    def reference(params: NamedParameters, lr: float, weight_decay: float) -> torch.optim.Optimizer:
        return torch.optim.Adam(params, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)

    return Optimizer("adam", undecayed.init, update, reference, undecayed.moments, undecayed.constants)
