"""Two transforms side by side, as JSON has them."""

from __future__ import annotations

from typing import Any

from study.comparison import Compared, SideBySide
from study.report.plain.estimates import estimate_or_reason, ratio_values


def comparison_values(comparison: SideBySide, confidence: float) -> dict[str, Any]:
    """A comparison with every measure. What cannot be compared has a reason instead of numbers."""
    return {
        "setting": comparison.setting,
        "a": comparison.a,
        "b": comparison.b,
        "seeds": list(comparison.seeds),
        "pairing": comparison.pairing,
        "confidence": confidence,
        "measures": {one.measure: compared_values(one, confidence) for one in comparison.measures},
    }


def compared_values(one: Compared, confidence: float) -> dict[str, Any]:
    """One measure of both, with difference and ratio."""
    return {
        "unit": one.unit,
        "a": estimate_or_reason(one.a, one.unit, confidence),
        "b": estimate_or_reason(one.b, one.unit, confidence),
        "difference": estimate_or_reason(one.difference, one.unit, confidence),
        "ratio": ratio_values(one.ratio, confidence),
    }
