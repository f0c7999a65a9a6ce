"""The claims ledger, as `claims.json` has it, and the specification curve behind it."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from study.claims.specification import Specified, Varied, decided

if TYPE_CHECKING:
    from study.analysis import Analysis


def claims(analysis: Analysis) -> list[dict[str, Any]]:
    """One entry per claim and setting.

    A decided one has its verdicts under other thresholds as `specification`, and an undecided one as `takes`
    what would decide it.
    """
    # Undecided claims need no other thresholds, so where nothing is decided none were tried.
    curves = analysis.specification if any(map(decided, analysis.judged)) else []
    varied = {}
    for one in curves:
        if one.varied and decided(one.claim):
            varied[one.claim.id, one.claim.setting] = varied_values(one)
    found = []
    for claim in analysis.claims:
        # `missing` is for the terminal's list of what a study lacks: `reason` says it in a whole sentence.
        values = {name: value for name, value in asdict(claim).items() if name != "missing"}
        key = claim.id, claim.setting
        expected = analysis.outlooks.get(key)
        found.append(
            values
            | {"specification": varied.get(key), "takes": asdict(expected) if expected is not None else None}
        )
    return found


def specification_values(analysis: Analysis) -> list[dict[str, Any]]:
    """The specification curve of every claim that has a number, the undecided ones included."""
    found = []
    for one in analysis.specification:
        if one.span is None:
            continue
        found.append(
            {
                "id": one.claim.id,
                "setting": one.claim.setting,
                "verdict": one.claim.verdict,
                "estimate": finite(one.claim.estimate),
                "unit": one.claim.unit,
                "least_estimate": finite(one.span[0]),
                "largest_estimate": finite(one.span[1]),
                "agreeing": one.agreeing,
                "variations": varied_values(one),
            }
        )
    return found


def varied_values(one: Specified) -> list[dict[str, Any]]:
    """A claim's verdicts under other thresholds."""
    return [varied_value(varied) for varied in one.varied]


def varied_value(varied: Varied) -> dict[str, Any]:
    """One of them, with every threshold that differs from the spec's."""
    return {
        "changed": dict(varied.variation.changed),
        "verdict": varied.verdict,
        "estimate": finite(varied.estimate),
    }


def finite(number: float | None) -> float | None:
    """The number, or None where JSON cannot hold it."""
    return number if number is not None and math.isfinite(number) else None
