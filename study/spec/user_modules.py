"""Which modules of the user's own a spec may name, and where their files lie. Nothing of them runs here."""

from __future__ import annotations

import ast
import importlib
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from study.spec.problem import wrong
from study.spec.user_source import ROOMS, is_installed, parents_of, source_hash
from trainers.naming import nearest, short

ALLOW = "STABILITY_STUDY_ALLOW"
"""Names packages that specs may name, with blanks between them, as `--allow` does."""
FORM = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


@dataclass(frozen=True)
class Module:
    """A module of the user's own.

    Attributes:
        path: its file.
        folder: that of the spec, where it lies beside one; empty for a package that the user allowed.
    """

    name: str
    path: Path
    folder: str

    @property
    def root(self) -> Path:
        """The folder in which an import looks for it, or for the package that it lies in."""
        return self.path.parents[self.name.count(".") + (self.path.name == "__init__.py")]

    @property
    def source(self) -> str:
        """The hash of the source that decides what it does: another hash, other numbers."""
        return source_hash(self.name, self.path)

    def takes_lists(self, function: str) -> dict[str, bool]:
        """The parameters of one of its functions, and whether the default of each is a list.

        It is read from the text, and knows nothing of a function that is made in another way than by `def`.
        """
        found: dict[str, bool] = {}
        for node in ast.parse(self.path.read_bytes()).body:
            if isinstance(node, ast.ClassDef) and node.name == function:
                inside = [one for one in node.body if isinstance(one, ast.FunctionDef)]
                node = next((one for one in inside if one.name == "__init__"), node)
            elif not isinstance(node, ast.FunctionDef) or node.name != function:
                continue
            if isinstance(node, ast.FunctionDef):
                found = {name: isinstance(of, (ast.List, ast.Tuple)) for name, of in _defaults(node.args)}
        return found


def _defaults(takes: ast.arguments) -> Iterator[tuple[str, ast.expr | None]]:
    by_place = [*takes.posonlyargs, *takes.args]
    without: list[ast.expr | None] = [None] * (len(by_place) - len(takes.defaults))
    for one, of in zip(by_place, [*without, *takes.defaults], strict=True):
        yield one.arg, of
    for one, of in zip(takes.kwonlyargs, takes.kw_defaults, strict=True):
        yield one.arg, of


@dataclass(frozen=True)
class OwnCode:
    """Where the code that a spec names is looked for, and whether it may run.

    Attributes:
        folder: of the spec; modules beside it are the user's own. Empty where there is none.
        allowed: packages that the user named.
        runs: factories are called while the spec is read, as before a launch. Otherwise only the files of
            their modules are looked at.
        trusted: the user gave the spec as a file. A text out of a ledger may come from anybody, so that
            nothing that it names ever runs.
        remembered: hashes of sources that a launch noted, by reference.
    """

    folder: str = ""
    allowed: tuple[str, ...] = ()
    runs: bool = False
    trusted: bool = True
    remembered: Mapping[str, str] = field(default_factory=dict, compare=False)

    def find(self, reference: str) -> Module:
        """The module of a reference, from beside the spec or from the packages that the user allowed.

        Raises:
            ValueError: not of the form `package.module:name`, or there is no such module, or the user did not
                allow it.
        """
        check_form(reference)
        name = reference.partition(":")[0]
        top = name.partition(".")[0]
        # `os:system` with constants would be a shell in a data file.
        if top in sys.stdlib_module_names:
            wanted = "wanted a module of yours (rename a file of that name)"
            raise ValueError(f"{reference}: {name!r} is Python's own; {wanted}")
        importlib.invalidate_caches()
        path = file_of(name, [self.folder]) if self.folder else None
        elsewhere = _spec(top)
        allowed = any(name == one or name.startswith(f"{one}.") for one in self.allowed)
        # Beside a spec in the root of a checkout lies this package itself, and `study:launch` is no factory.
        if top in ROOMS and not allowed:
            raise ValueError(f"{reference}: {top!r} is a part of Stability Study; wanted a module of yours")
        if (
            path is not None
            and top not in ROOMS
            and (elsewhere is None or _is_beside(elsewhere, self.folder))
        ):
            return Module(name, path, self.folder)
        if allowed:
            path = file_of(name, None)
            if path is None:
                raise ValueError(
                    f"there is no module {name!r}; looked in PYTHONPATH and the installed packages"
                )
            return Module(name, path, "")
        if path is not None:
            do = f"rename the file, or name the package with --allow {top} if you mean that one"
            raise ValueError(f"module {name!r} beside the spec has the name of an installed package; {do}")
        if elsewhere is not None and (file := file_of(name, None)) is not None:
            own = "write a function of your own there that calls it" if is_installed(file) else "put it there"
            do = f"{own}, or name its package with --allow {top} if you trust it"
            raise ValueError(f"module {name!r} does not lie beside the spec, in {self._where}; {do}")
        raise ValueError(f"there is no module {name!r} beside the spec, in {self._where}{self._near(name)}")

    def source_of(self, reference: str) -> str:
        """The hash of the source behind a name: that of its files, or what a launch noted of it.

        Raises:
            ValueError: neither is known.
        """
        if not self.trusted and reference in self.remembered:
            return self.remembered[reference]
        try:
            return self.find(reference).source
        except ValueError:
            if self.runs or reference not in self.remembered:
                raise
            return self.remembered[reference]

    def place_of(self, reference: str) -> str | None:
        """What `Choice.folder` says: where the module lies, or None where its code must not run."""
        if not self.trusted:
            return None
        try:
            return self.find(reference).folder
        # Known from the launch alone; nothing that only reads needs more.
        except ValueError:
            return None

    @property
    def _where(self) -> str:
        if not self.folder:
            return "no folder: it was not given as a file"
        return "the current folder" if Path(self.folder) == Path.cwd() else self.folder

    def _near(self, name: str) -> str:
        try:
            inside = list(Path(self.folder).iterdir()) if self.folder else []
        except OSError:
            inside = []
        beside = [path.stem for path in inside if path.suffix == ".py" or (path / "__init__.py").exists()]
        return nearest(name.partition(".")[0], beside)


