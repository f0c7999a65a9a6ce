"""What a spec calls a method where people read: checked, and told apart from the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from study.spec.method_choice import LABEL, Choice, with_constants
from study.spec.problem import Problem, wrong
from trainers.naming import short

LONGEST = 40
"""Characters of a label. A longer one does not fit above a panel of a picture."""
LABELLED = ("transform", "workload", "model")
"""Kinds of methods that take a label. Claims know an optimizer by its name."""
EXAMPLES = {"transform": "Gradient Stabilizer", "workload": "ETTh1", "model": "small PatchTST"}
BETWEEN = "/"
"""What stands between the labels of a workload and its model, and so in neither."""


def without_label(kind: str, item: Any) -> Any:
    """A method as it is written without its label."""
    if not _has_label(kind, item):
        return item
    rest = {key: value for key, value in item.items() if key != LABEL}
    # A bare name, and a mapping of nothing but a name, are the same method.
    return rest["name"] if set(rest) == {"name"} else rest


def label_of(kind: str, item: Any) -> str:
    """The label of a written method; empty without one.

    Raises:
        ValueError: it is no short text of one line.
    """
    if not _has_label(kind, item):
        return ""
    given = item[LABEL]
    wanted = f"wanted a text of 1 to {LONGEST} characters in one line, such as {EXAMPLES[kind]}"
    if not isinstance(given, str):
        raise wrong(f"found {short(given)}; {wanted}", LABEL, shows_value=True)
    if not given.strip() or given != given.strip():
        raise wrong(f"found {short(given)}, empty or with space around it; {wanted}", LABEL, shows_value=True)
    if len(given) > LONGEST:
        raise wrong(f"found {len(given)} characters; {wanted}", LABEL, shows_value=True)
    if kind != "transform" and BETWEEN in given:
        raise wrong(f"found {short(given)}, with a {BETWEEN}; {wanted}", LABEL, shows_value=True)
    if not given.isprintable():
        raise wrong(
            f"found {short(given)}, of which a part cannot be printed; {wanted}", LABEL, shows_value=True
        )
    return given


def _has_label(kind: str, item: Any) -> bool:
    return kind in LABELLED and isinstance(item, Mapping) and LABEL in item


def titled(found: Sequence[Choice]) -> tuple[Choice, ...]:
    """The same choices. Variants of one method that share a label have their constants behind it."""
    shared = Counter(one.label for one in found if one.label)
    return tuple(
        replace(one, shown=with_constants(one.label, one.telling)) if shared[one.label] > 1 else one
        for one in found
    )


def twice(kind: str, found: Sequence[Choice]) -> Iterator[Problem]:
    """What would be shown under one name, although it is different."""
    for given in dict.fromkeys(one.label for one in found if one.label):
        methods = {one.name for one in found if one.label == given}
        if len(methods) > 1:
            yield Problem(
                f"{LABEL} {short(given)} appears at {' and '.join(sorted(methods))}; give each its own"
            )
    titles = titled(found)
    technical = {one.technical_name: one for one in found}
    for title in dict.fromkeys(one.title for one in titles):
        # One label at two methods is said above.
        if len({one.label for one in titles if one.title == title}) > 1:
            yield Problem(f"{LABEL}: {short(title)} would be shown for two {kind}s; give each its own")
    for one in titles:
        other = technical.get(one.title)
        if one.label and other is not None and other.technical_name != one.technical_name:
            yield Problem(
                f"{LABEL} {short(one.title)} is the name of another {kind}; give a label of its own"
            )
