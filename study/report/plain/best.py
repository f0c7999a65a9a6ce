"""What each transform reached, as JSON has it."""

from __future__ import annotations

from typing import Any

from study.analysis import Analysis
from study.measures.catalogue import unit_of
from study.report.plain.estimates import estimate_or_reason


def best_values(analysis: Analysis) -> list[dict[str, Any]]:
    """One entry per setting and transform: widths, the best cell, and the score that seeds agree on."""
    confidence = analysis.plan.spec.region.confidence
    found = []
    for one in analysis.reached:
        landscape = one.case.landscape
        unit = unit_of(one.case, "tuned score")
        found.append(
            {
                "workload": landscape.workload,
                "optimizer": landscape.optimizer,
                "condition": landscape.condition,
                "transform": landscape.transform,
                "n_seeds": len(landscape.seeds),
                "confidence": confidence,
                "trained_lr_width": estimate_or_reason(one.trained, "decades", confidence),
                "competitive_lr_width": estimate_or_reason(one.competitive, "decades", confidence),
                "lr": one.lr,
                "weight_decay": one.weight_decay,
                "borders": [f"{border.end} {border.axis}" for border in one.borders],
                "score": estimate_or_reason(one.score, unit, confidence),
                "label": landscape.title,
            }
        )
    return found
