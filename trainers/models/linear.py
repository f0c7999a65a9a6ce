"""One linear layer."""

from __future__ import annotations

import math

from torch import nn


def linear(shape: tuple[int, ...], outputs: int, *, bias: bool = True) -> nn.Module:
    """Flatten, then one linear layer, initialised as PyTorch does.

    Args:
        shape: shape of one example.
        outputs: number of logits.
        bias: whether there is one.

    Reference: none; with cross-entropy it is multinomial logistic regression.
    """
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), outputs, bias=bias))
