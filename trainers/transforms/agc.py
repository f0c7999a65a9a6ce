"""Adaptive gradient clipping (AGC)."""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.naming import check_range
from trainers.transforms.base import Number, State, Tensors, Transform, stateless, widened


def agc(clip_factor: Number = 0.01, eps: Number = 1e-3, grad_eps: Number = 1e-6) -> Transform:
    """Keep each output unit's gradient norm below a fraction of the unit's weight norm.

    With G_i and W_i the gradient and the weights of unit i and L_i = clip_factor · max(||W_i||, eps),

        G_i <- G_i                                    if ||G_i|| < L_i
        G_i <- G_i · L_i / max(||G_i||, grad_eps)     otherwise

    A unit is one index of the first dimension; a tensor with at most one dimension is one unit. Zero, tiny
    and subnormal gradients pass unchanged. A norm that is infinite, or overflows, makes its unit 0 where it
    is finite and NaN where it is infinite; a NaN makes its unit NaN. Other units are not touched.

    Args:
        clip_factor: largest ratio of gradient norm to weight norm, >= 0.
        eps: smallest weight norm, so that zero-initialised units can move [parameter units], > 0.
        grad_eps: smallest gradient norm that is divided by [gradient units], > 0.

    Raises:
        ValueError: a constant is out of range.

    Reference: Brock, De, Smith, Simonyan, "High-Performance Large-Scale Image Recognition Without
        Normalization", 2021, eq. 3, as timm and optax implement it.
    Differs from the reference: the paper leaves the final linear layer out; here, as in the functions of timm
        and optax, no tensor is left out.

    Example:
        >>> import torch
        >>> from trainers import make_transform
        >>> transform = make_transform("agc", clip_factor=0.5)
        >>> params = {"weight": torch.tensor([[1.0, 0.0], [0.0, 1.0]])}
        >>> grads = {"weight": torch.tensor([[3.0, 4.0], [0.1, 0.2]])}
        >>> out, state = transform.update(grads, transform.init(params), params)
        >>> out["weight"]
        tensor([[0.3000, 0.4000],
                [0.1000, 0.2000]])
    """
    check_range("agc", 0.0, clip_factor=clip_factor)
    check_range("agc", 0.0, open_low=True, eps=eps, grad_eps=grad_eps)

    def clipped(g: Tensor, weight: Tensor) -> Tensor:
        limit = clip_factor * torch.clamp(unit_norms(weight), min=eps)
        norm = unit_norms(g)
        factor = torch.where(norm < limit, torch.ones_like(norm), limit / torch.clamp(norm, min=grad_eps))
        return g * factor.to(g.dtype)

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        return {name: clipped(g, params[name]) for name, g in grads.items()}, state

    return Transform(init=stateless, update=update)


def unit_norms(tensor: Tensor) -> Tensor:
    """Euclidean norm over all dimensions but the first, kept as ones; in at least float32."""
    wide = widened(tensor)
    # Kept dimensions let a unit's norm broadcast over its entries.
    rest = tuple(range(1, wide.dim()))
    norms: Tensor = torch.linalg.vector_norm(wide, dim=rest or None, keepdim=bool(rest))
    return norms
