"""A user's own rows of the claims ledger: found by name, checked, and kept from breaking the others."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from study.claims.verdicts import Comparison, Finding, Question, judge
from study.spec.rule import Decide, Rule, rule_of
from study.spec.user_code import error_line
from trainers.naming import short


def rules_of(references: Sequence[str]) -> dict[str, Rule]:
    """The user's rules by name; an error in one of them is a finding that nothing was found, with the error's words."""
    found = {reference: rule_of(reference) for reference in references}
    return {
        reference: replace(rule, decide=_guarded(reference, rule.decide)) for reference, rule in found.items()
    }


def _guarded(reference: str, decide: Decide) -> Decide:
    def guarded(evidence: Any, own: Any) -> Finding:
        try:
            found = decide(evidence, own)
            trouble = _trouble(found)
            if (
                not trouble
            ):  # a number or key that the exports cannot hold shows here, and not when the ledger is written
                asked = Question(reference, "", "", "", evidence.n_seeds, evidence.seeds_asked, found)
                json.dumps(
                    [
                        asdict(claim)
                        for claim in judge(
                            [asked], evidence.tolerances.confidence, evidence.tolerances.least_seeds
                        )
                    ],
                    allow_nan=False,
                )
        except (
            Exception
        ) as error:  # the cells are trained and the other claims stand, whatever the user's code raises
            trouble = f"raised {error_line(error)}"
        return (
            Finding("not measured", "", missing=f"{reference} {trouble}; mend it and run study analyse")
            if trouble
            else found
        )

    return guarded


def _trouble(found: Any) -> str:
    """What is wrong with what a rule returned, in words; empty when nothing is."""
    if not isinstance(found, Finding):
        return f"returned {short(found)}, wanted a study.claims.verdicts.Finding"
    if not found.comparisons and not found.missing:
        return (
            "compares with nothing, and does not say what is missing (is what it compares with in the study?)"
        )
    for comparison in found.comparisons:
        if not isinstance(comparison, Comparison):
            return f"compares with {short(comparison)}, wanted a study.claims.verdicts.Comparison"
        numbers = [comparison.threshold, *(comparison.estimate.values_S if comparison.estimate else ())]
        if not all(math.isfinite(number) for number in numbers):
            return f"gives a number that is not finite, against {comparison.against}"
        if comparison.estimate and not comparison.estimate.values_S:
            return f"gives an estimate without a value, against {comparison.against}"
    return ""
