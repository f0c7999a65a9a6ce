"""JSON that every reader of JSON takes, also where a number is infinite."""

from __future__ import annotations

import json
import re
from typing import Any

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')
"""Texts, so that their content is left alone, and what Python writes although JSON has no such word."""


def strict_json(value: Any, **options: Any) -> str:
    """`json.dumps`, with 1e999 for infinity.

    JSON has numbers of any size and no infinity. Readers make of 1e999 what no double reaches: infinity, in
    Python, in JavaScript, and in YAML too.

    Raises:
        ValueError: a number is NaN, for which JSON has nothing.
    """
    return TOKEN.sub(_strict, json.dumps(value, **options))


def _strict(token: re.Match[str]) -> str:
    if token[0] == "NaN":
        raise ValueError("NaN has no place in JSON")
    return token[0] if token[0].startswith('"') else token[0].replace("Infinity", "1e999")
