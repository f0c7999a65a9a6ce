"""Clipping entry by entry."""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.naming import check_range
from trainers.transforms.base import Number, State, Tensors, Transform, stateless


def clip_value(max_value: Number = 0.1) -> Transform:
    """Bring every entry of every gradient into [-max_value, max_value].

    g_i <- min(max(g_i, -max_value), max_value). Zero, tiny and subnormal entries pass unchanged; a huge or
    infinite entry becomes ±max_value; a NaN entry stays NaN and leaves the others alone.

    Args:
        max_value: largest absolute value of an entry [gradient units], >= 0.

    Raises:
        ValueError: `max_value` is negative.

    Reference: `torch.nn.utils.clip_grad_value_`; 0.1 is the threshold of the baseline in
        "GradientStabilizer", arXiv:2502.17055 v4, 2026, section 4.
    Differs from the reference: nothing.

    Example:
        >>> import torch
        >>> from trainers import make_transform
        >>> transform = make_transform("clip_value", max_value=3.5)
        >>> grads = {"weight": torch.tensor([[3.0, 4.0]])}
        >>> out, state = transform.update(grads, transform.init(grads), params=grads)
        >>> out["weight"]
        tensor([[3.0000, 3.5000]])
    """
    check_range("clip_value", 0.0, max_value=max_value)

    def clipped(g: Tensor) -> Tensor:
        bound = torch.as_tensor(max_value, dtype=g.dtype, device=g.device)
        return torch.clamp(g, -bound, bound)

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        return {name: clipped(g) for name, g in grads.items()}, state

    return Transform(init=stateless, update=update)
