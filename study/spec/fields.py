"""How single keys of a spec are read: axes, seeds, and mappings of settings; what is wrong is said in words."""

from __future__ import annotations

import dataclasses
import typing
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import BeforeValidator

from search_spaces import LogAxis
from trainers.naming import nearest, short

MOST_SEEDS = 1_000
"""More than this is a slip of the keyboard, and would fill the memory before it failed."""
NUMBERS = {int: "a whole number", float: "a number"}


def read_axis(value: Any) -> Any:
    """The numbers of an axis: one, a list, or `low`, `high` and `points_per_decade`."""
    if isinstance(value, Mapping):
        keys = [field.name for field in dataclasses.fields(LogAxis)]
        unknown = [key for key in value if key not in keys]
        if unknown:
            raise ValueError(
                f"unknown key {short(unknown[0])}; a log axis has {', '.join(keys)}{nearest(str(unknown[0]), keys)}"
            )
        missing = [key for key in keys if key not in value]
        if missing:
            raise ValueError(f"{missing[0]!r} is missing; a log axis has {', '.join(keys)}")
        low, high, density = (value[key] for key in keys)
        if (
            not all(
                isinstance(number, (int, float)) and not isinstance(number, bool) for number in (low, high)
            )
            or not isinstance(density, int)
            or isinstance(density, bool)
        ):
            raise ValueError("low and high must be numbers, points_per_decade a whole number")
        try:
            return LogAxis(float(low), float(high), density).values
        except OverflowError:
            raise ValueError("low or high is too large for a number") from None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, (list, tuple)):
        raise ValueError("wanted a list of numbers, or low, high and points_per_decade")
    if not value:
        raise ValueError("the axis is empty; give at least one number")
    return value


def rising(values: tuple[float, ...]) -> tuple[float, ...]:
    """Values in their order, each of them once."""
    twice = sorted(value for value, times in Counter(values).items() if times > 1)
    if twice:
        raise ValueError(f"{twice[0]:g} stands twice; each value may stand once")
    return tuple(sorted(values))


def read_seeds(value: Any) -> Any:
    """So many seeds, or those of a list."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= MOST_SEEDS:
            raise ValueError(f"wanted at least one seed and at most {MOST_SEEDS}")
        return tuple(range(value))
    if isinstance(value, (list, tuple)):
        if not value:
            raise ValueError("wanted at least one seed")
        if len(set(map(str, value))) < len(value):
            raise ValueError("a seed stands twice; seeds must differ")
        return value
    raise ValueError("wanted how many seeds, or a list of seeds")


def settings_of(kind: type[Any]) -> BeforeValidator:
    """Checks the keys of a mapping before pydantic reads it as that dataclass, whose own words would be about Python's types."""
    keys = [field.name for field in dataclasses.fields(kind)]
    hints = {key: (hint, *typing.get_args(hint)) for key, hint in typing.get_type_hints(kind).items()}

    def check(value: Any) -> Any:
        problems = []
        for key, found in value.items() if isinstance(value, Mapping) else ():
            if key not in keys:
                problems.append(
                    f"unknown key {short(key)}; known: {', '.join(keys)}{nearest(str(key), keys)}"
                )
                continue
            wanted = next((words for number, words in NUMBERS.items() if number in hints[key]), None)
            problems += [
                f".{key}: found {short(one)}; wanted {wanted}"
                for one in (found if isinstance(found, list) else [found])
                if wanted and not _may_be_number(one)
            ]
        if problems:
            raise ValueError("\n".join(problems))
        return value

    return BeforeValidator(check)


def _may_be_number(value: Any) -> bool:
    """Whether the reader that follows may see it: true would become 1, "4" would become 4, and 10^400 overflows."""
    return not isinstance(value, (bool, str)) and not (isinstance(value, int) and abs(value) >= 2**63)
