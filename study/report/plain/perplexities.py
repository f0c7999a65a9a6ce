"""A paper's perplexities beside a study's, as JSON has them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from study.analysis import Analysis
from study.measures.estimate import exponential
from study.papers.agreement import RULE
from study.papers.perplexities import PerplexityTable
from study.papers.perplexity_rows import MARGIN, PER_BYTE, PerplexityRow, perplexity_rows


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
