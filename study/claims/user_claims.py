"""A user's own rows of the claims ledger: found by name, checked, and kept from breaking the others."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from study.claims.finding import Comparison, Finding
from study.claims.verdicts import Question, judge
from study.spec.claim_rule import Decide, Rule, rule_of
from study.spec.user_code import error_line
from study.spec.user_modules import OwnCode
from trainers.naming import short

UNREAD = "code that a home names is not run; give the spec as a file, and its own claims are judged"


def rules_of(references: Sequence[str], code: OwnCode, method: str = "") -> dict[str, Rule]:
    """The user's rules by name; one that raises, returns nonsense or must not run becomes a finding of that.

    Args:
        method: what rules are asked of whose code does not run: nobody knows which method they name.
    """
    if not code.trusted:
        unread = Finding("not measured", "", missing=UNREAD, unread=True)
        return {
            reference: Rule("a claim of the study's own", reference, method, lambda *_: unread)
            for reference in references
        }
    found = {reference: rule_of(reference, code) for reference in references}
    return {
        reference: replace(rule, decide=_guarded(reference, rule.decide)) for reference, rule in found.items()
    }


def _guarded(reference: str, decide: Decide) -> Decide:
    def guarded(evidence: Any, own: Any) -> Finding:
        try:
            found = decide(evidence, own)
            trouble = _trouble(found)
            if not trouble:
                _rehearse(reference, evidence, found)
        # Whatever the user's code raises: the cells are trained, and the other claims stand.
        except Exception as error:
            trouble = f"raised {error_line(error)}"
        if trouble:
            missing = f"{reference} {trouble}; mend it and run study analyse"
            return Finding("not measured", "", missing=missing)
        # For the type checker: `_trouble` names everything that is no finding.
        assert isinstance(found, Finding)
        return found

    return guarded


def _rehearse(reference: str, evidence: Any, found: Finding) -> None:
    """Judge the finding alone and turn the claim into JSON.

    A number or key that the exports cannot hold shows here, in the user's own row, not when all are written.
    """
    alone = Question(reference, "", "", "", evidence.n_seeds, evidence.seeds_asked, found)
    tolerances = evidence.tolerances
    claims = judge([alone], tolerances.confidence, tolerances.least_seeds)
    json.dumps([asdict(claim) for claim in claims], allow_nan=False)


def _trouble(found: Any) -> str:
    """What is wrong with what a rule returned, in words; empty when nothing is."""
    if not isinstance(found, Finding):
        return f"returned {short(found)}, wanted a study.claims.Finding"
    if not found.comparisons and not found.missing:
        return (
            "compares with nothing, and does not say what is missing (is what it compares with in the study?)"
        )
    for comparison in found.comparisons:
        if not isinstance(comparison, Comparison):
            return f"compares with {short(comparison)}, wanted a study.claims.Comparison"
        numbers = [comparison.threshold, *(comparison.estimate.values_S if comparison.estimate else ())]
        if not all(math.isfinite(number) for number in numbers):
            return f"gives a number that is not finite, against {comparison.against}"
        if comparison.estimate and not comparison.estimate.values_S:
            return f"gives an estimate without a value, against {comparison.against}"
    return ""
