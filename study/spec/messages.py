"""Errors of a spec in plain words: where, what was found, what is wanted, and the nearest name."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from study.spec.problem import FieldError, Location, Problem
from trainers.naming import SHOWN, closest, nearest, short

MOST_LINES = 20
"""Errors that are shown; a list of thousands has one mistake, made thousands of times."""

# Pydantic's own sentences speak of Python ("a valid dictionary or instance of Budget"), not of a spec.
WANTED = {
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "a number greater than {gt:g}",
    "greater_than_equal": "a number of at least {ge:g}",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number below 2^63",
    "int_type": "a whole number",
    "less_than": "a number below {lt}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "string_pattern_mismatch": "text that matches {pattern}",
    "string_type": "text",
    "tuple_type": "a list",
}
"""What pydantic wanted, by the code of its error, with the error's own facts in braces."""


def explain(error: ValidationError, keys: Sequence[str]) -> list[str]:
    """One line per error.

    Args:
        keys: those that a spec may have at its top level.
    """
    lines: list[str] = []
    meant = _meant(error.errors(), keys)
    for detail in error.errors():
        # A misspelt key is one mistake: that the right one is missing follows from it.
        if detail["type"] == "missing" and detail["loc"] in meant:
            continue
        lines += [_line(detail, one) for one in _problems(detail, keys)]
    return _shortened(lines)


def _meant(details: Sequence[ErrorDetails], keys: Sequence[str]) -> set[Location]:
    """The keys that unknown ones most likely stand for."""
    found = set()
    for detail in details:
        if detail["type"] == "extra_forbidden" and (near := closest(str(detail["loc"][-1]), keys)):
            found.add((*detail["loc"][:-1], near))
    return found


def lines_of(problems: Sequence[Problem]) -> list[str]:
    """One line per problem of a whole spec; each must show its value."""
    return _shortened([f"{_written(one.path)}: {one.text}" if one.path else one.text for one in problems])


def _shortened(lines: list[str]) -> list[str]:
    if len(lines) > MOST_LINES:
        return [*lines[:MOST_LINES], f"and {len(lines) - MOST_LINES:,} more errors"]
    return lines


def _line(detail: ErrorDetails, problem: Problem) -> str:
    text = problem.text
    # The error holds the value of the whole key; of a part of it, the text has to show what was found.
    if not problem.shows_value and not problem.path:
        text = f"found {short(detail['input'])}; {text}"
    where = _written((*detail["loc"], *problem.path))
    return f"{where}: {text}" if where else text


def _written(path: Location) -> str:
    """A path as a reader of YAML would say it: `budget.steps`, `transforms[1]`."""
    words = ""
    for part in path:
        if isinstance(part, int):
            words += f"[{part}]"
            continue
        # A key of the user's may be of any length, and may hold what a terminal obeys.
        name = part if len(part) <= SHOWN and part.isprintable() else short(part)
        words += f".{name}" if words else name
    return words


def _problems(detail: ErrorDetails, keys: Sequence[str]) -> Sequence[Problem]:
    code, facts = detail["type"], detail.get("ctx", {})
    if code == "extra_forbidden":
        near = nearest(str(detail["loc"][-1]), keys)
        return [Problem(f"unknown key; known: {', '.join(keys)}{near}", shows_value=True)]
    if code == "missing":
        return [Problem("missing; this key must be given", shows_value=True)]
    if code == "value_error":
        error = facts["error"]
        # One that is not ours comes from the trainers, whose messages name the value that they refuse.
        return error.problems if isinstance(error, FieldError) else [Problem(str(error), shows_value=True)]
    if code in WANTED:
        return [Problem(f"wanted {WANTED[code].format(**facts)}")]
    return [Problem(detail["msg"])]
