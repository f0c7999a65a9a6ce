"""Conditions: what of the budget a study varies. Every combination makes settings of its own."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from itertools import product
from typing import Any

from study.spec.problem import wrong
from trainers.budget import Budget
from trainers.naming import nearest, short
from trainers.schedules import constants_of

NUMBER, WHOLE, NAME = "a number", "a whole number", "a name"
STRESS: Mapping[str, str] = {
    "loss_scale": NUMBER,
    "spike_size": NUMBER,
    "spike_probability": NUMBER,
    "precision": NAME,
    "corruption": NUMBER,
    "corruption_probability": NUMBER,
    "quantization": NAME,
}
"""Keys of the budget that stress training, and what their values are."""
RECIPE: Mapping[str, str] = {"warmup": WHOLE, "steps": WHOLE, "schedule": NAME}
"""Keys of the budget that say how lr goes and how long, and what their values are."""
VARIABLE: Mapping[str, str] = {**STRESS, **RECIPE}
"""Keys of the budget that may be varied. Data and batch size are equal for all cells of a study."""
SCHEDULE = {"schedule", "floor", "decay_every", "decay_factor"}
"""A schedule with its constants: they differ together."""

KINDS: Mapping[str, tuple[type, ...]] = {NUMBER: (int, float), WHOLE: (int,), NAME: (str,)}

FIELDS = dataclasses.fields(Budget)

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
        FieldError: not a mapping of variable keys to lists without repetition.
    """
    if isinstance(value, tuple):
        return value
    varied = f"keys of the budget that may be varied: {', '.join(VARIABLE)}"
    if not isinstance(value, Mapping):
        raise wrong(f"wanted a mapping of keys to lists of values; {varied}")
    axes = []
    for key, values in value.items():
        if key not in VARIABLE:
            near = nearest(str(key), VARIABLE)
            raise wrong(f"unknown key {short(key)}; {varied}{near}", shows_value=True)
        found = values if isinstance(values, list) else [values]
        if not found:
            raise wrong("the list is empty; give at least one value", key)
        wanted = VARIABLE[key]
        for at, one in enumerate(found):
            if isinstance(one, bool) or not isinstance(one, KINDS[wanted]):
                raise wrong(f"found {short(one)}; wanted {wanted}", key, at)
            # A larger one would overflow where it becomes a float.
            if isinstance(one, int) and abs(one) >= 2**63:
                raise wrong(f"found {short(one)}; wanted a number below 2^63", key, at)
        for one, times in Counter(found).items():
            if times > 1:
                raise wrong(f"{short(one)} appears twice; give each value once", key)
        # As pydantic does in the budget: cells of 1 and of 1.0 have the same key.
        axes.append((key, tuple(float(one) if wanted == NUMBER else one for one in found)))
    return tuple(axes)


def conditions(budget: Budget, axes: Axes) -> tuple[Condition, ...]:
    """All combinations of the varied values, each as a budget.

    Raises:
        ValueError: a value is not one that the budget may have; the message names the condition.
    """
    keys = [key for key, _ in axes]
    found = []
    for chosen in product(*(values for _, values in axes)):
        varied = tuple(zip(keys, chosen, strict=True))
        try:
            found.append(Condition(varied, changed(budget, dict(varied))))
        except ValueError as error:
            # The value that is out of range may be the budget's own: a warm-up longer than some `steps`.
            place = f" (condition {named(dict(varied))})" if varied else ""
            raise ValueError(f"{error}{place}") from None
    return tuple(found)


def changed(budget: Budget, values: Mapping[str, Any]) -> Budget:
    """The budget with other values; constants that only its old schedule has are left out.

    Raises:
        ValueError: a value is not one that the budget may have.
    """
    if "schedule" not in values:
        return dataclasses.replace(budget, **values)
    known = constants_of(values["schedule"])
    absent: dict[str, Any] = dict.fromkeys(set(budget.schedule_constants) - set(known))
    return dataclasses.replace(budget, **absent, **values)


def differing(one: Budget, other: Budget) -> set[str]:
    """Keys in which two budgets differ, the constants of a schedule counted with it."""
    pairs = ((field.name, getattr(one, field.name), getattr(other, field.name)) for field in FIELDS)
    found = {name for name, here, there in pairs if here != there}
    return found - SCHEDULE | ({"schedule"} if found & SCHEDULE else set())


def named(chosen: Mapping[str, Any]) -> str:
    """`loss_scale=0.01, spike_size=1000`."""
    return ", ".join(
        f"{key}={value:g}" if isinstance(value, (int, float)) else f"{key}={value}"
        for key, value in chosen.items()
    )
