"""The values of a YAML text: those of YAML 1.2, and only what every later file can hold."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest

from study.errors import UserError
from study.spec.read import parse_spec, parse_stored
from study.spec.strict_json import strict_json
from study.spec.yaml import load_yaml
from tests.conftest import TINY


def value(text: str) -> Any:
    return load_yaml(f"a: {text}")["a"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1:30", "1:30"),
        ("1:30.5", "1:30.5"),
        ("2020-01-01", "2020-01-01"),
        ("010", 10),
        ("-010", -10),
        ("09", 9),
        ("0o10", 8),
        ("0x1F", 31),
        ("-12", -12),
        ("1e-3", 0.001),
        ("1.", 1.0),
        ("-.5", -0.5),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("1e999", math.inf),
        ("!!int 010", 10),
        ("!!float 3", 3.0),
        ("'010'", "010"),
        ("TRUE", True),
        ("False", False),
        ("~", None),
        ("Null", None),
        ("", None),
        ("y", "y"),
        ("tRUE", "tRUE"),
        ("=", "="),
        ("'yes'", "yes"),
    ],
)
def test_plain_words_are_read_as_yaml_1_2_reads_them(text: str, meant: object) -> None:
    """No number is made of a time, a date or leading zeros; tags say no more than plain words do."""
    found = value(text)
    assert found == meant
    assert type(found) is type(meant)


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("yes", "true"),
        ("On", "true"),
        ("NO", "false"),
        ("off", "false"),
        ("1_000", "1000"),
        ("-1_0.5e3", "-10.5e3"),
        ("0b101", "5"),
        ("-0x1F", "-31"),
        ("0o1_7", "15"),
    ],
)
def test_what_yaml_1_1_read_otherwise_is_told(text: str, before: str) -> None:
    """It is text, as in YAML 1.2; where no text is wanted the error says what it was and what to write."""
    found = value(text)
    assert found == text
    assert not isinstance(found, (bool, int, float))
    with pytest.raises(UserError) as refused:
        parse_spec(TINY.replace("[none, unit_norm]", f"[none, {{name: clip_norm, max_norm: {text}}}]"))
    assert str(refused.value) == (
        f"spec: transforms[1].max_norm: found {text}, which is text in YAML 1.2 and was {before} before; "
        f"write {before}, or '{text}' for the text"
    )
    spec = parse_spec(TINY.replace("a study of seconds", text))
    assert spec.description == text
    assert type(spec.description) is str


@pytest.mark.parametrize("text", ["0b_", "0x_", "0o__", "-0b_"])
def test_a_prefix_without_a_digit_is_text(text: str) -> None:
    """It never was a number."""
    assert value(text) == text
    assert parse_spec(TINY.replace("a study of seconds", text)).description == text


def test_a_study_may_have_any_name() -> None:
    """`no`, `on` and `1_000` are names, and a spec that a home remembers has them still."""
    for name in ("no", "yes", "on", "1_000"):
        spec = parse_spec(re.sub("name: .*", f"name: {name}", TINY, count=1))
        assert spec.name == name
        assert parse_stored(spec.remembered(), "stored").name == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("!!int 1:30", "line 1, column 4: '1:30' is no whole number"),
        ("!!float 1:30", "'1:30' is no number"),
        ("!!int 1_000", "'1_000' is no whole number"),
        ("!!bool yes", "'yes' is neither true nor false"),
        ("1" * 4_001, "a whole number of 4,001 digits; wanted at most 4,000"),
        ("0x" + "f" * 3_900, "digits; wanted at most 4,000"),
        ("1" * 90_000, "a whole number of 90,000 digits; wanted at most 4,000"),
        ('"\\ud83d x"', "line 1, column 4: a text holds half a character, U+D83D; leave it out"),
        ('"\\x00"', "a text holds the control character U+0000"),
        ('"\\x1b[2J"', "a text holds the control character U+001B"),
        ('"\\uffff"', "a text holds the control character U+FFFF"),
        ('{"\\ud800": 1}', "half a character"),
    ],
)
def test_what_no_later_file_could_hold_is_refused(text: str, words: str) -> None:
    """Halves of characters, control characters and endless numbers are refused with their place."""
    with pytest.raises(ValueError, match="not valid YAML") as refused:
        value(text)
    assert words in str(refused.value)


def test_json_is_read_as_it_was_written() -> None:
    """What JSON escapes is whole again: characters beyond U+FFFF, which JSON writes as two halves."""
    content = {
        "text": 'tab\t line\n é 🙂 \\ " Infinity NaN',
        "numbers": [math.inf, -math.inf, 1e-300, 10**20],
    }
    for text in (
        strict_json(content),
        strict_json(content, indent=1),
        strict_json(content, ensure_ascii=False),
    ):
        assert load_yaml(text) == content
        assert json.loads(text, parse_constant=lambda word: pytest.fail(word)) == content


def test_nan_has_no_json() -> None:
    """Nothing in JSON stands for NaN, so it is an error and not a word that no reader knows."""
    with pytest.raises(ValueError, match="NaN has no place in JSON"):
        strict_json({"a": [math.nan]})
