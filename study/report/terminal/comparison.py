"""Two transforms side by side, as a table."""

from __future__ import annotations

from rich.console import Group
from rich.markup import escape

from study.comparison import SideBySide
from study.measures.estimate import Estimate, Missing, exponential, worded
from study.report.terminal.layout import titled


def comparison_table(comparison: SideBySide, confidence: float) -> Group:
    """One row per measure: both, their difference and ratio. Below, why others are missing."""
    pair = f"{comparison.setting}: {comparison.a} and {comparison.b}"
    table = titled(escape(f"{pair}, {comparison.pairing} ({confidence:.0%} intervals)"))
    for name in ("measure", comparison.a, comparison.b, "difference", "ratio"):
        table.add_column(escape(name), overflow="fold")

    def shown(found: Estimate | Missing) -> str:
        return found.reason if isinstance(found, Missing) else worded(found, confidence)

    # Many measures lack their number for one reason, a single learning rate say: that is one line.
    missing: dict[str, list[str]] = {}
    for one in comparison.measures:
        if isinstance(one.difference, Missing):
            missing.setdefault(one.difference.reason, []).append(one.measure)
            continue
        ratio = worded(one.ratio, confidence, exponential) if one.ratio else ""
        row = (f"{one.measure} [{one.unit}]", shown(one.a), shown(one.b), shown(one.difference), ratio)
        table.add_row(*map(escape, row))
    lines = [f"not compared ({escape(reason)}): {', '.join(names)}" for reason, names in missing.items()]
    return Group(table, *lines, "")
