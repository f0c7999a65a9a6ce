"""A paper's gains on corrupted inputs beside a study's, as JSON has them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from study.analysis import Analysis
from study.papers.gains import GainRow, GainTable, gain_rows
from study.report.plain.published import score_values


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
