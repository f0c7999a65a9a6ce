"""How the methods of a spec are read: names, constants, and lists of constants as axes."""

from __future__ import annotations

import inspect
import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import product
from typing import Any

from pydantic import BeforeValidator, ValidationInfo

from study.spec.build import CHECKS
from study.spec.method_choice import Choice
from study.spec.method_label import label_of, titled, twice, without_label
from study.spec.names import KINDS, known
from study.spec.own_training import form_of, own_choice
from study.spec.problem import FieldError, Problem, problems_at, wrong
from study.spec.user_code import load_factory
from study.spec.user_modules import OwnCode
from trainers.naming import nearest, short

MOST_VARIANTS = 1_000
"""Most combinations of one method's listed constants.

More is a slip of the keyboard, and would fill the memory before it failed.
"""


LARGEST = 10**308
"""A larger whole number cannot be compared with what is trained."""


@dataclass(frozen=True)
class Written:
    """A method as a spec writes it.

    Attributes:
        own: the name is that of a user's own factory.
        constants: as they are written; keys and values are not checked yet.
    """

    name: str
    own: bool
    constants: dict[Any, Any]


def factories(kind: str) -> Mapping[str, Callable[..., Any]]:
    """The trainers' table of a kind; needs torch."""
    found: Mapping[str, Callable[..., Any]] = getattr(import_module(f"trainers.{kind}s"), KINDS[kind].table)
    return found


def parameters(factory: Any) -> Mapping[str, inspect.Parameter]:
    """What a factory takes; nothing where that cannot be read, which is refused when it is called."""
    try:
        return inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return {}


def mark(kind: str, item: Any) -> str:
    """One written form of a method and its constants, exact in types: 1, 1.0 and true differ.

    A label is no part of it: with another one, what was launched needs no other check.
    """
    item = without_label(kind, item)
    return f"{kind} {json.dumps(item, sort_keys=True, default=repr)}"


def variants(kind: str, item: Any, code: OwnCode, launched: Collection[str] = ()) -> list[Any]:
    """The mappings that one mapping stands for: a list for a constant that does not take lists is an axis.

    `{name: autoscale, numerator: [2, 8]}` is `{name: autoscale, numerator: 2}` and
    `{name: autoscale, numerator: 8}`. Several lists give all combinations. A constant whose default is a list
    (`hidden` of the MLP) is left alone.

    Args:
        launched: marks of methods that a study was launched with, which mostly settle the question without
            torch.

    Raises:
        ValueError: a list is empty, or there are too many combinations.
    """
    if not isinstance(item, Mapping):
        return [item]
    written = _written(kind, item)
    axes = {key: value for key, value in written.constants.items() if isinstance(value, list)}
    # A factory of the user's may have changed since, so a launch asks the function itself.
    if axes and launched and not (written.own and code.runs):
        found = _as_launched(kind, item, axes, launched)
        if found:
            return found
    if axes:
        takes = _takes_lists(kind, written, code)
        axes = {key: value for key, value in axes.items() if not takes.get(key, True)}
    for key, values in axes.items():
        if not values:
            raise wrong(f"{kind} {written.name!r}: {key} is an empty list; give at least one value")
    count = math.prod(map(len, axes.values()))
    if count > MOST_VARIANTS:
        makes = f"its lists make {count:,} combinations; wanted at most {MOST_VARIANTS:,}"
        raise wrong(f"{kind} {written.name!r}: {makes}")
    return _combined(item, axes)


def _takes_lists(kind: str, written: Written, code: OwnCode) -> dict[str, bool]:
    """The parameters of a method's factory, and whether the default of each is a list."""
    if not written.own:
        factory = factories(kind)[written.name]
    elif code.runs:
        factory = load_factory(written.name, code.find(written.name), KINDS[kind].returned)
    else:
        return code.find(written.name).takes_lists(written.name.partition(":")[2])
    return {key: isinstance(of.default, (list, tuple)) for key, of in parameters(factory).items()}


def _as_launched(
    kind: str, item: Mapping[Any, Any], axes: Mapping[Any, list[Any]], launched: Collection[str]
) -> list[dict[Any, Any]]:
    """The mappings that one mapping stands for, if a launch had them all; else nothing."""
    if not all(isinstance(key, str) for key in item) or math.prod(map(len, axes.values())) > MOST_VARIANTS:
        return []
    # The launch settled whether the lists are axes: it had either the mapping as it stands, or each variant.
    for lists in ({}, axes):
        found = _combined(item, lists)
        if found and all(mark(kind, one) in launched for one in found):
            return found
    return []


def _combined(item: Mapping[Any, Any], axes: Mapping[Any, list[Any]]) -> list[dict[Any, Any]]:
    return [{**item, **dict(zip(axes, chosen, strict=True))} for chosen in product(*axes.values())]


