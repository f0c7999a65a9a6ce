"""A paper's gains on corrupted inputs beside a study's, as a table."""

from __future__ import annotations

from collections import Counter

from rich.console import Group
from rich.markup import escape

from study.analysis import Analysis
from study.measures.estimate import worded
from study.papers.gains import GainTable, gain_rows
from study.report.terminal.layout import titled


def gain_table(analysis: Analysis, table: GainTable) -> Group:
    """A row per level of corruption, data and model. Below, why nothing agrees or disagrees."""
    spec, found = analysis.plan.spec, gain_rows(analysis, table)
    confidence = spec.region.confidence
    title = (
        f"{table.source}, {table.title} ({table.model} on {table.data}, {table.runs} runs), "
        f"beside {spec.name} ({confidence:.0%} intervals over seeds)"
    )
    shown = titled(escape(title), padding=(0, 1, 0, 0))
    for name in (
        "data here",
        "model here",
        "level",
        f"{table.metric} of the base",
        "gain here",
        "paper",
        "n",
    ):
        shown.add_column(name, overflow="fold", no_wrap=name not in ("data here", "model here"))
    digits = f".{table.decimals}f"
    for row in found:
        cells = (
            row.data or "–",
            row.model or "–",
            f"{row.level:g}",
            "–" if row.base is None else worded(row.base, confidence, digits=digits),
            "–" if row.gain is None else worded(row.gain, confidence, digits=digits),
            "–" if row.printed is None else f"{row.printed:{digits}}",
            str(row.n_seeds) if row.n_seeds else "–",
        )
        shown.add_row(*map(escape, cells))
    reasons = [
        f"  {agreement} ({count} row{'s' * (count > 1)}): {escape(reason)}"
        for (agreement, reason), count in Counter((row.agreement, row.reason) for row in found).items()
        if agreement
    ]
    return Group(
        shown,
        *reasons,
        f"A gain is {table.metric} of AdamW less that of {table.transform}, each at the cell that is best on "
        "the other seeds.",
        f"The paper leaves open: {escape('; '.join(table.unknown))}.",
        "",
    )
