"""Clipping by the global norm."""

from __future__ import annotations

import torch

from trainers.naming import check_range
from trainers.transforms.base import Number, State, Tensors, Transform, global_norm, scaled, stateless


def clip_norm(max_norm: Number = 1.0) -> Transform:
    """Scale all gradients together so that their global norm is at most `max_norm`.

    g <- g · min(1, max_norm / (N + 1e-6)), N the Euclidean norm over all tensors. A zero gradient stays zero.
    An infinite norm gives the factor 0, so finite entries become 0 and infinite ones NaN; a NaN norm makes
    everything NaN.

    Args:
        max_norm: largest global norm [gradient units], >= 0.

    Raises:
        ValueError: `max_norm` is negative.

    Reference: Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", 2013,
        Algorithm 1, as `torch.nn.utils.clip_grad_norm_` implements it.
    Differs from the reference: nothing.

    Example:
        >>> import torch
        >>> from trainers import make_transform
        >>> transform = make_transform("clip_norm", max_norm=1.0)
        >>> grads = {"weight": torch.tensor([[3.0, 4.0]])}
        >>> out, state = transform.update(grads, transform.init(grads), params=grads)
        >>> out["weight"]
        tensor([[0.6000, 0.8000]])
    """
    check_range("clip_norm", 0.0, max_norm=max_norm)

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        # 1e-6 is the constant of `clip_grad_norm_`; with it a zero norm gives a finite factor.
        return scaled(grads, torch.clamp(max_norm / (global_norm(grads) + 1e-6), max=1.0)), state

    return Transform(init=stateless, update=update)
