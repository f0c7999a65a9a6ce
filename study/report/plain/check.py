"""What `study check` found, as JSON has it."""

from __future__ import annotations

from typing import Any

from study.check import Check


def check_values(found: Check) -> dict[str, Any]:
    """What of a home is whole."""
    parts = {}
    for part in found.parts:
        parts[part.name] = {"whole": part.whole, **part.facts, "problems": part.problems}
    parts["ledger"]["damaged_records"] = found.parts[0].damaged
    return {"home": str(found.home), "whole": found.whole, **parts}
