"""The names that a spec may use, read from the trainers' tables without importing torch (which takes a second)."""

from __future__ import annotations

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path

TABLES = {"transform": "TRANSFORMS", "optimizer": "OPTIMIZERS", "model": "MODELS", "workload": "WORKLOADS"}
"""Each kind of name, and the table in `trainers/<kind>s/__init__.py` whose keys are the names."""


@cache
def known(kind: str) -> tuple[str, ...]:
    """The keys of a kind's table, which is a literal by the house's convention."""
    package = find_spec("trainers")
    assert package is not None
    assert package.submodule_search_locations
    source = Path(package.submodule_search_locations[0]) / f"{kind}s" / "__init__.py"
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id == TABLES[kind]
            and isinstance(node.value, ast.Dict)
        ):
            return tuple(
                key.value
                for key in node.value.keys
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            )
    raise AssertionError(f"{source} has no literal table {TABLES[kind]}")
