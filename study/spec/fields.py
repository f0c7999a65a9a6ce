"""How single keys of a spec are read: axes, seeds, and sections, which are mappings such as `budget`."""

from __future__ import annotations

import dataclasses
import typing
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BeforeValidator

from search_spaces import LogAxis
from study.spec.problem import FieldError, Problem, wrong
from trainers.naming import nearest, short

MOST_SEEDS = 1_000
"""More than this is a slip of the keyboard, and would fill the memory before it failed."""
NUMBERS = {int: "a whole number", float: "a number"}


def read_axis(value: Any) -> Any:
    """The numbers of an axis: one, a list, or `low`, `high` and `points_per_decade`.

    Raises:
        FieldError: it is none of these, is empty, or a key is unknown, missing or out of range.
    """
    if isinstance(value, Mapping):
        return _log_axis(value)
    if _is_number(value):
        value = [value]
    if not isinstance(value, (list, tuple)):
        raise wrong("wanted a list of numbers, or low, high and points_per_decade")
    if not value:
        raise wrong("the axis is empty; give at least one number")
    return value


def _log_axis(value: Mapping[Any, Any]) -> tuple[float, ...]:
    keys = [field.name for field in dataclasses.fields(LogAxis)]
    has = f"a log axis has {', '.join(keys)}"
    for key in value:
        if key not in keys:
            near = nearest(str(key), keys)
            raise wrong(f"unknown key {short(key)}; {has}{near}", shows_value=True)
    for key in keys:
        if key not in value:
            raise wrong(f"{key!r} is missing; {has}")
    low, high, density = (value[key] for key in keys)
    whole = isinstance(density, int) and not isinstance(density, bool)
    if not _is_number(low) or not _is_number(high) or not whole:
        raise wrong("low and high must be numbers, points_per_decade a whole number")
    try:
        return LogAxis(float(low), float(high), density).values
    except OverflowError:
        raise wrong("low or high is too large for a number") from None
    except ValueError as error:
        raise wrong(str(error)) from None


def _is_number(value: Any) -> bool:
    # Python counts true and false as whole numbers; a spec that has them in place of a number is a slip.
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def rising(values: tuple[float, ...]) -> tuple[float, ...]:
    """Values in their order, each of them once.

    Raises:
        FieldError: a value appears twice.
    """
    twice = sorted(value for value, times in Counter(values).items() if times > 1)
    if twice:
        raise wrong(f"{twice[0]:g} appears twice; give each value once", shows_value=True)
    return tuple(sorted(values))


def read_seeds(value: Any) -> Any:
    """So many seeds, or those of a list.

    Raises:
        FieldError: there is none, or more than `MOST_SEEDS`, or one appears twice.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= MOST_SEEDS:
            raise wrong(f"wanted at least one seed and at most {MOST_SEEDS}")
        return tuple(range(value))
    if isinstance(value, (list, tuple)):
        if not value:
            raise wrong("wanted at least one seed")
        # Compared as text, because what a list of the user's holds need not be hashable.
        if len(set(map(str, value))) < len(value):
            raise wrong("a seed appears twice; seeds must differ")
        return value
    raise wrong("wanted how many seeds, or a list of seeds")


def section_of(kind: type[Any]) -> BeforeValidator:
    """Checks a mapping before pydantic makes that dataclass of it.

    Pydantic would accept a number written as text, and would ignore a misspelt key of a dataclass.
    """
    keys = [field.name for field in dataclasses.fields(kind)]
    hints = {key: (hint, *typing.get_args(hint)) for key, hint in typing.get_type_hints(kind).items()}

    def problems(value: Mapping[Any, Any]) -> Iterator[Problem]:
        for key, found in value.items():
            if key not in keys:
                near = nearest(str(key), keys)
                yield Problem(f"unknown key {short(key)}; known: {', '.join(keys)}{near}", shows_value=True)
                continue
            wanted = next((words for number, words in NUMBERS.items() if number in hints[key]), None)
            for one in found if isinstance(found, list) else [found]:
                if wanted and not _may_be_number(one):
                    yield Problem(f"found {short(one)}; wanted {wanted}", (key,))

    def check(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        if not isinstance(value, Mapping):
            raise wrong(f"wanted a mapping of keys to values; known keys: {', '.join(keys)}")
        found = list(problems(value))
        if found:
            raise FieldError(found)
        return value

    return BeforeValidator(check)


def _may_be_number(value: Any) -> bool:
    """Whether pydantic may see it: it makes 1 of true and 4 of "4", and 10^400 overflows."""
    return not isinstance(value, (bool, str)) and not (isinstance(value, int) and abs(value) >= 2**63)
