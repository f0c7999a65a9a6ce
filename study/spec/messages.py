"""Validation errors in plain words: where, what was found, what is wanted, and the nearest name."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trainers.naming import SHOWN, nearest, short

MOST_LINES = 20
"""Errors that are shown; a list of thousands has one mistake, made thousands of times."""


def explain(error: ValidationError, keys: Sequence[str]) -> list[str]:
    """One line per error; `keys` are those of the top level."""
    lines: list[str] = []
    for detail in error.errors():
        where = _path(detail["loc"])
        lines += [f"{where}{_joint(where, text)}{text}" for text in _texts(detail, keys)]
    return (
        lines
        if len(lines) <= MOST_LINES
        else [*lines[:MOST_LINES], f"and {len(lines) - MOST_LINES:,} more errors"]
    )


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        name = str(part) if len(str(part)) <= SHOWN and str(part).isprintable() else short(part)
        path += f"[{part}]" if isinstance(part, int) else f".{name}" if path else name
    return path


def _joint(where: str, text: str) -> str:
    return "" if not where or text.startswith(("[", ".")) else ": "


def _texts(detail: ErrorDetails, keys: Sequence[str]) -> list[str]:
    kind, found = detail["type"], short(detail["input"])
    if kind == "extra_forbidden":
        return [f"unknown key; known: {', '.join(keys)}{nearest(str(detail['loc'][-1]), keys)}"]
    if kind == "missing":
        return ["missing; this key must be given"]
    message = detail["msg"]
    if kind == "value_error":
        texts = str(detail["ctx"]["error"]).split("\n")
        return [
            text if len(detail["loc"]) != 1 or _names_value(text) else f"found {found}; {text}"
            for text in texts
        ]
    return [f"found {found}; {message.replace('Input should', 'it should', 1)}"]


def _names_value(text: str) -> bool:
    return text.startswith(("[", ".", "unknown", "found", "budget", "region", "workers"))
