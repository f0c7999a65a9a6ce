"""A multilayer perceptron."""

from __future__ import annotations

import itertools
import math

from torch import nn

from trainers.naming import check_range


def mlp(
    shape: tuple[int, ...], outputs: int, hidden: tuple[int, ...] | list[int] = (64, 64), dropout: float = 0.0
) -> nn.Module:
    """Flatten, then linear layers with ReLU between them, initialised as PyTorch does.

    Args:
        shape: shape of one example.
        outputs: number of logits.
        hidden: widths of the hidden layers.
        dropout: probability of dropping a hidden unit, in [0, 1].

    Raises:
        ValueError: `dropout` is out of range.
    """
    check_range("mlp", 0.0, 1.0, dropout=dropout)
    widths = [math.prod(shape), *hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers, nn.Linear(widths[-1], outputs))
