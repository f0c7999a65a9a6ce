"""A transform's state inside of `optimizer.state_dict()`."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, optim

from trainers.attachment.gradients import named_parameters, whole
from trainers.naming import short
from trainers.transforms.base import State, Transform

KEY = "gradient_transform"
"""Key of the transform's state in `optimizer.state_dict()`."""


def snapshot(transform: Transform, names: list[str], state: State | None) -> dict[str, Any]:
    """What is saved under `KEY`: tensors and text, which `torch.load(weights_only=True)` takes."""
    return {
        "name": transform.name,
        "names": list(names),
        "state": dict(state or {}),
        "constants": constants_of(transform),
    }


def restored(
    state_dict: dict[str, Any], transform: Transform, optimizer: optim.Optimizer
) -> tuple[list[str], State | None]:
    """The names and the state of a snapshot; warns if it was made with other constants.

    Raises:
        ValueError: it is absent, or of another transform, other parameters or other shapes.
    """
    mine = f"transform {transform.name!r}"
    if KEY not in state_dict:
        raise ValueError(
            f"the loaded state_dict has no {KEY!r}; wanted the state of {mine}; "
            "load it before attach() to begin with a new transform, or to give its own to the new handle"
        )
    saved = state_dict[KEY]
    if saved["name"] != transform.name:
        raise ValueError(
            f"the loaded state is of transform {saved['name']!r}; wanted {mine}; "
            "attach that one before loading"
        )
    named = named_parameters(optimizer)
    absent = [name for name in saved["names"] if name not in named]
    if absent:
        raise ValueError(
            f"the loaded state of {mine} belongs to parameters {', '.join(absent)}, "
            "which the optimizer lacks; build it with the same groups"
        )
    with torch.no_grad():
        params = whole({name: named[name].detach() for name in saved["names"]})
        fresh = transform.init(params) if params else {}
    found, wanted = shapes(saved["state"]), shapes(fresh)
    if found != wanted:
        raise ValueError(
            f"the loaded state of {mine} has shapes {found}; wanted {wanted}; "
            "build model and transform as they were when it was saved"
        )
    tell_other_constants(saved, transform)
    state = {key: t.to(fresh[key].device) for key, t in saved["state"].items()}
    return list(params), state if params else None


def tell_other_constants(saved: dict[str, Any], transform: Transform) -> None:
    """Warn if a state was made with other constants than the transform has."""
    # States saved before constants were say nothing about them.
    then, now = saved.get("constants", constants_of(transform)), constants_of(transform)
    changed = [
        f"{name} = {then.get(name, 'absent')} (now {now.get(name, 'absent')})"
        for name in sorted(then.keys() | now.keys())
        if then.get(name) != now.get(name)
    ]
    if changed:
        warnings.warn(
            f"the loaded state of transform {transform.name!r} was made with {', '.join(changed)}; it goes "
            "on with the constants of now; attach a transform with those of then to continue the same run",
            stacklevel=7,
        )


def warn_of_another_set(transform: Transform, before: list[str], now: list[str]) -> None:
    """Warn that a state is lost, because other parameters than before have gradients."""
    more, less = sorted(set(now) - set(before)), sorted(set(before) - set(now))
    found = "; ".join(
        f"{word} have a gradient: {', '.join(those)}"
        for word, those in (("now", more), ("no longer", less))
        if those
    )
    advice = "where two sets take turns, give each an optimizer and an attach() of its own"
    warnings.warn(f"transform {transform.name!r}: {found}; its state starts afresh; {advice}", stacklevel=7)


def constants_of(transform: Transform) -> dict[str, str]:
    """The constants as text, equal numbers in equal words."""
    return {name: text_of(value) for name, value in transform.constants.items()}


def text_of(value: Any) -> str:
    """A constant as text; a whole number is the same text as int, float and tensor."""
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    # 1 and 1.0 are the same constant.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return short(value)


def shapes(state: State) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a state."""
    return {key: tuple(t.shape) for key, t in state.items()}
