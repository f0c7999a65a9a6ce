"""The kinds of methods that a spec chooses, and the names that each kind may have."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """A kind of method.

    Attributes:
        key: of a spec, whose value lists methods of this kind.
        table: in `trainers/<kind>s/__init__.py`, whose keys are the names.
        returned: the class of what its factories return.
        leading: the first parameters of every factory of this kind, which are not constants.
    """

    key: str
    table: str
    returned: str
    leading: tuple[str, ...] = ()


KINDS = {
    "workload": Kind("workload", "WORKLOADS", "Workload", ("model", "model_name")),
    "model": Kind("model", "MODELS", "Module", ("shape of an example", "number of outputs")),
    "optimizer": Kind("optimizer", "OPTIMIZERS", "Optimizer"),
    "transform": Kind("transforms", "TRANSFORMS", "Transform"),
}
"""One row per kind."""


@cache
def known(kind: str) -> tuple[str, ...]:
    """The keys of a kind's table, which is a literal by the house's convention."""
    # Parsed and not imported: importing the table imports torch, and `study plan` would take a second more.
    package = find_spec("trainers")
    assert package is not None
    assert package.submodule_search_locations
    source = Path(package.submodule_search_locations[0]) / f"{kind}s" / "__init__.py"
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id == KINDS[kind].table
            and isinstance(node.value, ast.Dict)
        ):
            return tuple(
                key.value
                for key in node.value.keys
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            )
    raise AssertionError(f"{source} has no literal table {KINDS[kind].table}")
