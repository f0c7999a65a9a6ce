"""What a user's module is made of: its own file, those that it imports from beside it, and their hash."""

from __future__ import annotations

import ast
import hashlib
import sys
from pathlib import Path

ROOMS = ("search_spaces", "trainers", "tracking", "study")
"""This package's own code stands for itself in `trainers.workloads.base.NUMERICS`."""
INSTALLED = ("site-packages", "dist-packages")


def is_installed(path: Path) -> bool:
    """Whether a file belongs to an installed package, which is nobody's to edit."""
    return bool(set(INSTALLED) & set(path.parts))


def source_hash(name: str, path: Path) -> str:
    """Sixteen hexadecimal digits of a hash of the files of the module of that name and file."""
    digest = hashlib.sha256()
    for other, file in sorted(files_of(name, path).items()):
        # A checkout on another system may have other line ends; the cells trained there are the same.
        digest.update(f"{other}\n".encode() + file.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:16]


def files_of(name: str, path: Path) -> dict[str, Path]:
    """The files that decide what a module does, by module name.

    From its own file on, every import is followed to files of its own package and to modules of the folder
    that its package lies in. The standard library, installed packages and this package are not followed.
    """
    root = path.parents[name.count(".") + (path.name == "__init__.py")]
    top = name.partition(".")[0]
    found: dict[str, Path] = {}
    # A large package imports the same names in thousands of places: each is looked for once.
    asked = {name}
    waiting = [(name, path)]
    # Files are read and not imported: an import inside a function counts too, and has not happened yet.
    while waiting:
        one, file = waiting.pop()
        if one in found or not file.is_file():
            continue
        found[one] = file
        inside = file.suffix == ".py"
        imported = imports_of(one, file.name == "__init__.py", file.read_bytes()) if inside else ()
        for other in {*parents_of(one), *imported} - asked:
            asked.add(other)
            if _followed(other.partition(".")[0], top, root):
                base = root.joinpath(*other.split("."))
                waiting += [(other, base.with_name(f"{base.name}.py")), (other, base / "__init__.py")]
    return found


def _followed(other: str, top: str, root: Path) -> bool:
    return other == top or (
        root.name not in INSTALLED and other not in ROOMS and other not in sys.stdlib_module_names
    )


def parents_of(name: str) -> list[str]:
    """The packages that a module lies in, whose `__init__` runs before it."""
    parts = name.split(".")
    return [".".join(parts[:k]) for k in range(1, len(parts))]


def imports_of(name: str, is_package: bool, content: bytes) -> tuple[str, ...]:
    """Names of modules that a file of that name and content may import."""
    # By content and not by time: an edit within one tick of the clock is another content. A package of
    # thousands of files takes seconds to parse, and a launch wants its hash several times.
    key = (name, is_package, hashlib.sha256(content).digest())
    if key not in _parsed:
        _parsed[key] = _imports(name, is_package, content)
    return _parsed[key]


_parsed: dict[tuple[str, bool, bytes], tuple[str, ...]] = {}


def _imports(name: str, is_package: bool, content: bytes) -> tuple[str, ...]:
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return ()
    package = name.split(".") if is_package else name.split(".")[:-1]
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base:
                found.append(base)
            # `from package import name` may mean the module `package.name`; what is no file is dropped later.
            found += [f"{base}.{alias.name}" if base else alias.name for alias in node.names]
    every: list[str] = []
    for other in found:
        every += [*parents_of(other), other]
    return tuple(dict.fromkeys(every))