def check_form(reference: str) -> None:
    """Refuse what is not written as a reference.

    Raises:
        FieldError: found, wanted.
    """
    if not FORM.fullmatch(reference):
        wanted = "wanted 'package.module:name': a module as in an import, a colon, and a name in it"
        raise wrong(f"found {short(reference)}; {wanted}", shows_value=True)


def allowed_packages(given: Iterable[str] | None = None) -> tuple[str, ...]:
    """The packages that the user named, or those of the environment where none is."""
    return tuple(given or os.environ.get(ALLOW, "").split())


def file_of(name: str, folders: Collection[str] | None) -> Path | None:
    """The file of a module in these folders, or on Python's path; None where there is none.

    Packages that it lies in are looked into, and not imported as `importlib.util.find_spec` would.
    """
    found: ModuleSpec | None = None
    within = folders
    for one in (*parents_of(name), name):
        found = _spec(one, within)
        if found is None:
            return None
        within = found.submodule_search_locations or ()
    # Not resolved: what a linked file imports is looked for beside the link.
    return Path(found.origin) if found and found.has_location and found.origin else None


def look_in(folder: str) -> None:
    """Have imports find the modules of a folder, after everything else.

    A file there must not hide an installed package. Folders of other specs stay, because their functions may
    import when they are called, and come later.
    """
    if folder in sys.path and folder not in _own_folders:
        return
    others = [one for one in _own_folders if one != folder]
    _own_folders[:] = [folder, *others]
    sys.path[:] = [one for one in sys.path if one not in _own_folders] + _own_folders


_own_folders: list[str] = []
"""What `look_in` added to Python's path."""


def _spec(name: str, within: Collection[str] | None = None) -> ModuleSpec | None:
    if within is not None:
        return PathFinder.find_spec(name, list(within))
    usual = [one for one in sys.path if one not in _own_folders]
    # Packages that are installed to be edited have finders of their own.
    for finder in sys.meta_path:
        found = finder.find_spec(name, usual)
        if found is not None:
            return found
    return None


def _is_beside(found: ModuleSpec, folder: str) -> bool:
    """Whether what Python would import of that name is what lies in the folder."""
    beside = _spec(found.name, [folder])
    return beside is not None and _place(found) == _place(beside)


def _place(found: ModuleSpec) -> Path | None:
    # A package without `__init__` has no file, but folders.
    place = found.origin if found.has_location else next(iter(found.submodule_search_locations or ()), None)
    return Path(place).resolve() if place else None
