"""The baseline: gradients as they are."""

from __future__ import annotations

from trainers.transforms.base import Transform, stateless


def none() -> Transform:
    """Leave gradients as they are: g <- g.

    Zero, huge and non-finite gradients pass unchanged.

    Reference: none; the baseline that every other transform is compared with.

    Example:
        >>> import torch
        >>> from trainers import make_transform
        >>> transform = make_transform("none")
        >>> grads = {"weight": torch.tensor([[3.0, 4.0]])}
        >>> out, state = transform.update(grads, transform.init(grads), params=grads)
        >>> out["weight"]
        tensor([[3., 4.]])
    """
    return Transform(init=stateless, update=lambda grads, state, params: (dict(grads), state))
