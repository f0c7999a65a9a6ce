"""AdaGN: the adaptive gradient norm of Stable-SPAM."""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.naming import check_range
from trainers.transforms.base import Number, State, Tensors, Transform, scaled, tensor_norms


def adagn(gamma1: Number = 0.7, gamma2: Number = 0.9, eps: Number = 1e-8) -> Transform:
    """Replace the norm of each tensor's gradient by a ratio of running averages of that norm.

    With n the norm of a tensor's gradient and k the number of steps,

        μ = gamma1 · μ + (1 - gamma1) · n,   ν = gamma2 · ν + (1 - gamma2) · n²
        g <- g / n · μ̂ / (sqrt(ν̂) + eps),   μ̂ = μ / (1 - gamma1^k),   ν̂ = ν / (1 - gamma2^k)

    A zero gradient stays zero, and its norm enters the averages. As long as all norms are below eps, so is μ̂
    / (sqrt(ν̂) + eps) of the order of norm / eps. A norm that is infinite or NaN, or overflows, makes the
    tensor NaN at this step and at all later ones. Other tensors are not touched.

    Args:
        gamma1: decay of the average norm, in [0, 1).
        gamma2: decay of the average squared norm, in [0, 1).
        eps: added to the root [gradient units], >= 0.

    Raises:
        ValueError: a constant is out of range.

    Reference: "Stable-SPAM: How to Train in 4-Bit More Stably than 16-Bit Adam", arXiv:2502.17055 v1, 2025,
        AdaGN, as in the official code.
    Differs from the reference: nothing; the momentum restart that the official code adds is `stable_spam`.

    Example:
        >>> import torch
        >>> from trainers import make_transform
        >>> transform = make_transform("adagn")
        >>> state = transform.init({"weight": torch.zeros(2)})
        >>> for size in (1.0, 1.0, 1000.0):
        ...     grads = {"weight": size * torch.tensor([0.6, 0.8])}
        ...     out, state = transform.update(grads, state, params=grads)
        >>> out["weight"]
        tensor([0.4516, 0.6021])
    """
    check_range("adagn", 0.0, 1.0, open_high=True, gamma1=gamma1, gamma2=gamma2)
    check_range("adagn", 0.0, eps=eps)

    def init(params: Tensors) -> State:
        zeros = torch.zeros_like(tensor_norms(params))
        return {
            "mean": zeros,
            "square": zeros.clone(),
            "count": torch.zeros_like(zeros[0], dtype=torch.float64),
        }

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        count = state["count"] + 1
        out, mean, square = with_average_norms(
            grads, state["mean"], state["square"], gamma1, gamma2, eps, count
        )
        return out, {"mean": mean, "square": square, "count": count}

    return Transform(init=init, update=update)


def with_average_norms(
    grads: Tensors, mean: Tensor, square: Tensor, gamma1: Number, gamma2: Number, eps: Number, count: Tensor
) -> tuple[Tensors, Tensor, Tensor]:
    """One step of AdaGN: the gradients, the average norms and the average squared norms of all tensors."""
    norms = tensor_norms(grads)
    mean = gamma1 * mean + (1 - gamma1) * norms
    square = gamma2 * square + (1 - gamma2) * norms**2
    top = mean / (1 - gamma1**count).to(mean.dtype)
    bottom = square / (1 - gamma2**count).to(square.dtype)
    ratio = top / (torch.sqrt(bottom) + eps)
    return scaled(grads, torch.where(norms == 0, torch.ones_like(norms), ratio / norms)), mean, square
