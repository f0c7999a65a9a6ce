"""A paper's numbers beside a study's, as JSON has them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from study.analysis import Analysis
from study.measures.estimate import Estimate
from study.papers.agreement import RULE, Row, rows
from study.papers.tables import PublishedTable


def published_values(analysis: Analysis, table: PublishedTable) -> dict[str, Any]:
    """A table with its recipe, and all of its rows."""
    confidence = analysis.plan.spec.region.confidence
    about = {name: value for name, value in asdict(table).items() if name not in ("rows", "margin")}
    return about | {
        "rule": RULE,
        "confidence": confidence,
        "rows": [published_row(row, confidence) for row in rows(analysis, table)],
        "margin": table.margin,
    }


def published_row(row: Row, confidence: float) -> dict[str, Any]:
    """One published number beside this study's."""
    return {
        "model": row.published.model,
        "method": row.published.method,
        "transform": row.published.transform,
        "published": row.published.value,
        "setting": row.setting,
        "n_seeds": row.n_seeds,
        "last": score_values(row.last, confidence),
        "best": score_values(row.best, confidence),
        "agreement": row.agreement,
        "reason": row.reason,
        "differences": row.differences,
    }


def score_values(found: Estimate | None, confidence: float) -> dict[str, Any] | None:
    """A score over seeds; its unit stands once, at the table."""
    if found is None:
        return None
    return {"estimate": found.mean, "interval": found.interval(confidence), "per_seed": found.values_S}
