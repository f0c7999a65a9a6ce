"""Two transforms side by side, as tables."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from study.comparison import Compared, SideBySide
from study.measures.estimate import Estimate, Missing, exponential, worded
from study.report.terminal.layout import titled


def comparison_table(comparison: SideBySide, confidence: float, *, everything: bool = False) -> Group:
    """The measures whose difference excludes 0, the clearest first; below, which do not, and which lack one.

    Args:
        everything: those that include 0 have a table too.
    """
    known = [one for one in comparison.measures if isinstance(one.difference, Estimate)]
    apart = sorted(
        (one for one in known if clear(one, confidence)), key=lambda one: -clearness(one, confidence)
    )
    open_ = [one for one in known if not clear(one, confidence)]
    pair = f"{comparison.setting}: {comparison.titles[0]} and {comparison.titles[1]}"
    title = escape(f"{pair}, {comparison.pairing} ({confidence:.0%} intervals)")
    blocks: list[Table | str] = []
    if apart:
        blocks.append(
            table_of(
                f"{title}\nDifferences that exclude 0, the clearest first", comparison, apart, confidence
            )
        )
        by_chance = (1 - confidence) * len(known)
        blocks.append(
            f"{len(apart)} of {len(known)} measures. Each interval holds for itself: by chance about "
            f"{by_chance:.1f} of {len(known)} would exclude 0."
        )
    elif known:
        blocks.append(f"{title}\nNo difference excludes 0, of {len(known)} measures.")
    else:
        blocks.append(title)
    if open_ and everything:
        blocks += [
            "",
            table_of("Differences that include 0, or have no interval", comparison, open_, confidence),
        ]
    elif open_:
        names = ", ".join(one.measure for one in open_)
        blocks.append(f"not decidable ({len(open_)}; --all shows their numbers): {escape(names)}")
    return Group(*blocks, *missing_lines(comparison), "")


def table_of(title: str, comparison: SideBySide, rows: Iterable[Compared], confidence: float) -> Table:
    """One row per measure: the difference first, then its ratio, and both."""
    table = titled(title)
    a, b = comparison.titles
    columns = ("measure", f"{a} - {b}", "ratio", a, b)
    rows = list(rows)
    # Names of measures wrap before the numbers that the table is about.
    widest = max(len(shown(one.difference, confidence)) for one in rows)
    for name in columns:
        table.add_column(escape(name), overflow="fold", min_width=widest if name == columns[1] else None)
    for one in rows:
        ratio = worded(one.ratio, confidence, exponential) if one.ratio else ""
        numbers = (shown(found, confidence) for found in (one.a, one.b))
        row = (f"{one.measure} [{one.unit}]", shown(one.difference, confidence), ratio, *numbers)
        table.add_row(*map(escape, row))
    return table


def missing_lines(comparison: SideBySide) -> list[str]:
    """The measures without a difference. Many lack it for one reason, which is one line."""
    missing: dict[str, list[str]] = {}
    for one in comparison.measures:
        if isinstance(one.difference, Missing):
            missing.setdefault(one.difference.reason, []).append(one.measure)
    return [f"not compared ({escape(reason)}): {', '.join(names)}" for reason, names in missing.items()]


def shown(found: Estimate | Missing, confidence: float) -> str:
    """A number with its interval, or why there is none."""
    return found.reason if isinstance(found, Missing) else worded(found, confidence)


def clear(one: Compared, confidence: float) -> bool:
    """Whether the interval of a difference excludes 0, and no border of the grid leaves its side open."""
    return clearness(one, confidence) > 1


def clearness(one: Compared, confidence: float) -> float:
    """How many half-widths of its interval a difference is away from 0; 0 where that says nothing."""
    found = one.difference
    if isinstance(found, Missing) or found.n < 2:
        return 0.0
    # A bound on the side of 0 may be on the other side of it in truth.
    if (found.upper_bound and found.mean > 0) or (found.lower_bound and found.mean < 0):
        return 0.0
    half = found.half_width(confidence)
    return abs(found.mean) / half if half else math.inf * abs(found.mean) if found.mean else 0.0
