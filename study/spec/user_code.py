"""A user's own code, named `package.module:name` in a spec: imported, called, and its results checked.

Importing a module runs it. `study.spec.user_modules` says which modules a spec may name, and
`study.spec.factory` which of their functions are called.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import sysconfig
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from study.spec.factory import check_factory
from study.spec.method_choice import Choice
from study.spec.user_modules import Module, file_of, look_in
from study.spec.user_source import ROOMS, files_of, is_installed
from trainers.naming import nearest, short

_seen: dict[str, tuple[Path, str]] = {}
"""The file and the hash of the source with which each of the user's modules was imported."""


def load(reference: str, module: Module) -> Any:
    """The object of that name, out of its module.

    Raises:
        ValueError: there is none of that name, or the module cannot be imported.
    """
    found = imported(module)
    name = reference.partition(":")[2]
    if not hasattr(found, name):
        there = [
            key
            for key, value in vars(found).items()
            if not key.startswith("_") and not isinstance(value, ModuleType)
        ]
        raise ValueError(f"module {module.name!r} has no {name!r}; it is {module.path}{nearest(name, there)}")
    return getattr(found, name)


def load_factory(reference: str, module: Module, wanted: str) -> Callable[..., Any]:
    """The function that a spec names.

    Args:
        wanted: what it is to return, in a word.

    Raises:
        ValueError: there is none, or it is not one that a spec may call.
    """
    found = load(reference, module)
    if not callable(found):
        raise ValueError(f"{reference} is {short(found)}; wanted a function that returns a {wanted}")
    check_factory(reference, found, module.path, beside=bool(module.folder))
    remember(module)
    factory: Callable[..., Any] = found
    return factory


def factory_of(choice: Choice, wanted: str) -> Callable[..., Any]:
    """The user's function that a choice names, of the same source as the launch saw.

    Args:
        wanted: what it is to return, in a word.

    Raises:
        ValueError: there is none, or its source is not that of the launch.
    """
    reference, module = choice.name, module_of(choice)
    # Before it is imported: numbers of other code than the launch saw would be stored under the wrong key.
    if module.source != choice.source:
        raise ValueError(
            f"the source of {reference} is {module.source} here and was {choice.source} when the study was "
            "launched; launch again, with the same files on all machines"
        )
    return load_factory(reference, module, wanted)


def returns(choice: Choice, wanted: type[Any]) -> Callable[..., Any]:
    """The user's factory, whose errors and wrong results are errors in words.

    Raises:
        ValueError: there is none, its source is not that of the launch, or (when called) it raised an error.
        TypeError: (when called) it returned something else than `wanted`.
    """
    reference, factory = choice.name, factory_of(choice, wanted.__name__)

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


def module_of(choice: Choice) -> Module:
    """The module of a choice's factory, in this process or on a worker.

    Raises:
        ValueError: there is none, or the spec was read out of a home, whose code does not run.
    """
    name = choice.name.partition(":")[0]
    if choice.folder is None:
        do = "give the spec as a file to have it run"
        raise ValueError(f"{choice.name}: code that a home names is not run; {do}")
    path = file_of(name, [choice.folder]) if choice.folder else None
    if path is None:
        # A worker on another machine may have the same files elsewhere: on its path, or where it was started.
        path = file_of(name, None) or file_of(name, [str(Path.cwd())])
    if path is None:
        looked = f"looked in {choice.folder or 'PYTHONPATH'}, the installed packages and {Path.cwd()}"
        raise ValueError(f"there is no module {name!r}; {looked}")
    return Module(name, path, choice.folder)


def imported(module: Module) -> ModuleType:
    """A module; imported afresh where its files, or the folder, have changed since.

    Raises:
        ValueError: its code raised an error, or another module has taken its name.
    """
    if file_of(module.name, None) is None:
        look_in(str(module.root))
    _forget_if_changed(module)
    try:
        # Standard output is for results, which may be JSON.
        with contextlib.redirect_stdout(sys.stderr), _no_bytecode():
            found = importlib.import_module(module.name)
    # A module that ends Python, as a script does, is a wrong module too.
    except (Exception, SystemExit) as error:
        raise ValueError(f"module {module.name!r} cannot be imported: {error_line(error)}") from None
    if Path(found.__file__ or "").resolve() != module.path.resolve():
        taken = f"the name of module {module.name!r}, {module.path}, is that of {found.__file__}"
        raise ValueError(f"{taken}; rename your file")
    if module.folder:
        remember(module)
    return found


def remember(module: Module) -> None:
    """Note with which source a module was imported, so that an edit is seen.

    Packages that the user allowed are noted after a look at what they have: the source of a large one takes
    seconds to read, which nobody should wait for in order to be refused.
    """
    if module.name not in _seen:
        _seen[module.name] = (module.path, module.source)


def _forget_if_changed(module: Module) -> None:
    top = module.name.partition(".")[0]
    if module.name not in sys.modules or module.name not in _seen:
        return
    if _seen[module.name] == (module.path, module.source):
        return
    importlib.invalidate_caches()
    path, _ = _seen[module.name]
    beside = files_of(module.name, path)
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
        file.startswith("<") or is_installed(path) or any(path.is_relative_to(folder) for folder in foreign)
    )
