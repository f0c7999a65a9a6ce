"""What a choice stands for: a method of the trainers' tables or the user's own, called with constants."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from study.spec.method_choice import Choice
from study.spec.names import KINDS
from study.spec.user_code import returns
from trainers.naming import check_keywords, look_up

if TYPE_CHECKING:
    from torch import nn

    from trainers import Optimizer, Transform, Workload


def transform_of(choice: Choice) -> Transform:
    """The transform of a choice, with its name and constants noted on it."""
    from trainers.transforms import TRANSFORMS, Transform
    from trainers.transforms.base import build

    return build(choice.name, _factory("transform", choice, TRANSFORMS, Transform), **choice.keywords())


def optimizer_of(choice: Choice) -> Optimizer:
    """The optimizer of a choice."""
    from trainers.optimizers import OPTIMIZERS, Optimizer

    made: Optimizer = _factory("optimizer", choice, OPTIMIZERS, Optimizer)(**choice.keywords())
    return made


def model_of(choice: Choice) -> Callable[[tuple[int, ...], int], nn.Module]:
    """A function that builds an untrained network from the shape of an example and the number of outputs."""
    from torch import nn

    from trainers.models import MODELS

    factory = _factory("model", choice, MODELS, nn.Module)
    return lambda shape, outputs: factory(shape, outputs, **choice.keywords())


def workload_with(workload: Choice, model: Choice) -> Workload:
    """The workload of a choice, with the model of another."""
    from trainers.workloads import WORKLOADS, Workload

    factory = _factory("workload", workload, WORKLOADS, Workload)
    made: Workload = factory(model_of(model), model.name, **workload.keywords())
    return made


@cache
def workload_of(workload: Choice, model: Choice) -> Workload:
    """The workload, loaded once per process."""
    return workload_with(workload, model)


@cache
def fingerprint_of(workload: Choice, model: Choice) -> str:
    """What stands for a workload's data and network in the keys of cells; hashed once per process."""
    return workload_of(workload, model).fingerprint()


def _check_workload(choice: Choice) -> None:
    from trainers.workloads import WORKLOADS, Workload

    # Not called, unlike the others: that would load the data, which `study plan` does without.
    _factory("workload", choice, WORKLOADS, Workload)


CHECKS: dict[str, Callable[[Choice], Any]] = {
    "transform": transform_of,
    "optimizer": optimizer_of,
    "model": model_of,
    "workload": _check_workload,
}
"""Raises where constants do not fit a method.

It needs torch, so it is called only for a factory of the user's and for methods that are given constants.
"""


def _factory(
    kind: str, choice: Choice, table: dict[str, Callable[..., Any]], wanted: type[Any]
) -> Callable[..., Any]:
    """The factory of a choice, which takes its constants.

    Args:
        wanted: what a user's factory must return.

    Raises:
        ValueError: there is no such method, or its source is not that of the launch.
        TypeError: constants do not fit.
    """
    factory = returns(choice, wanted) if choice.source else look_up(kind, choice.name, table)
    # A built-in function may have no signature that Python can read.
    try:
        signature = inspect.signature(factory)
    except ValueError:
        raise ValueError(f"{choice.name}: its parameters cannot be read; wanted a Python function") from None
    leading, found = KINDS[kind].leading, signature.parameters
    if len(found) < len(leading) and not any(p.kind is p.VAR_POSITIONAL for p in found.values()):
        form = f"({', '.join(leading)}, …)"
        raise TypeError(
            f"{kind} {choice.name!r} takes {len(found)} arguments; "
            f"wanted {len(leading)} and its constants: {form}"
        )
    check_keywords(f"{kind} {choice.name!r}", choice.keywords(), signature, len(leading))
    return factory
