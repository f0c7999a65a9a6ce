"""A user's own code, named `package.module:name` in a spec: found, imported, and held to what it shall return.

Importing a module runs it. Only specs that the user gives as files name modules, and only those modules are imported.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from study.spec.user_source import INSTALLED, files_of, source_hash
from trainers.naming import nearest, short

FORM = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_seen: dict[str, str] = {}
"""The hash of the source with which each of the user's modules was imported."""


def load(reference: str) -> Any:
    """The object of that name, from PYTHONPATH, the installed packages or the current folder.

    Raises:
        ValueError: not of the form `package.module:name`, no such module or name, or the module cannot be imported.
    """
    if not FORM.fullmatch(reference):
        raise ValueError(
            f"found {short(reference)}; wanted 'package.module:name': a module as in an import, a colon, and a name in it"
        )
    module_name, _, name = reference.partition(":")
    if (
        module_name.partition(".")[0] in sys.stdlib_module_names
    ):  # `os:system` with constants would be a shell in a data file
        raise ValueError(
            f"{reference}: {module_name!r} is Python's own; wanted a module of yours (a file of that name needs another)"
        )
    module = imported(module_name)
    if not hasattr(module, name):
        there = [
            key
            for key, value in vars(module).items()
            if not key.startswith("_") and not isinstance(value, ModuleType)
        ]
        raise ValueError(
            f"module {module_name!r} has no {name!r}; it is {getattr(module, '__file__', None) or 'built in'}{nearest(name, there)}"
        )
    return getattr(module, name)


def returns(reference: str, wanted: type[Any]) -> Callable[..., Any]:
    """The user's factory, whose errors and wrong results are errors in words.

    Raises:
        ValueError: there is none, or (when called) it raised an error. TypeError: (when called) it returned something else than `wanted`.
    """
    factory = load(reference)
    if not callable(factory):
        raise ValueError(
            f"{reference} is {short(factory)}; wanted a function that returns a {wanted.__name__}"
        )

    @wraps(factory)
    def call(*arguments: Any, **constants: Any) -> Any:
        try:
            made = factory(*arguments, **constants)
        except Exception as error:  # whatever the user's code raises is about the user's code
            raise ValueError(f"{reference} raised {told(error)}") from error
        if not isinstance(made, wanted):
            raise TypeError(
                f"{reference} returned {short(made)}; wanted a {wanted.__module__.partition('.')[0]}.{wanted.__name__}"
            )
        return made

    return call


def source_of(reference: str) -> str:
    """The hash of the source behind a name: another hash, other numbers."""
    return source_hash(imported(reference.partition(":")[0]))


def check_source(reference: str, source: str) -> None:
    """Refuse to train with other code than the launch saw, whose numbers would be stored under the wrong key.

    Raises:
        ValueError: the module here is not the module there.
    """
    found = source_of(reference)
    if found != source:
        raise ValueError(
            f"the source of {reference} is {found} here and was {source} when the study was launched; launch again, with the same files on all machines"
        )


def imported(name: str) -> ModuleType:
    """A module; imported afresh where its files, or the current folder, have changed since.

    Raises:
        ValueError: there is none, or its code raised an error.
    """
    if "" not in sys.path:
        sys.path.append(
            ""
        )  # the current folder, last: a file there must not stand before an installed package
    _forget_if_changed(name)
    try:
        with contextlib.redirect_stdout(sys.stderr), _no_bytecode():
            module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            beside = [
                path.stem
                for path in Path.cwd().iterdir()
                if path.suffix == ".py" or (path / "__init__.py").exists()
            ]
            where = "looked in PYTHONPATH, the installed packages and the current folder: run from the folder that holds it, or name that folder in PYTHONPATH"
            raise ValueError(
                f"there is no module {error.name!r}; {where}{nearest(error.name, beside)}"
            ) from None
        raise ValueError(f"module {name!r} cannot be imported: {told(error)}") from None
    _seen.setdefault(name, source_hash(module))
    return module


def _forget_if_changed(name: str) -> None:
    module, top = sys.modules.get(name), name.partition(".")[0]
    if module is None or name not in _seen:
        return
    importlib.invalidate_caches()
    now, then = importlib.machinery.PathFinder.find_spec(top), getattr(sys.modules.get(top), "__spec__", None)
    moved = now is not None and then is not None and now.origin != then.origin
    gone = module.__file__ is not None and not Path(module.__file__).exists()
    if moved or gone or source_hash(module) != _seen[name]:
        beside = files_of(module)
        for other in [other for other in sys.modules if other in beside or f"{other}.".startswith(f"{top}.")]:
            del sys.modules[other]
            _seen.pop(other, None)


@contextlib.contextmanager
def _no_bytecode() -> Iterator[None]:
    """Leave no `__pycache__` beside the user's files; a stale one would also hide an edit made within the same second."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def told(error: BaseException) -> str:
    """An error of the user's code in a line: its type, its words, and the last line of the user's that it passed through."""
    if isinstance(error, SyntaxError):
        return (
            f"{type(error).__name__}: {error.msg} ({Path(error.filename or '?').name}, line {error.lineno})"
        )
    words = next(iter(str(error).strip().splitlines()), "")
    where, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if _is_the_users(file):
            where = f" ({Path(file).name}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}{': ' * bool(words)}{words[:300]}{where}"


def _is_the_users(file: str) -> bool:
    path = Path(file)
    house = Path(__file__).parents[1]
    ours = any(
        path.is_relative_to(house / room) for room in ("search_spaces", "trainers", "tracking", "study")
    )
    return not (
        file.startswith("<")
        or ours
        or set(INSTALLED) & set(path.parts)
        or path.is_relative_to(sysconfig.get_paths()["stdlib"])
    )
