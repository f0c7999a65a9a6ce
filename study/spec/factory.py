"""Which functions a spec may call: those that say so, and those that the user wrote beside the spec."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, TypeVar

from study.spec.user_source import is_installed
from trainers.naming import short

T = TypeVar("T")
MARK = "__stability_study_factory__"
OWN = "and name that one, as in {{factory: 'mine:{name}'}}"
ADD = "write `from study import factory` and, above its def, `@factory`"


def factory(function: T) -> T:
    """Say that specs may call a function as `{factory: 'package.module:name'}`.

    A function that is written in a module beside the spec needs no such word. One of an installed package
    does, beside `--allow PACKAGE`, and so does an object that a module takes from elsewhere.

    Args:
        function: a function, a class, or another object that can be called. It stays as it is.

    Raises:
        TypeError: it cannot carry the word, as a function that is built into Python cannot.

    Example:
        >>> from study import factory
        >>> from trainers import make_transform
        >>> @factory
        ... def gentle():
        ...     return make_transform("clip_norm", max_norm=0.1)
    """
    try:
        setattr(function, MARK, True)
    except (AttributeError, TypeError):
        found = f"found {short(function)}, which cannot be marked as a factory"
        raise TypeError(f"{found}; write a function of your own that calls it") from None
    return function


def check_factory(reference: str, found: Any, path: Path, *, beside: bool) -> None:
    """Refuse what a spec may not call.

    A spec is data, which people pass on. Any callable of any package would make a programme of it:
    `yaml:unsafe_load` with the right constant is a shell. A plain function or class in a module beside the
    spec is the user's own, and was written in order to be named there. What such a module merely imports
    was not.

    Args:
        path: of the module that the name was looked up in.
        beside: the module lies beside the spec.

    Raises:
        ValueError: one line that says what to add.
    """
    # Not `getattr`: objects that answer to every name would say yes, and a subclass is not its parent.
    if getattr(found, "__dict__", {}).get(MARK) is True:
        return
    module, _, name = reference.partition(":")
    if not beside and is_installed(path):
        # Nobody can be told to edit it: the next update would undo that.
        do = f"write a small function of your own beside the spec that calls it, {OWN.format(name=name)}"
        raise ValueError(f"{reference} does not say that it is a factory, and is installed; {do}")
    if not beside:
        raise ValueError(f"{reference} does not say that it is a factory; in {path.name}, {ADD}")
    if not (inspect.isfunction(found) or inspect.isclass(found)) or found.__module__ != module:
        do = f"write there `from study import factory` and `{name} = factory({name})`"
        raise ValueError(f"{reference} is not a function that {path.name} itself defines; {do}")
