"""Claims over the settings of several studies, as JSON has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from study.claims.generality import Generality, Verdicts
from study.claims.pooled_comparison import Pooled
from study.claims.tasks import Asked
from study.measures.stratified import DRAWS, Interval
from study.report.plain.claims import finite


def generality_values(
    found: Verdicts, studies: Sequence[tuple[str, Path, Sequence[str]]], silent: Sequence[str]
) -> dict[str, Any]:
    """Every claim over all settings, what it rests on, and what was counted once.

    Args:
        studies: name and home of each, and what a reader must know of the rules of its verdicts.
        silent: ids of claims without a number in any of the studies.
    """
    return {
        "studies": [
            {"study": name, "home": str(home), "rules": list(rules)} for name, home, rules in studies
        ],
        "confidence": found.confidence,
        "bootstrap_draws": DRAWS,
        "corrected_for": found.together,
        "claims": [claim_values(one) for one in found.claims],
        "repeated": [
            {
                "id": one.left_out.claim.id,
                "left_out": setting_values(one.left_out),
                "counted": setting_values(one.counted),
            }
            for one in found.repeated
        ],
        "without_a_number": list(silent),
    }


def claim_values(one: Generality) -> dict[str, Any]:
    """The verdicts here, the verdict in general, and the numbers of each comparison."""
    claim = one.asked[0].claim
    return {
        "id": one.id,
        "claim": claim.claim,
        "source": claim.source,
        "here": {
            "verdicts": dict(one.here),
            "settings": [
                setting_values(asked) | {"task": asked.task, "verdict": asked.claim.verdict}
                for asked in one.asked
            ],
        },
        "in_general": {
            "verdict": one.verdict,
            "reason": one.reason,
            "confidence": one.confidence,
            "n_tasks": len(one.tasks),
            "hardest": one.shown.place,
        },
        "comparisons": [comparison_values(pooled, one.confidence) for pooled in one.comparisons],
    }


def setting_values(asked: Asked) -> dict[str, Any]:
    """Which setting of which study."""
    return {"study": asked.study, "setting": asked.claim.setting}


def comparison_values(one: Pooled, confidence: float) -> dict[str, Any]:
    """A comparison over settings; what does not exist is null."""
    effects = one.effects
    return {
        "against": one.place,
        "unit": one.unit,
        "threshold": finite(one.turn(one.threshold)),
        "above": one.above,
        "n_tasks": len(one.tasks),
        "n_settings": one.settings,
        "n_runs": one.runs,
        "effect": interval_values(one.effect, one.turn),
        "share_on_claims_side": interval_values(one.share, float),
        "mean_over_tasks": finite(one.turn(effects.mean)) if effects else None,
        "interval": ends(effects.interval(confidence), one.turn) if effects else None,
        "further_task": ends(effects.prediction(confidence), one.turn) if effects else None,
        "i_squared": finite(effects.i_squared) if effects else None,
        "q": finite(effects.q) if effects else None,
        # Of a ratio it is the standard deviation of its logarithm.
        "tau": finite(effects.tau) if effects else None,
        "p_support": one.p_support,
        "p_refute": one.p_refute,
        "exact": one.exact,
        "broken_in": list(one.broken),
        "broken_runs": one.broken_runs,
        "trouble": one.trouble,
        "alternatives": [comparison_values(other, confidence) for other in one.alternatives],
    }


def interval_values(found: Interval | None, turn: Callable[[float], float]) -> dict[str, Any] | None:
    """A number with its bootstrap interval."""
    if found is None:
        return None
    return {"estimate": finite(turn(found.value)), "interval": ends((found.low, found.high), turn)}


def ends(found: tuple[float, float] | None, turn: Callable[[float], float]) -> list[float | None] | None:
    """Both ends of an interval."""
    return [finite(turn(end)) for end in found] if found else None
