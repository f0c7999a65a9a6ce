"""GradientStabilizer."""

from __future__ import annotations

import torch

from trainers.naming import check_range
from trainers.transforms.base import Number, State, Tensors, Transform, scaled, tensor_norms


def gradient_stabilizer(
    gamma1: Number = 0.6,
    gamma2: Number = 0.999,
    eps: Number = 1e-12,
    *,
    bias_correction: bool = True,
    per_tensor: bool = True,
) -> Transform:
    """Keep each tensor's gradient direction and replace its norm by a ratio of running averages of that norm.

    With R_t the norm of a tensor's gradient and k the number of its successful updates,

        m = gamma1 · m + (1 - gamma1) · R,   v = gamma2 · v + (1 - gamma2) · R²
        rho = [m / (1 - gamma1^k)] / (sqrt(v / (1 - gamma2^k)) + eps),   g <- rho · g / max(R, eps)

    A tensor whose R is zero or not finite is left as it is and its averages do not move (so a NaN reaches the
    optimizer). rho is not bounded by 1: after a long calm a spike step gets up to (1 - gamma1) / sqrt(1 -
    gamma2), 12.65 at the defaults.

    Args:
        gamma1: decay of the average norm, in [0, 1).
        gamma2: decay of the average squared norm, in [0, 1).
        eps: smallest divisor, > 0.
        bias_correction: True as in the official code; False as Algorithm 1 is printed.
        per_tensor: True as in the official code; False uses the one norm over all tensors.

    Raises:
        ValueError: a constant is out of range.

    Reference: "GradientStabilizer", arXiv:2502.17055 v4, 2026, Algorithm 1, with the granularity, bias
        correction, eps and skipping rule of the official code.
    Differs from the reference: nothing by default; Algorithm 1 prints no bias correction
        (`bias_correction=False`).

    Example:
        >>> import torch
        >>> from trainers import make_transform
        >>> transform = make_transform("gradient_stabilizer")
        >>> state = transform.init({"weight": torch.zeros(2)})
        >>> for size in (1.0, 1.0, 1000.0):
        ...     grads = {"weight": size * torch.tensor([0.6, 0.8])}
        ...     out, state = transform.update(grads, state, params=grads)
        >>> out["weight"]
        tensor([0.5305, 0.7073])
    """
    check_range("gradient_stabilizer", 0.0, 1.0, open_high=True, gamma1=gamma1, gamma2=gamma2)
    check_range("gradient_stabilizer", 0.0, open_low=True, eps=eps)

    def norms_of(grads: Tensors) -> torch.Tensor:
        norms = tensor_norms(grads)
        return norms if per_tensor else torch.linalg.vector_norm(norms)

    def init(params: Tensors) -> State:
        zeros = torch.zeros_like(norms_of(params))
        # The count is float64, because powers of a float32 one are visibly wrong in the bias corrections.
        return {"mean": zeros, "square": zeros.clone(), "count": zeros.to(torch.float64)}

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        norms = norms_of(grads)
        usable = torch.isfinite(norms) & (norms > 0)
        count = state["count"] + 1
        mean = gamma1 * state["mean"] + (1 - gamma1) * norms
        square = gamma2 * state["square"] + (1 - gamma2) * norms**2
        top, bottom = mean, square
        if bias_correction:
            top = mean / (1 - gamma1**count).to(mean.dtype)
            bottom = square / (1 - gamma2**count).to(mean.dtype)
        rho = top / (torch.sqrt(bottom) + eps)
        factor = torch.where(usable, rho / torch.clamp(norms, min=eps), torch.ones_like(norms))
        state = {
            "mean": torch.where(usable, mean, state["mean"]),
            "square": torch.where(usable, square, state["square"]),
            "count": torch.where(usable, count, state["count"]),
        }
        return scaled(grads, factor), state

    return Transform(init=init, update=update)
