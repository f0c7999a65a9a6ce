"""What a user's module is made of: its own file, those that it imports from beside it, and their hash."""

from __future__ import annotations

import ast
import hashlib
import sys
from pathlib import Path
from types import ModuleType

ROOMS = ("search_spaces", "trainers", "tracking", "study")
"""This package's own code stands for itself in `trainers.workloads.base.NUMERICS`."""
INSTALLED = ("site-packages", "dist-packages")


def source_hash(module: ModuleType) -> str:
    """Sixteen hexadecimal digits of a hash of the module's files, by name."""
    digest = hashlib.sha256()
    for name, path in sorted(files_of(module).items()):
        # A checkout on another system may have other line ends; the cells trained there are the same.
        digest.update(f"{name}\n".encode() + path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:16]


def files_of(module: ModuleType) -> dict[str, Path]:
    """The files that decide what a module does, by module name.

    From its own file on, every import is followed to files of its own package and to modules of the folder
    that its package lies in. The standard library, installed packages and this package are not followed.
    """
    if getattr(module, "__file__", None) is None:
        return {}
    own = Path(str(module.__file__))
    root = own.parents[module.__name__.count(".") + (own.name == "__init__.py")]
    top = module.__name__.partition(".")[0]
    found: dict[str, Path] = {}
    waiting = [(module.__name__, own)]
    # Files are read and not imported: an import inside a function counts too, and has not happened yet.
    while waiting:
        name, path = waiting.pop()
        if name in found or not path.is_file():
            continue
        found[name] = path
        for other in parents_of(name) + (_imported(name, path) if path.suffix == ".py" else []):
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


def _imported(name: str, path: Path) -> list[str]:
    """Names of modules that a file may import."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return []
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
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
    return every
