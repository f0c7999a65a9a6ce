"""Classification of the rows of a table of numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from trainers.naming import check_range
from trainers.workloads.base import Workload
from trainers.workloads.cross_entropy import cross_entropy
from trainers.workloads.images import is_right


def check_table(array: Any) -> Tensor:
    """The numbers of a table [N, features] in float64.

    Raises:
        ValueError: some are not finite.
    """
    table = torch.from_numpy(array.astype("float64"))
    bad = int((~torch.isfinite(table)).sum())
    if bad:
        raise ValueError(f"holds {bad} numbers that are not finite; fill them in, or leave their rows out")
    return table


def normalised(table: Tensor, train: Tensor) -> Tensor:
    """(x - mean) / deviation per column, by those of the training rows; of a constant column x - mean.

    Raises:
        ValueError: the numbers of a column are too large for a deviation.
    """
    mean, deviation = train.mean(0), train.std(0, correction=0)
    if not torch.isfinite(deviation).all():
        column = int((~torch.isfinite(deviation)).nonzero()[0])
        raise ValueError(f"the numbers of column {column} are too large; scale them")
    return ((table - mean) / torch.where(deviation > 0, deviation, 1.0)).float()


def table_workload(
    name: str,
    model: Callable[[tuple[int, ...], int], nn.Module],
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    classes: int,
    label_smoothing: float,
) -> Workload:
    """A workload of rows of numbers, normalised by the training rows.

    The loss is cross-entropy with `label_smoothing`; the metric is accuracy, its chance level that of
    guessing evenly.

    Raises:
        ValueError: `label_smoothing` is out of range, or the model takes images.
    """
    check_range(name, 0.0, 1.0, label_smoothing=label_smoothing)
    train_x, eval_x = normalised(train[0], train[0]), normalised(test[0], train[0])
    shape = tuple(train_x.shape[1:])
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            model(shape, classes).eval()(train_x[:2])
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        words = next(iter(str(error).splitlines()), "")[:100]
        raise ValueError(
            f"{name}: the model cannot take rows of {shape[0]} numbers ({words}); take one for tables, "
            "such as mlp or linear"
        ) from None
    return Workload(
        name=name,
        build=lambda: model(shape, classes),
        train_x=train_x,
        train_y=train[1],
        eval_x=eval_x,
        eval_y=test[1],
        loss=partial(cross_entropy, label_smoothing=label_smoothing),
        score=is_right,
        metric_name="accuracy",
        higher_is_better=True,
        chance=1 / classes,
    )
