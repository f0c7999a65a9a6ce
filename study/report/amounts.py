"""How many there are of something, as people write it."""

from __future__ import annotations

from study.spec.model import StudySpec


def amount(count: int, noun: str) -> str:
    """`1 transform`, `7 transforms`, `1,764 cells`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size(count: int) -> str:
    """`74 MB`, `1.2 GB`."""
    for unit, one in (("GB", 1e9), ("MB", 1e6)):
        if count >= one:
            return f"{count / one:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"


def lengths(spec: StudySpec) -> str:
    """How many steps the cells of a study take: `150 steps`, or `50 to 100 steps`."""
    found = {condition.budget.steps for condition in spec.all_conditions}
    least = f"{min(found):,} to " if len(found) > 1 else ""
    return f"{least}{amount(max(found), 'step')}"
