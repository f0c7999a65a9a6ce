"""How the methods of a spec are read: names, constants, and lists of constants as axes."""

from __future__ import annotations

import inspect
import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from itertools import product
from typing import Any

from pydantic import BeforeValidator, ValidationInfo

from study.spec.build import CHECKS
from study.spec.choice import Choice
from study.spec.names import TABLES, known
from study.spec.user_code import load, source_of
from trainers.naming import nearest, short

MOST_VARIANTS = 1_000
"""Most combinations of one method's listed constants: more is a slip, and would fill the memory before it failed."""


def factories(kind: str) -> Mapping[str, Callable[..., Any]]:
    """The trainers' table of a kind; needs torch."""
    found: Mapping[str, Callable[..., Any]] = getattr(import_module(f"trainers.{kind}s"), TABLES[kind])
    return found


def parameters(factory: Any) -> Mapping[str, inspect.Parameter]:
    """What a factory takes; nothing where that cannot be read, which is refused when it is called."""
    try:
        return inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return {}


def mark(kind: str, item: Any) -> str:
    """One written form of a method and its constants, exact in types: 1, 1.0 and true differ."""
    return f"{kind} {json.dumps(item, sort_keys=True, default=repr)}"


def variants(kind: str, item: Any, launched: Collection[str] = ()) -> list[Any]:
    """The mappings that one mapping stands for: a constant that is given a list, and does not take lists, is an axis.

    `{name: autoscale, numerator: [2, 8]}` is `{name: autoscale, numerator: 2}` and `{name: autoscale, numerator: 8}`; several
    lists give all combinations. A constant whose default is a list (`hidden` of the MLP) is left alone.

    Args:
        launched: marks of methods that a study was launched with, which mostly settle the question without torch.

    Raises:
        ValueError: the list is empty.
    """
    if not isinstance(item, Mapping):
        return [item]
    name, own, content = _named(kind, item)
    axes = {key: value for key, value in content.items() if isinstance(value, list)}
    if (
        axes
        and launched
        and not own
        and all(isinstance(key, str) for key in content)
        and math.prod(map(len, axes.values())) <= MOST_VARIANTS
    ):
        for lists in ({}, axes):  # as it stands, or every list an axis
            found = _combined(item, lists)
            if found and all(mark(kind, one) in launched for one in found):
                return found
    if axes:
        takes = parameters(load(name) if own else factories(kind)[name])
        axes = {
            key: value
            for key, value in axes.items()
            if key in takes and not isinstance(takes[key].default, (list, tuple))
        }
    for key, values in axes.items():
        if not values:
            raise ValueError(f"{kind} {name!r}: {key} is an empty list; give at least one value")
    if math.prod(map(len, axes.values())) > MOST_VARIANTS:
        raise ValueError(
            f"{kind} {name!r}: its lists make {math.prod(map(len, axes.values())):,} combinations; wanted at most {MOST_VARIANTS:,}"
        )
    return _combined(item, axes)


def _combined(item: Mapping[Any, Any], axes: Mapping[Any, list[Any]]) -> list[dict[Any, Any]]:
    return [{**item, **dict(zip(axes, chosen, strict=True))} for chosen in product(*axes.values())]


def choices_of(kind: str) -> BeforeValidator:
    """Reads one choice or a list of them: a name, or a mapping with `name` or `factory` and constants.

    Constants are checked by the method's own factory, which needs torch and its second; those in `launched` of the validation's
    context, which a launch has checked, are not checked again.
    """

    def read(value: Any, info: ValidationInfo) -> tuple[Choice, ...]:
        launched = (info.context or {}).get("launched", ())
        if isinstance(value, tuple) and all(isinstance(one, Choice) for one in value):
            return value
        items = value if isinstance(value, list) else [value]
        if not items:
            raise ValueError(f"the list is empty; give at least one {kind}")
        many = isinstance(value, list)
        found, problems = [], []
        for k, item in enumerate(items):
            try:
                found += [_choice(kind, one, launched) for one in variants(kind, item, launched)]
            except (ValueError, TypeError) as error:
                problems.append(f"[{k}]: {error}" if many else str(error))
        for one, times in Counter(found).items():
            if times > 1:
                problems.append(f"{kind} {one.label!r} stands twice; each may stand once")
        if problems:
            raise ValueError("\n".join(problems))
        return tuple(found)

    return BeforeValidator(read)


def _choice(kind: str, item: Any, launched: Collection[str]) -> Choice:
    name, own, content = _named(kind, item)
    for key, value in content.items():
        if not isinstance(key, str):
            raise ValueError(f"{kind} {name!r}: {short(key)} is not the name of a constant")
        _check_plain(f"{kind} {name!r}: {short(key)[1:-1]}", value)
    choice = Choice(
        name,
        tuple(sorted((key, _frozen(value)) for key, value in content.items())),
        source_of(name) if own else "",
    )
    if own or (content and mark(kind, item) not in launched):
        CHECKS[kind](choice)
    return choice


def _named(kind: str, item: Any) -> tuple[str, bool, dict[Any, Any]]:
    """The name, whether it is the user's own factory, and the constants."""
    names = known(kind)
    content = dict(item) if isinstance(item, Mapping) else {"name": item}
    if "name" in content and "factory" in content:
        raise ValueError(
            f"found both 'name' and 'factory'; wanted the name of a {kind}, or a factory of your own"
        )
    if "factory" in content:
        factory = content.pop("factory")
        if not isinstance(factory, str):
            raise ValueError(f"factory: found {short(factory)}; wanted 'package.module:name'")
        load(factory)
        return factory, True, content
    if "name" not in content:
        raise ValueError(
            f"found a mapping without 'name' or 'factory'; wanted a {kind}'s name and its constants; known: {', '.join(names)}"
        )
    name = content.pop("name")
    if not isinstance(name, str):
        raise ValueError(f"found {short(name)}; wanted the name of a {kind}; known: {', '.join(names)}")
    if name not in names:
        hint = (
            f"; a factory of your own is written {{factory: {short(name)[1:-1]}}}"
            if ":" in name
            else nearest(name, names)
        )
        raise ValueError(f"unknown {kind} {short(name)}; known: {', '.join(names)}{hint}")
    return name, False, content


def _check_plain(where: str, value: Any) -> None:
    if isinstance(value, list):
        for one in value:
            _check_plain(where, one)
    elif not isinstance(value, (bool, int, float, str)) and value is not None:
        raise ValueError(
            f"{where} is {short(value)}; wanted a number, a word, true, false or a list of these"
        )


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value
