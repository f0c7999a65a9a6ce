"""Synthetic data, for tests and measurements without a data library."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from trainers.naming import check_range
from trainers.workloads.base import Workload, derived_seed
from trainers.workloads.cross_entropy import cross_entropy
from trainers.workloads.images import is_right

DISTANCE = 4.0
"""Expected distance between two centres [deviations of the noise]: classes overlap a little in any shape."""


def synthetic(
    model: Callable[[tuple[int, ...], int], nn.Module],
    model_name: str,
    shape: tuple[int, ...] | list[int] = (1, 8, 8),
    classes: int = 10,
    examples: int = 2048,
    seed: int = 0,
) -> Workload:
    """Gaussian clusters, one per class, with the shape of images; every fourth example is for evaluation.

        x = DISTANCE / sqrt(2 D) · centre[y] + noise

    Centres and noise are standard normal, and an example has D numbers.

    Args:
        model: builds a network from the shape of an example and the number of classes.
        model_name: the name of that network.
        shape: shape of one example.
        classes: number of clusters, >= 2; equally frequent up to one example.
        examples: examples in all, >= 4.
        seed: decides the data, and nothing else.

    Raises:
        ValueError: a constant is out of range.

    Reference: none.
    """
    check_range("synthetic", 2, classes=classes)
    check_range("synthetic", 4, examples=examples)
    shape, sizes = tuple(shape), dict[str, Any]((f"shape[{k}]", size) for k, size in enumerate(shape))
    check_range("synthetic", 1, **sizes)
    generator = torch.Generator().manual_seed(derived_seed(seed, "synthetic data"))
    centres = torch.randn(classes, *shape, generator=generator) * DISTANCE / math.sqrt(2 * math.prod(shape))
    y = (torch.arange(examples) % classes)[torch.randperm(examples, generator=generator)]
    x = centres[y] + torch.randn(examples, *shape, generator=generator)
    held_out = torch.arange(examples) % 4 == 3
    return Workload(
        name=f"synthetic/{model_name}",
        build=lambda: model(shape, classes),
        train_x=x[~held_out],
        train_y=y[~held_out],
        eval_x=x[held_out],
        eval_y=y[held_out],
        loss=cross_entropy,
        score=is_right,
        metric_name="accuracy",
        higher_is_better=True,
        chance=1 / classes,
    )
