"""A multilayer perceptron."""

from __future__ import annotations

import itertools
import math

from torch import nn


def mlp(shape: tuple[int, ...], outputs: int, hidden: tuple[int, ...] | list[int] = (64, 64)) -> nn.Module:
    """Flatten, then linear layers with ReLU between them, initialised as PyTorch does.

    Args:
        shape: shape of one example.
        outputs: number of logits.
        hidden: widths of the hidden layers.
    """
    widths = [math.prod(shape), *hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], outputs))
