"""Gradients of norm one: the control for every method that rescales by a norm."""

from __future__ import annotations

import torch

from trainers.naming import check_range
from trainers.transforms.base import Number, State, Tensors, Transform, scaled, stateless, tensor_norms


def unit_norm(eps: Number = 1e-12, *, per_tensor: bool = True) -> Transform:
    """Scale each tensor's gradient to Euclidean norm 1.

    g <- g / max(||g||, eps), per tensor, or over all tensors together. A zero gradient stays zero. An
    infinite entry gives NaN at that entry and 0 elsewhere; a NaN makes the tensor NaN.

    Args:
        eps: smallest norm that is divided by [gradient units], > 0.
        per_tensor: False divides all tensors by the one global norm.

    Raises:
        ValueError: `eps` is not positive.

    Reference: Cutkosky, Mehta, "Momentum Improves Normalized SGD", 2020, without the momentum; the per-tensor
        form is the limit of `gradient_stabilizer` when gradient norms do not vary.
    Differs from the reference: per tensor by default.

    Example:
        >>> import torch
        >>> from trainers import make_transform
        >>> transform = make_transform("unit_norm")
        >>> grads = {"weight": torch.tensor([[3.0, 4.0]])}
        >>> out, state = transform.update(grads, transform.init(grads), params=grads)
        >>> out["weight"]
        tensor([[0.6000, 0.8000]])
    """
    check_range("unit_norm", 0.0, open_low=True, eps=eps)

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        norms = tensor_norms(grads)
        if not per_tensor:
            norms = torch.linalg.vector_norm(norms)
        floor = torch.as_tensor(eps, dtype=norms.dtype, device=norms.device)
        # `where` says outright that a NaN norm stays NaN, because NaN < floor is False.
        return scaled(grads, 1.0 / torch.where(norms < floor, floor, norms)), state

    return Transform(init=stateless, update=update)
