"""Estimates as JSON has them: mean, interval, unit and n, or the reason why there is none."""

from __future__ import annotations

from typing import Any

from study.measures.catalogue import Case, measured, unit_of
from study.measures.estimate import Estimate, Missing, exponential


def estimate_values(estimate: Estimate, unit: str, confidence: float) -> dict[str, Any]:
    """An estimate with its unit, interval and n."""
    interval = estimate.interval(confidence)
    return {
        "estimate": estimate.shown,
        "interval": list(interval) if interval else None,
        "unit": unit,
        "n_seeds": estimate.n,
        "lower_bound": estimate.lower_bound,
        "upper_bound": estimate.upper_bound,
        "per_seed": list(estimate.values_S),
    }


def estimate_or_reason(found: Estimate | Missing, unit: str, confidence: float) -> dict[str, Any]:
    """An estimate, or the reason why there is none."""
    if isinstance(found, Missing):
        return {"estimate": None, "interval": None, "unit": unit, "reason": found.reason}
    return estimate_values(found, unit, confidence)


def measure_values(case: Case, measure: str, confidence: float) -> dict[str, Any]:
    """A measure of a transform, by its name in `MEASURES`."""
    return estimate_or_reason(measured(case, measure), unit_of(case, measure), confidence)


def ratio_values(found: Estimate | None, confidence: float) -> dict[str, Any] | None:
    """A ratio and its interval, from the estimate of its logarithm."""
    if found is None:
        return None
    span = found.interval(confidence)
    return {
        "estimate": exponential(found.mean),
        "interval": [exponential(end) for end in span] if span else None,
        "unit": "x",
        "n_seeds": found.n,
        "lower_bound": found.lower_bound,
        "upper_bound": found.upper_bound,
    }
