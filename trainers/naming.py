"""Names and constants checked against what exists, with errors that say found, wanted, do."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
SHOWN = 80
"""Characters of a found value that are shown."""


def short(value: object) -> str:
    """A found value as it is shown; a broken `repr` of the user's does not break the message."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def nearest(found: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing when no known name is near."""
    close = closest(found, known)
    return f"; did you mean {close!r}?" if close else ""


def closest(found: str, known: Iterable[str]) -> str:
    """The known name that is nearest; empty where none is near."""
    # The search takes time that grows with the square of the length.
    close = difflib.get_close_matches(found[:SHOWN], list(known), n=1)
    return close[0] if close else ""


def look_up(kind: str, name: str, table: Mapping[str, T]) -> T:
    """The entry of a table.

    Raises:
        ValueError: no such entry; the message names the known ones and the nearest.
    """
    if name not in table:
        raise ValueError(
            f"unknown {kind} {short(name)}; known: {', '.join(sorted(table))}{nearest(name, table)}"
        )
    return table[name]


def check_keywords(owner: str, given: Mapping[str, Any], signature: inspect.Signature, skip: int = 0) -> None:
    """Refuse keywords that a factory does not take, and the absence of one that it needs.

    The first `skip` parameters of its signature are not constants.

    Raises:
        TypeError: the message names the constants that exist, or the one that is absent.
        ValueError: a switch is not true or false.
    """
    parameters = dict(list(signature.parameters.items())[skip:])
    known = [
        key
        for key, parameter in parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for key in given:
        if key not in known and not anything:
            has = f"its constants: {', '.join(known)}" if known else "it has none"
            raise TypeError(f"{owner} has no constant {short(key)}; {has}{nearest(key, known)}")
        if key in known and isinstance(parameters[key].default, bool) and not isinstance(given[key], bool):
            raise ValueError(f"{owner}: {key} is {short(given[key])}; wanted true or false")
    for key in known:
        if parameters[key].default is inspect.Parameter.empty and key not in given:
            raise TypeError(f"{owner} lacks its constant {key!r}, which has no default; give it a value")


def check_range(
    owner: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
    **values: Any,
) -> None:
    """Refuse plain numbers outside of [low, high]; tensors (a constant per cell) are let through.

    Raises:
        ValueError: a value is not a number, or is out of range.
    """
    for key, value in values.items():
        # True is an int in Python, and no number to a user.
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            # A tensor, recognised without importing torch, because names are checked before it is loaded.
            if hasattr(value, "dim"):
                continue
            raise ValueError(f"{owner}: {key} is {short(value)}; wanted a number")
        inside = (low < value if open_low else low <= value) and (
            value < high if open_high else value <= high
        )
        if not inside:
            left, right = "(" if open_low else "[", ")" if open_high else "]"
            raise ValueError(
                f"{owner}: {key} is {value:g}; wanted a number in {left}{low:g}, {high:g}{right}"
            )
