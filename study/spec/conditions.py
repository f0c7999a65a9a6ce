"""Conditions: what of the budget a study varies, all combinations of which are settings of their own."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from itertools import product
from typing import Any

from trainers.budget import Budget
from trainers.naming import nearest, short

VARIABLE = ("loss_scale", "spike_size", "spike_probability", "precision")
"""Keys of the budget that may be varied: what stresses training. What training costs (steps, batch size) is equal for all cells of a study."""

Axes = tuple[tuple[str, tuple[Any, ...]], ...]
"""Each varied key with its values, in the spec's order."""


@dataclasses.dataclass(frozen=True)
class Condition:
    """One combination of varied values.

    Attributes:
        varied: the keys and values that make it differ; nothing in a study that varies nothing.
    """

    varied: tuple[tuple[str, Any], ...]
    budget: Budget

    @property
    def label(self) -> str:
        """`loss_scale=0.01`, or nothing."""
        return named(dict(self.varied))


def read_axes(value: Any) -> Axes:
    """The axes of a spec's `conditions`.

    Raises:
        ValueError: not a mapping of variable keys to lists without repetition.
    """
    if isinstance(value, tuple):
        return value
    if not isinstance(value, Mapping):
        raise ValueError(
            f"wanted keys of the budget with a list of values each; keys that may be varied: {', '.join(VARIABLE)}"
        )
    axes = []
    for key, values in value.items():
        if key not in VARIABLE:
            raise ValueError(
                f"unknown key {short(key)}; keys of the budget that may be varied: {', '.join(VARIABLE)}{nearest(str(key), VARIABLE)}"
            )
        found = values if isinstance(values, list) else [values]
        if not found:
            raise ValueError(f"{key} is empty; give at least one value")
        for at, one in enumerate(found):
            wanted = "a name" if key == "precision" else "a number"
            if isinstance(one, bool) or not isinstance(one, str if key == "precision" else (int, float)):
                raise ValueError(f"{key}[{at}] is {short(one)}; wanted {wanted}")
            if isinstance(one, int) and abs(one) >= 2**63:
                raise ValueError(f"{key}[{at}] is {short(one)}; wanted a number below 2^63")
        for one, times in Counter(found).items():
            if times > 1:
                raise ValueError(f"{key} has {short(one)} twice; each value may stand once")
        axes.append((str(key), tuple(one if isinstance(one, str) else float(one) for one in found)))
    return tuple(axes)


def conditions(budget: Budget, axes: Axes) -> tuple[Condition, ...]:
    """All combinations of the varied values, each as a budget.

    Raises:
        ValueError: a value is not one that the budget may have.
    """
    keys, values = [key for key, _ in axes], [each for _, each in axes]
    varied = [tuple(zip(keys, chosen, strict=True)) for chosen in product(*values)]
    return tuple(Condition(one, dataclasses.replace(budget, **dict(one))) for one in varied)


def named(chosen: Mapping[str, Any]) -> str:
    """`loss_scale=0.01, spike_size=1000`."""
    return ", ".join(
        f"{key}={value:g}" if isinstance(value, (int, float)) else f"{key}={value}"
        for key, value in chosen.items()
    )
