"""Workloads: factories `(model, model_name, **constants) -> Workload`, one row per name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from trainers.control.environments import ENVIRONMENTS
from trainers.models import model_factory
from trainers.naming import check_keywords, look_up
from trainers.workloads.arrays import arrays
from trainers.workloads.base import Workload
from trainers.workloads.cifar import cifar10, cifar100
from trainers.workloads.control import control
from trainers.workloads.folder import image_folder
from trainers.workloads.images import digits
from trainers.workloads.series import series
from trainers.workloads.smooth import logistic, quadratic
from trainers.workloads.synthetic import synthetic
from trainers.workloads.text import text

WORKLOADS: dict[str, Callable[..., Workload]] = {
    "digits": digits,
    "synthetic": synthetic,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "image_folder": image_folder,
    "arrays": arrays,
    "text": text,
    "quadratic": quadratic,
    "logistic": logistic,
    "series": series,
    "cartpole": partial(control, ENVIRONMENTS["cartpole"]),
    "pendulum": partial(control, ENVIRONMENTS["pendulum"]),
    "acrobot": partial(control, ENVIRONMENTS["acrobot"]),
    "mountain_car": partial(control, ENVIRONMENTS["mountain_car"]),
}


def make_workload(
    name: str, model: str, model_constants: Mapping[str, Any] | None = None, **constants: Any
) -> Workload:
    """The workload of that name with a model of that name; its own name is `name/model`.

    Raises:
        ValueError: unknown name. TypeError: unknown constant.
    """
    factory = look_up("workload", name, WORKLOADS)
    check_keywords(f"workload {name!r}", constants, inspect.signature(factory), skip=2)
    return factory(model_factory(model, **(model_constants or {})), model, **constants)


__all__ = ["WORKLOADS", "Workload", "make_workload"]
