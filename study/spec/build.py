"""What a choice stands for: a method of the trainers' tables or the user's own factory, called with its constants."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from study.spec.choice import Choice
from study.spec.user_code import check_source, returns
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
    """A function that builds an untrained network of a choice from the shape of an example and the number of outputs."""
    from torch import nn

    from trainers.models import MODELS

    factory = _factory("model", choice, MODELS, nn.Module, 2)
    return lambda shape, outputs: factory(shape, outputs, **choice.keywords())


def workload_with(workload: Choice, model: Choice) -> Workload:
    """The workload of a choice, with the model of another."""
    from trainers.workloads import WORKLOADS, Workload

    made: Workload = _factory("workload", workload, WORKLOADS, Workload, 2)(
        model_of(model), model.name, **workload.keywords()
    )
    return made


@cache
def workload_of(workload: Choice, model: Choice) -> Workload:
    """The workload, loaded once per process."""
    return workload_with(workload, model)


@cache
def fingerprint_of(workload: Choice, model: Choice) -> str:
    """What stands for its data and network in the keys of cells; hashed once per process."""
    return workload_of(workload, model).fingerprint()


def _check_workload(choice: Choice) -> None:
    from trainers.workloads import WORKLOADS, Workload

    _factory("workload", choice, WORKLOADS, Workload, 2)


CHECKS: dict[str, Callable[[Choice], Any]] = {
    "transform": transform_of,
    "optimizer": optimizer_of,
    "model": model_of,
    "workload": _check_workload,
}
"""Whether constants fit a method; called only for a spec that gives some, or a factory, because it needs torch."""


def _factory(
    kind: str, choice: Choice, table: dict[str, Callable[..., Any]], wanted: type[Any], skip: int = 0
) -> Callable[..., Any]:
    """The factory of a choice, which takes its constants.

    Args:
        wanted: what a user's factory must return.
        skip: how many of its parameters are not constants.

    Raises:
        ValueError: there is no such method, or it has other source than at the launch. TypeError: constants do not fit.
    """
    if choice.source:
        check_source(choice.name, choice.source)
    factory = returns(choice.name, wanted) if choice.source else look_up(kind, choice.name, table)
    try:
        signature = inspect.signature(factory)
    except ValueError:
        raise ValueError(f"{choice.name}: its parameters cannot be read; wanted a Python function") from None
    if (
        skip
        and len(signature.parameters) < skip
        and not any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values())
    ):
        raise TypeError(
            f"{kind} {choice.name!r} takes {len(signature.parameters)} arguments; wanted {skip} and its constants: {FIRST[kind]}"
        )
    check_keywords(f"{kind} {choice.name!r}", choice.keywords(), signature, skip)
    return factory


FIRST = {"model": "(shape of an example, number of outputs, …)", "workload": "(model, model_name, …)"}
