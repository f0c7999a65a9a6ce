"""What the exported files hold: their JSON schemas, the version of these, and the units of all numbers.

The schema files beside this module are the one place where units of columns and keys are written down. A
number has its unit as `x-unit`.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

VERSION = 1
"""Of all schemas. It rises when a key or column goes or changes its meaning, and stays when one is added."""
FOLDER = "schemas"
"""Of the schema files, here and in an export."""
FILES = {
    "cells.parquet": "cells",
    "cells.csv": "cells",
    "regions.json": "regions",
    "claims.json": "claims",
    "provenance.json": "provenance",
}
"""By exported file, the name of its schema."""
METRIC = "as metric_name says"
"""The unit of a column that is in the workload's own metric."""


def text_of(name: str) -> str:
    """The schema file of that name, as it ships."""
    return (files("study.report") / FOLDER / f"{name}.schema.json").read_text(encoding="utf-8")


@cache
def columns() -> dict[str, dict[str, Any]]:
    """What the schema says of every column that `cells.*` may have, by name and in order."""
    found: dict[str, dict[str, Any]] = json.loads(text_of("cells"))["properties"]
    return found


def units(names: list[str], metrics: list[str]) -> dict[str, str]:
    """The units of these columns, of those that are numbers.

    Args:
        metrics: names of all metrics in the table. One alone takes the place of `METRIC`.
    """
    found = {}
    for name in names:
        unit = columns().get(name, {}).get("x-unit")
        if unit is not None:
            found[name] = metrics[0] if unit == METRIC and len(metrics) == 1 else unit
    return found


def schema_values(names: list[str], metrics: list[str]) -> dict[str, Any]:
    """What `provenance.json` says of the schemas: version, files, and units of the columns of `cells.*`.

    Args:
        names: of the columns.
        metrics: as `units` takes them.
    """
    return {
        "version": VERSION,
        "files": {file: f"{FOLDER}/{name}.schema.json" for file, name in FILES.items()},
        "units": units(names, metrics),
    }
