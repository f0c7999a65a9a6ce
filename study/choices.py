"""Methods that a spec chooses: a name, and the constants that are given for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from typing import Any

from pydantic import BeforeValidator

from study.names import TABLES, known
from trainers.naming import nearest


@dataclass(frozen=True)
class Choice:
    """A name of one of the trainers' tables and its constants, sorted by name."""

    name: str
    constants: tuple[tuple[str, Any], ...] = ()

    @property
    def label(self) -> str:
        """What tables and pictures call it: `clip_norm`, or `clip_norm(max_norm=0.5)`."""
        return label(self.name, self.constants)

    @property
    def written(self) -> str | dict[str, Any]:
        """As a spec has it."""
        return {"name": self.name, **dict(self.constants)} if self.constants else self.name

    def keywords(self) -> dict[str, Any]:
        return dict(self.constants)


def label(name: str, constants: tuple[tuple[str, Any], ...]) -> str:
    """`name`, or `name(constant=value, …)` where constants differ from the defaults."""
    inside = ", ".join(f"{key}={value!r}" for key, value in constants)
    return f"{name}({inside})" if inside else name


def _check_transform(name: str, constants: dict[str, Any]) -> None:
    from trainers.transforms import make_transform

    make_transform(name, **constants)


def _check_optimizer(name: str, constants: dict[str, Any]) -> None:
    from trainers.optimizers import make_optimizer

    make_optimizer(name, **constants)


def _check_model(name: str, constants: dict[str, Any]) -> None:
    from trainers.models import model_factory

    model_factory(name, **constants)


def _check_workload(name: str, constants: dict[str, Any]) -> None:
    from trainers.naming import check_keywords
    from trainers.workloads import WORKLOADS

    check_keywords(f"workload {name!r}", constants, inspect.signature(WORKLOADS[name]), skip=2)


CHECKS: dict[str, Callable[[str, dict[str, Any]], None]] = {
    "transform": _check_transform,
    "optimizer": _check_optimizer,
    "model": _check_model,
    "workload": _check_workload,
}
"""Whether constants fit a method; called only when a spec gives some, because it needs torch."""


def factories(kind: str) -> Mapping[str, Callable[..., Any]]:
    """The trainers' table of a kind; needs torch."""
    found: Mapping[str, Callable[..., Any]] = getattr(import_module(f"trainers.{kind}s"), TABLES[kind])
    return found


def variants(kind: str, item: Any) -> list[Any]:
    """The mappings that one mapping stands for: a constant that is given a list, and does not take lists, is an axis.

    `{name: autoscale, numerator: [2, 8]}` is `{name: autoscale, numerator: 2}` and `{name: autoscale, numerator: 8}`; several
    lists give all combinations. A constant whose default is a list (`hidden` of the MLP) is left alone.

    Raises:
        ValueError: the list is empty.
    """
    if not isinstance(item, Mapping) or item.get("name") not in known(kind):
        return [item]
    axes = {key: value for key, value in item.items() if isinstance(value, list)}
    if axes:
        takes = inspect.signature(factories(kind)[item["name"]]).parameters
        axes = {key: value for key, value in axes.items() if key in takes and not isinstance(takes[key].default, (list, tuple))}
    for key, values in axes.items():
        if not values:
            raise ValueError(f"{kind} {item['name']!r}: {key} is an empty list; give at least one value")
    return [{**item, **dict(zip(axes, chosen, strict=True))} for chosen in product(*axes.values())]


def choices_of(kind: str) -> BeforeValidator:
    """Reads one choice or a list of them: a name, or a mapping with `name` and constants."""

    def read(value: Any) -> tuple[Choice, ...]:
        if isinstance(value, tuple) and all(isinstance(one, Choice) for one in value):
            return value
        items = value if isinstance(value, list) else [value]
        if not items:
            raise ValueError(f"the list is empty; give at least one {kind}")
        many = isinstance(value, list)
        found, problems = [], []
        for k, item in enumerate(items):
            try:
                found += [_choice(kind, one) for one in variants(kind, item)]
            except (ValueError, TypeError) as error:
                problems.append(f"[{k}]: {error}" if many else str(error))
        for k, one in enumerate(found):
            if one in found[:k]:
                problems.append(f"{kind} {one.label!r} stands twice; each may stand once")
        if problems:
            raise ValueError("\n".join(problems))
        return tuple(found)

    return BeforeValidator(read)


def _choice(kind: str, item: Any) -> Choice:
    names = known(kind)
    if isinstance(item, Mapping):
        content = dict(item)
        if "name" not in content:
            raise ValueError(f"found a mapping without 'name'; wanted a {kind}'s name and its constants; known: {', '.join(names)}")
        name = content.pop("name")
    else:
        name, content = item, {}
    if not isinstance(name, str):
        raise ValueError(f"found {name!r}; wanted the name of a {kind}; known: {', '.join(names)}")
    if name not in names:
        raise ValueError(f"unknown {kind} {name!r}; known: {', '.join(names)}{nearest(name, names)}")
    for key, value in content.items():
        if not isinstance(key, str):
            raise ValueError(f"{kind} {name!r}: {key!r} is not the name of a constant")
        _check_plain(f"{kind} {name!r}: {key}", value)
    if content:
        CHECKS[kind](name, content)
    return Choice(name, tuple(sorted((key, _frozen(value)) for key, value in content.items())))


def _check_plain(where: str, value: Any) -> None:
    if isinstance(value, list):
        for one in value:
            _check_plain(where, one)
    elif not isinstance(value, (bool, int, float, str)) and value is not None:
        raise ValueError(f"{where} is {value!r}; wanted a number, a word, true, false or a list of these")


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value
