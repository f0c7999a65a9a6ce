"""A paper's perplexities beside a study's."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Group
from rich.markup import escape

from study.analysis import Analysis
from study.measures.estimate import exponential, worded
from study.papers.agreement import NOT_COMPARABLE, RULE
from study.papers.perplexities import NAMES, TABLES, PerplexityTable
from study.papers.perplexity_rows import (
    BYTES,
    MARGIN,
    PER_BYTE,
    PerplexityRow,
    perplexity_rows,
    perplexity_tables,
)
from study.report.paper_tables.kind import Kind, reasons
from study.report.terminal.layout import titled


def perplexity_values(analysis: Analysis, table: PerplexityTable) -> dict[str, Any]:
    """A table with its recipe, and all of its rows."""
    confidence = analysis.plan.spec.region.confidence
    about = {name: value for name, value in asdict(table).items() if name != "rows"}
    return about | {
        "unit": "perplexity, exp of nats per token",
        "rule": RULE,
        "note": PER_BYTE,
        "confidence": confidence,
        "margin_nats": MARGIN,
        "rows": [perplexity_row(row, confidence) for row in perplexity_rows(analysis, table)],
    }


def perplexity_row(row: PerplexityRow, confidence: float) -> dict[str, Any]:
    """One published perplexity beside this study's."""
    interval = row.nats.interval(confidence) if row.nats else None
    return {
        **asdict(row.printed),
        "published": row.printed.value,
        "setting": row.setting,
        "n_seeds": row.n_seeds,
        "size_here": row.size,
        "tokens_here": row.tokens,
        "nats_per_token": row.nats.mean if row.nats else None,
        "perplexity": exponential(row.nats.mean) if row.nats else None,
        "interval": [exponential(one) for one in interval] if interval else None,
        "per_seed_nats": row.nats.values_S if row.nats else None,
        "agreement": row.agreement,
        "reason": row.reason,
        "differences": row.differences,
    }


def perplexity_table(analysis: Analysis, table: PerplexityTable) -> Group:
    """A row per published number. Below, why numbers are not comparable, and what the paper leaves open."""
    spec, found = analysis.plan.spec, perplexity_rows(analysis, table)
    confidence = spec.region.confidence
    title = (
        f"{table.source}, {table.title}, at its lr and weight decay, beside {spec.name} "
        f"({confidence:.0%} intervals over seeds)"
    )
    shown = titled(escape(title), padding=(0, 1, 0, 0))
    names = (
        "size",
        "arithmetic",
        "method",
        "paper, per token",
        "here, size",
        "a token here",
        "perplexity",
        "n",
        "",
    )
    for name in names:
        shown.add_column(name, overflow="fold", no_wrap=name in ("size", "perplexity", "n"))
    for row in found:
        shown.add_row(*map(escape, cells(row, table, confidence)))
    lines = reasons(found)
    if any(row.tokens.startswith(BYTES) and row.agreement == NOT_COMPARABLE for row in found):
        lines.append(f"  Do not read the two columns beside each other: {PER_BYTE}.")
    seeds = "no number of seeds" if table.seeds is None else f"{table.seeds} seeds"
    return Group(
        shown,
        *lines,
        f"The paper gives {seeds}. It leaves open: {escape('; '.join(table.unknown))}.",
        f"{RULE}.",
        f"Perplexity is exp of the mean over seeds of nats per token, and the margin {MARGIN:g} of these.",
        "",
    )


def cells(row: PerplexityRow, table: PerplexityTable, confidence: float) -> tuple[str, ...]:
    """What stands in a row."""
    one = row.printed
    here = "–" if row.nats is None else worded(row.nats, confidence, exponential, f".{table.decimals}f")
    return (
        one.size,
        f"{one.optimizer}, {NAMES[one.arithmetic]}",
        one.method,
        f"{one.value:.{table.decimals}f}",
        row.size or "–",
        row.tokens or "–",
        here,
        str(row.n_seeds) if row.n_seeds else "–",
        row.agreement,
    )


PERPLEXITIES = Kind(TABLES, perplexity_tables, perplexity_values, perplexity_table)
