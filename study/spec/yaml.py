"""YAML 1.2 as people expect it: `1e-3` is a number, a repeated key is an error, and all values are plain."""

from __future__ import annotations

import re
import sys
from itertools import chain
from typing import Any

import yaml

from study.spec.ambiguity import ambiguous_word

MOST_BYTES = 200_000
"""A longer file is no spec, and would take PyYAML seconds."""
MOST_VALUES = 100_000
"""Most values of a document whose anchors are written out.

A few lines of anchors can stand for more than memory holds.
"""


MOST_DIGITS = 4_000
"""Most digits of a whole number; of more than 4,300 Python writes none, and so no file would hold them."""
RESOLVED = ("bool", "int", "float", "timestamp", "value")
"""What PyYAML sees in plain words and YAML 1.2 sees otherwise."""
UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
"""What pictures and pages cannot hold, or a terminal would obey."""
TRUTH = re.compile(r"true|True|TRUE|false|False|FALSE")
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with YAML 1.2's core schema, and without silent loss of repeated keys.

    PyYAML knows YAML 1.1, where `yes` is true, `1_000` is 1000, `1:30` is 90, `010` is 8, `2020-01-01` is a
    date and `1e-3` is text. In 1.2 they are text, text, text, 10, text and a number. Of a key that appears
    twice PyYAML keeps the last.

    Reference: YAML 1.2.2, section 10.3.2, tag resolution of the core schema.
    Differs from the reference: `<<` merges a mapping into another one, as in 1.1.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML's own name, of the class
        first: [(tag, form) for tag, form in rules if tag.rpartition(":")[2] not in RESOLVED]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, (str, int, float, bool)):
            words = "a key must be a plain word"
            raise yaml.constructor.ConstructorError(None, None, words, key_node.start_mark)
        if key in seen:
            words = f"the key {repr(key)[:80]} appears twice"
            raise yaml.constructor.ConstructorError(None, None, words, key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


def _truth(loader: _Loader, node: yaml.ScalarNode) -> bool:
    text = loader.construct_scalar(node)
    if not TRUTH.fullmatch(text):
        words = f"{text[:40]!r} is neither true nor false"
        raise yaml.constructor.ConstructorError(None, None, words, node.start_mark)
    return bool(text.lower() == "true")


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    if not INTEGER.fullmatch(text):
        raise yaml.constructor.ConstructorError(
            None, None, f"{text[:40]!r} is no whole number", node.start_mark
        )
    plain = text.lower()
    base = {"0o": 8, "0x": 16}.get(plain[:2], 10)
    # In other bases a digit is worth more or less, so the number itself is asked too.
    found = int(plain, base) if len(plain) <= 4 * MOST_DIGITS else None
    if found is None or abs(found) >= 10**MOST_DIGITS:
        words = f"a whole number of {len(plain):,} digits; wanted at most {MOST_DIGITS:,}"
        raise yaml.constructor.ConstructorError(None, None, words, node.start_mark)
    return found


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    text = loader.construct_scalar(node)
    if not FLOAT.fullmatch(text):
        raise yaml.constructor.ConstructorError(None, None, f"{text[:40]!r} is no number", node.start_mark)
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
    """A text that every later file can hold: whole characters that can be shown."""
    text = loader.construct_scalar(node)
    words = ""
    try:
        # JSON writes a character beyond U+FFFF as two halves, and PyYAML leaves them apart.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        half = text.encode("utf-16", "surrogatepass")[error.start : error.start + 2]
        words = f"half a character, U+{int.from_bytes(half, sys.byteorder):04X}"
    if found := UNWRITABLE.search(text):
        words = f"the control character U+{ord(found[0]):04X}"
    if words:
        words = f"a text holds {words}; leave it out"
        raise yaml.constructor.ConstructorError(None, None, words, node.start_mark)
    return (ambiguous_word(text) or text) if node.style is None else text


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor("tag:yaml.org,2002:bool", _truth)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)
_Loader.add_constructor("tag:yaml.org,2002:str", _text)
for _tag, _form, _first in (
    ("bool", TRUTH, "tTfF"),
    ("int", INTEGER, "-+0123456789"),
    ("float", FLOAT, "-+0123456789."),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_form.pattern})\Z"), list(_first)
    )


def load_yaml(text: str) -> Any:
    """The document's plain values; words that were no text in YAML 1.1 are `AmbiguousWord`.

    Raises:
        ValueError: not YAML, or too large; the message says where.
    """
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _size(node, {})
        return loader.construct_document(node)
    except RecursionError:
        raise ValueError("not a spec: values are nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ValueError(f"not valid YAML{where}: {str(error.problem or error.context)[:200]}") from None
    except (yaml.YAMLError, ValueError) as error:
        words = next(iter(str(error).splitlines()), "")
        raise ValueError(f"not valid YAML: {words[:200]}") from None
    # What PyYAML raises, as it happens, for a tag on a value that it does not fit: `!!bool maybe`.
    except (KeyError, AttributeError, TypeError):
        raise ValueError("not valid YAML: a value does not fit its tag") from None
    finally:
        if loader is not None:
            loader.dispose()


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Number of values under a node with every anchor written out.

    Raises:
        ValueError: there are too many, or an anchor holds itself.
    """
    if id(node) not in known:
        # Until it is known it counts as too many, so that an anchor that holds itself is refused.
        known[id(node)] = MOST_VALUES
        parts: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            parts = node.value
        elif isinstance(node, yaml.MappingNode):
            parts = list(chain.from_iterable(node.value))
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    if known[id(node)] >= MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES:,} values, with every anchor written out")
    return known[id(node)]
