"""YAML as people expect it: `1e-3` is a number, a repeated key is an error, and all values are plain."""

from __future__ import annotations

import re
from itertools import chain
from typing import Any

import yaml

MOST_BYTES = 200_000
"""A longer file is no spec, and would take PyYAML seconds."""
MOST_VALUES = 100_000
"""Most values of a document whose anchors are written out.

A few lines of anchors can stand for more than memory holds.
"""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with YAML 1.2's floats, and without silent loss of repeated keys.

    PyYAML reads `1e-3` as text, and of a key that appears twice it keeps the last.
    """


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


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"),
    list("-+0123456789."),
)


def load_yaml(text: str) -> Any:
    """The document's plain values.

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