def choices_of(kind: str) -> BeforeValidator:
    """Reads one choice or a list of them: a name, or a mapping with `name` or `factory` and constants.

    Constants are checked by the method's own factory. Those in `launched` of the validation's context, which
    a launch has checked, are not checked again.
    """

    def read(value: Any, info: ValidationInfo) -> tuple[Choice, ...]:
        # Checking imports torch, which takes a second: `study status` of a launched study does without.
        context = info.context or {}
        launched, code = context.get("launched", ()), context.get("code", OwnCode())
        if isinstance(value, tuple) and all(isinstance(one, Choice) for one in value):
            return value
        items = value if isinstance(value, list) else [value]
        if not items:
            raise wrong(f"the list is empty; give at least one {kind}")
        found: list[Choice] = []
        problems: list[Problem] = []
        for k, item in enumerate(items):
            try:
                given, plain = label_of(kind, item), without_label(kind, item)
                if kind == "workload" and form_of(item):
                    found.append(replace(own_choice(plain, code), label=given))
                    continue
                made = [_choice(kind, one, code, launched) for one in variants(kind, plain, code, launched)]
                found += [replace(one, label=given) for one in made]
            except (ValueError, TypeError) as error:
                problems += problems_at((k,) if isinstance(value, list) else (), error)
        told = {(one.name, one.telling): one.technical_name for one in found}
        alike = Counter((one.name, () if one.form else one.telling) for one in found)
        told |= {(one.name, ()): one.technical_name for one in found if one.form}
        for choice, times in alike.items():
            if times > 1:
                problems.append(Problem(f"{kind} {told[choice]!r} appears twice; give each once"))
        problems += twice(kind, found)
        if problems:
            raise FieldError(problems)
        return titled(found)

    return BeforeValidator(read)


def _choice(kind: str, item: Any, code: OwnCode, launched: Collection[str]) -> Choice:
    written = _written(kind, item)
    for key, value in written.constants.items():
        if not isinstance(key, str):
            raise wrong(f"{kind} {written.name!r}: {short(key)} is not the name of a constant")
        _check_plain(f"{kind} {written.name!r}: {short(key)[1:-1]}", value)
    constants = tuple(sorted((key, _frozen(value)) for key, value in written.constants.items()))
    if written.own:
        if code.runs:
            # Before its source is read, which takes seconds in a large package.
            load_factory(written.name, code.find(written.name), KINDS[kind].returned)
        choice = Choice(written.name, constants, code.source_of(written.name), code.place_of(written.name))
        if code.runs:
            CHECKS[kind](choice)
        return choice
    choice = Choice(written.name, constants)
    if written.constants and mark(kind, item) not in launched:
        CHECKS[kind](choice)
    return choice


def _written(kind: str, item: Any) -> Written:
    names = known(kind)
    constants = dict(item) if isinstance(item, Mapping) else {"name": item}
    if "name" in constants and "factory" in constants:
        wanted = f"wanted 'name' for a known {kind}, or 'factory' for one of your own"
        raise wrong(f"found both 'name' and 'factory'; {wanted}", shows_value=True)
    if "factory" in constants:
        factory = constants.pop("factory")
        if not isinstance(factory, str):
            raise wrong(f"found {short(factory)}; wanted 'package.module:name'", "factory")
        return Written(factory, own=True, constants=constants)
    if "name" not in constants:
        wanted = f"wanted the name of the {kind} and its constants; known: {', '.join(names)}"
        raise wrong(f"found a mapping without 'name' or 'factory'; {wanted}", shows_value=True)
    name = constants.pop("name")
    if not isinstance(name, str):
        wanted = f"wanted the name of the {kind}; known: {', '.join(names)}"
        raise wrong(f"found {short(name)}; {wanted}", shows_value=True)
    if name not in names:
        hint = nearest(name, names)
        if ":" in name:
            hint = f"; a factory of your own is written {{factory: {short(name)[1:-1]}}}"
        raise wrong(f"unknown {kind} {short(name)}; known: {', '.join(names)}{hint}", shows_value=True)
    return Written(name, own=False, constants=constants)


def _check_plain(where: str, value: Any) -> None:
    if isinstance(value, list):
        for one in value:
            _check_plain(where, one)
    elif isinstance(value, float) and math.isnan(value):
        raise wrong(f"{where} is nan, which is no number; wanted a number, which may be infinite")
    elif isinstance(value, int) and abs(value) >= LARGEST:
        raise wrong(f"{where} is {short(value)}; wanted a number below 10^308")
    elif not isinstance(value, (bool, int, float, str)) and value is not None:
        raise wrong(f"{where} is {short(value)}; wanted a number, a word, true, false or a list of these")


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value
