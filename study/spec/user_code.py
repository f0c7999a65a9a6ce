"""A user's own code, named `package.module:name` in a spec: found, imported, and its results checked.

Importing a module runs it. Only specs that the user gives as files name modules, and only those are imported.
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

from study.spec.problem import wrong
from study.spec.user_source import INSTALLED, ROOMS, files_of, parents_of, source_hash
from trainers.naming import nearest, short

FORM = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
LOOKED_IN = (
    "looked in PYTHONPATH, the installed packages and the current folder: "
    "run from the folder that holds it, or name that folder in PYTHONPATH"
)
_seen: dict[str, str] = {}
"""The hash of the source with which each of the user's modules was imported."""


def load(reference: str) -> Any:
    """The object of that name, from PYTHONPATH, the installed packages or the current folder.

    Raises:
        ValueError: not of the form `package.module:name`, no such module or name, or the module cannot be
            imported.
    """
    if not FORM.fullmatch(reference):
        wanted = "wanted 'package.module:name': a module as in an import, a colon, and a name in it"
        raise wrong(f"found {short(reference)}; {wanted}", shows_value=True)
    module_name, _, name = reference.partition(":")
    # `os:system` with constants would be a shell in a data file.
    if module_name.partition(".")[0] in sys.stdlib_module_names:
        wanted = "wanted a module of yours (rename a file of that name)"
        raise ValueError(f"{reference}: {module_name!r} is Python's own; {wanted}")
    module = imported(module_name)
    if not hasattr(module, name):
        file = getattr(module, "__file__", None) or "built in"
        there = [
            key
            for key, value in vars(module).items()
            if not key.startswith("_") and not isinstance(value, ModuleType)
        ]
        raise ValueError(f"module {module_name!r} has no {name!r}; it is {file}{nearest(name, there)}")
    return getattr(module, name)


def returns(reference: str, wanted: type[Any]) -> Callable[..., Any]:
    """The user's factory, whose errors and wrong results are errors in words.

    Raises:
        ValueError: there is none, or (when called) it raised an error.
        TypeError: (when called) it returned something else than `wanted`.
    """
    factory = load(reference)
    if not callable(factory):
        expected = f"wanted a function that returns a {wanted.__name__}"
        raise ValueError(f"{reference} is {short(factory)}; {expected}")

    @wraps(factory)
    def call(*arguments: Any, **constants: Any) -> Any:
        try:
            made = factory(*arguments, **constants)
        # Whatever the user's code raises is about the user's code.
        except Exception as error:
            raise ValueError(f"{reference} raised {error_line(error)}") from error
        if not isinstance(made, wanted):
            expected = f"{wanted.__module__.partition('.')[0]}.{wanted.__name__}"
            raise TypeError(f"{reference} returned {short(made)}; wanted a {expected}")
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
            f"the source of {reference} is {found} here and was {source} when the study was launched; "
            "launch again, with the same files on all machines"
        )


def imported(name: str) -> ModuleType:
    """A module; imported afresh where its files, or the current folder, have changed since.

    Raises:
        ValueError: there is none, or its code raised an error.
    """
    # The current folder comes last: a file there must not hide an installed package.
    if "" not in sys.path:
        sys.path.append("")
    _forget_if_changed(name)
    try:
        # Standard output is for results, which may be JSON.
        with contextlib.redirect_stdout(sys.stderr), _no_bytecode():
            module = importlib.import_module(name)
    # A module that ends Python, as a script does, is a wrong module too.
    except (Exception, SystemExit) as error:
        # The module itself is missing, or a package that it lies in; else it is one that the module imports.
        if isinstance(error, ModuleNotFoundError) and error.name in (name, *parents_of(name)):
            beside = [
                path.stem
                for path in Path.cwd().iterdir()
                if path.suffix == ".py" or (path / "__init__.py").exists()
            ]
            near = nearest(error.name, beside)
            raise ValueError(f"there is no module {error.name!r}; {LOOKED_IN}{near}") from None
        raise ValueError(f"module {name!r} cannot be imported: {error_line(error)}") from None
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
        for other in list(sys.modules):
            if other in beside or other.partition(".")[0] == top:
                del sys.modules[other]
                _seen.pop(other, None)


@contextlib.contextmanager
def _no_bytecode() -> Iterator[None]:
    """Leave no `__pycache__` beside the user's files.

    A stale one would also hide an edit that was made within the same second.
    """
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def error_line(error: BaseException) -> str:
    """An error of the user's code in one line: its type, its words, and the place in the user's files."""
    kind = type(error).__name__
    if isinstance(error, SyntaxError):
        return f"{kind}: {error.msg} ({Path(error.filename or '?').name}, line {error.lineno})"
    words = next(iter(str(error).strip().splitlines()), "")
    # The innermost line is often torch's; what the user can mend is the last line of the user's own.
    where, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if _is_the_users(file):
            where = f" ({Path(file).name}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return f"{kind}: {words[:300]}{where}" if words else f"{kind}{where}"


def _is_the_users(file: str) -> bool:
    path = Path(file)
    house = Path(__file__).parents[2]
    foreign = (*(house / room for room in ROOMS), Path(sysconfig.get_paths()["stdlib"]))
    # Python names code that is in no file `<string>` or `<frozen importlib._bootstrap>`.
    return not (
        file.startswith("<")
        or set(INSTALLED) & set(path.parts)
        or any(path.is_relative_to(folder) for folder in foreign)
    )
