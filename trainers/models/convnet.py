"""A small convolutional net with BatchNorm."""

from __future__ import annotations

import itertools

from torch import nn


def convnet(
    shape: tuple[int, ...], outputs: int, channels: tuple[int, ...] | list[int] = (8, 16, 32)
) -> nn.Module:
    """Blocks of 3x3 convolution, BatchNorm and ReLU, which halve the map, global mean and a linear layer.

    Args:
        shape: (channels, height, width) of one example.
        outputs: number of logits.
        channels: channels of each block.
    """
    widths = [shape[0], *channels]
    layers: list[nn.Module] = []
    for k, (before, after) in enumerate(itertools.pairwise(widths)):
        layers += [
            nn.Conv2d(before, after, 3, stride=1 if k == 0 else 2, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], outputs))
