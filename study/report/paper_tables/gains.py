"""A paper's gains on corrupted inputs beside a study's."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Group
from rich.markup import escape

from study.analysis import Analysis
from study.measures.estimate import worded
from study.papers.gains import TABLES, GainRow, GainTable, gain_rows, gain_tables
from study.report.paper_tables.kind import Kind, reasons, score_values
from study.report.terminal.layout import titled


def gain_values(analysis: Analysis, table: GainTable) -> dict[str, Any]:
    """A table with what the paper did, and all of its rows."""
    confidence = analysis.plan.spec.region.confidence
    rows = [gain_row(row, confidence) for row in gain_rows(analysis, table)]
    return asdict(table) | {"confidence": confidence, "rows": rows}


def gain_row(row: GainRow, confidence: float) -> dict[str, Any]:
    """One level beside this study's gain."""
    return {
        "level": row.level,
        "published": row.printed,
        "data": row.data,
        "model": row.model,
        "n_seeds": row.n_seeds,
        "base": score_values(row.base, confidence),
        "gain": score_values(row.gain, confidence),
        "agreement": row.agreement,
        "reason": row.reason,
        "differences": row.differences,
    }


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
    return Group(
        shown,
        *reasons(found),
        f"A gain is {table.metric} of AdamW less that of {table.transform}, each at the cell that is best on "
        "the other seeds.",
        f"The paper leaves open: {escape('; '.join(table.unknown))}.",
        "",
    )


GAINS = Kind(TABLES, gain_tables, gain_values, gain_table)
