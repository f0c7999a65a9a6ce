"""Plain words that YAML 1.1 reads as a number or a truth, and YAML 1.2 as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from study.spec.problem import Location, Problem

TEXTS = ("name", "description")
"""Keys of a spec whose values are text, whatever they look like."""
TRUTHS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
BINARY = re.compile(r"[-+]?0b_*[01][01_]*")
OTHER_BASE = re.compile(r"[-+]?0(o_*[0-7][0-7_]*|x_*[0-9a-fA-F][0-9a-fA-F_]*)")
DECIMAL = re.compile(r"[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")


class AmbiguousWord(str):
    """Such a word. It is text, as in YAML 1.2, and remembers what it was.

    Attributes:
        before: what YAML 1.1 makes of it, as a spec writes it.
    """

    before: str


def ambiguous_word(word: str) -> AmbiguousWord | None:
    """The word as an ambiguous one, or None; asked of plain words that YAML 1.2 reads as text."""
    before = TRUTHS.get(word.lower()) if word in {word.lower(), word.upper(), word.capitalize()} else None
    if DECIMAL.fullmatch(word) or OTHER_BASE.fullmatch(word):
        before = word.replace("_", "")
        # YAML 1.2 has signs before decimal numbers alone.
        before = before.lstrip("+") if OTHER_BASE.fullmatch(word) is None else _decimal(before)
    elif BINARY.fullmatch(word):
        before = _decimal(word.replace("_", ""))
    if before is None:
        return None
    found = AmbiguousWord(word)
    found.before = before
    return found


def _decimal(word: str) -> str:
    base = {"b": 2, "o": 8, "x": 16}[word.lstrip("+-")[1]]
    # A longer one would take seconds to write in decimals.
    return str(int(word, base)) if len(word) <= 100 else "the number in decimals"


def problems(value: Any, path: Location = ()) -> Iterator[Problem]:
    """One problem for each ambiguous word of a spec, except where text is wanted anyway.

    Without it a spec that was written for YAML 1.1 would change its meaning in silence: to a function of the
    user's, the text "no" is true.
    """
    if isinstance(value, AmbiguousWord):
        yield Problem(
            f"found {value[:40]}, which is text in YAML 1.2 and was {value.before} before; "
            f"write {value.before}, or '{value[:40]}' for the text",
            path,
            shows_value=True,
        )
    elif isinstance(value, Mapping):
        for key, one in value.items():
            if path or key not in TEXTS or not isinstance(one, str):
                yield from problems(one, (*path, key if isinstance(key, int) else str(key)))
    elif isinstance(value, list):
        for k, one in enumerate(value):
            yield from problems(one, (*path, k))
