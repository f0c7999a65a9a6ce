"""The baseline: gradients as they are."""

from __future__ import annotations

from trainers.transforms.base import Transform, stateless


def none() -> Transform:
    """Leave gradients as they are: g <- g.

    Zero, huge and non-finite gradients pass unchanged.

    Reference: none; the baseline that every other transform is compared with.
    """
    return Transform(init=stateless, update=lambda grads, state, params: (dict(grads), state))
