"""Image classification."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from trainers.naming import check_range
from trainers.workloads.base import Workload
from trainers.workloads.cross_entropy import cross_entropy


def digits(
    model: Callable[[tuple[int, ...], int], nn.Module], model_name: str, label_smoothing: float = 0.0
) -> Workload:
    """The 1,797 scanned digits (8 x 8, ten classes) that come with scikit-learn.

    Every fourth one is for evaluation.

    Args:
        model: builds a network from the shape of an example and the number of classes.
        model_name: the name of that network.
        label_smoothing: share of the target that is spread over all classes, in [0, 1].

    Raises:
        ValueError: `label_smoothing` is out of range.

    Reference: Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
        1998 (its test part).
    """
    check_range("digits", 0.0, 1.0, label_smoothing=label_smoothing)
    # Here, because all other workloads run without scikit-learn.
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = torch.tensor(bunch.images, dtype=torch.float32).unsqueeze(1) / 16.0
    y = torch.tensor(bunch.target, dtype=torch.int64)
    held_out = torch.arange(len(y)) % 4 == 3
    mean, std = x[~held_out].mean(), x[~held_out].std()
    x = (x - mean) / std
    return Workload(
        name=f"digits/{model_name}",
        build=lambda: model((1, 8, 8), 10),
        train_x=x[~held_out],
        train_y=y[~held_out],
        eval_x=x[held_out],
        eval_y=y[held_out],
        loss=partial(cross_entropy, label_smoothing=label_smoothing),
        score=is_right,
        metric_name="accuracy",
        higher_is_better=True,
        chance=0.1,
    )


def is_right(logits: Tensor, target: Tensor) -> Tensor:
    """1 where the largest logit is the target's, else 0; NaN logits are never right."""
    # Of the same numbers `argmax` takes five times as long.
    right = logits.mT.max(-2).indices == target
    return (right & torch.isfinite(logits).all(-1)).to(logits.dtype)
