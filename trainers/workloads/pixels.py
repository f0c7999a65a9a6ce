"""Image classification from bytes: subsets, normalisation, and the workload that they make."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainers.naming import check_range, short
from trainers.workloads.augmentation import Augmentation
from trainers.workloads.base import Stored, Workload, derived_seed
from trainers.workloads.cross_entropy import cross_entropy
from trainers.workloads.images import is_right

DATA = "STABILITY_STUDY_DATA"
"""Environment variable that names where relative paths of data begin; without it, the current folder."""


def place(path: str) -> Path:
    """Where data lie on this machine.

    A relative path in a spec is the same study on machines that keep data in different folders.
    """
    return Path(os.environ.get(DATA, "")).expanduser() / Path(path).expanduser()


def subset(owner: str, key: str, wanted: int | None, there: int) -> Tensor:
    """Indices of `wanted` examples in order, drawn without replacement, the same for everybody.

    A smaller subset is part of a larger one.

    Raises:
        ValueError: not a whole number of [1, there].
    """
    if wanted is None:
        return torch.arange(there)
    if isinstance(wanted, bool) or not isinstance(wanted, int):
        raise ValueError(
            f"{owner}: {key} is {short(wanted)}; wanted a whole number, or nothing for all {there}"
        )
    check_range(owner, 1, there, **dict[str, Any]({key: wanted}))
    generator = torch.Generator().manual_seed(derived_seed(0, f"subset of {there}"))
    return torch.randperm(there, generator=generator)[:wanted].sort().values


def statistics(x: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of bytes [N, channels, H, W], in [0, 1].

    The deviation of a channel whose pixels are all equal is given as 1, because it is divided by.
    """
    # From counts of the 256 values, which needs no copy of the images in floating point.
    level = torch.arange(256, dtype=torch.float64) / 255
    count = torch.stack(
        [torch.bincount(x[:, c].flatten(), minlength=256) for c in range(x.shape[1])]
    ).double()
    share = count / count.sum(1, keepdim=True)
    mean = share @ level
    deviation = ((level - mean[:, None]).square() * share).sum(1).sqrt()
    return tuple(mean.tolist()), tuple(torch.where(deviation > 0, deviation, 1.0).tolist())


def normalised(x: Tensor, dtype: torch.dtype, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """(x / 255 - mean) / std per channel, of bytes [B, channels, H, W]."""
    centre, spread = constants_on(mean, std, dtype, x.device)
    out: Tensor = (x.to(dtype) / 255 - centre) / spread
    return out


@cache
def constants_on(
    mean: tuple[float, ...], std: tuple[float, ...], dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Both as [2, 1, channels, 1, 1]; once per device, so that no step waits for them."""
    return torch.tensor([mean, std], dtype=dtype, device=device)[:, None, :, None, None]


def pixel_workload(
    name: str,
    model: Callable[[tuple[int, ...], int], nn.Module],
    train: tuple[Tensor | Stored, Tensor],
    test: tuple[Tensor | Stored, Tensor],
    shape: tuple[int, ...],
    classes: int,
    augmentation: Augmentation,
    label_smoothing: float,
    mean: Sequence[float],
    std: Sequence[float],
) -> Workload:
    """A workload of bytes, which are augmented and normalised on the device, batch by batch.

    The loss is cross-entropy with `label_smoothing`, of classes or of CutMix's shares of them; the metric is
    accuracy, its chance level that of guessing evenly.

    Raises:
        ValueError: `label_smoothing` is out of range.
    """
    check_range(name, 0.0, 1.0, label_smoothing=label_smoothing)
    return Workload(
        name=name,
        build=lambda: model(shape, classes),
        train_x=train[0],
        train_y=train[1],
        eval_x=test[0],
        eval_y=test[1],
        loss=partial(cross_entropy, label_smoothing=label_smoothing),
        score=is_right,
        metric_name="accuracy",
        higher_is_better=True,
        chance=1 / classes,
        prepare=partial(normalised, mean=tuple(mean), std=tuple(std)),
        augment=augmentation if augmentation.active else None,
    )
