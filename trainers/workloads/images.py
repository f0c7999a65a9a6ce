"""Image classification."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
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
    Differs from the reference: evaluation is on every fourth example of that part, not on other writers, and
        pixels are standardised.
    """
    check_range("digits", 0.0, 1.0, label_smoothing=label_smoothing)
    table = digits_table()
    x = torch.tensor(table[:, :-1], dtype=torch.float32).unflatten(1, (1, 8, 8)) / 16.0
    y = torch.tensor(table[:, -1], dtype=torch.int64)
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


def digits_table() -> np.ndarray:
    """Scikit-learn's table of digits: 64 pixels from 0 to 16, and the class.

    Importing that library takes 1.3 s, in every process, and reading its file 0.1 s.
    """
    found = find_spec("sklearn")
    for place in (found and found.submodule_search_locations) or ():
        file = Path(place, "datasets", "data", "digits.csv.gz")
        if file.is_file():
            return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.column_stack([bunch.data, bunch.target])


def is_right(logits: Tensor, target: Tensor) -> Tensor:
    """1 where the largest logit is the target's, else 0; NaN logits are never right."""
    # Of the same numbers `argmax` takes five times as long.
    right = logits.mT.max(-2).indices == target
    return (right & torch.isfinite(logits).all(-1)).to(logits.dtype)
