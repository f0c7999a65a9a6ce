"""A user's own rows of the claims ledger: found by name, checked, and kept from breaking the others."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from pydantic import BeforeValidator

from study.factories import load, told
from trainers.naming import short

if TYPE_CHECKING:
    from study.claims import Decide, Rule
    from study.verdicts import Finding

ACROSS = ("condition", "optimizer")
FORM = "Rule(sentence, source, method, decide), made with study.claims.Rule"


def rules_of(references: Sequence[str]) -> dict[str, Rule]:
    """The user's rules by name; an error in one of them is a finding that nothing was found, with the error's words."""
    found = {reference: rule_of(reference) for reference in references}
    return {
        reference: replace(rule, decide=_guarded(reference, rule.decide)) for reference, rule in found.items()
    }


def rule_of(reference: str) -> Rule:
    """A user's rule.

    Raises:
        ValueError: there is none of that name, or it is something else.
    """
    from study.claims import Rule

    found = load(reference)
    if not isinstance(found, Rule):
        raise ValueError(f"{reference} is {short(found)}; wanted a {FORM}")
    for name in ("sentence", "source", "method"):
        if not isinstance(getattr(found, name), str):
            raise ValueError(
                f"{reference}: its {name} is {short(getattr(found, name))}; wanted words: {FORM}"
            )
    if not isinstance(found.across, tuple) or not set(found.across) <= set(ACROSS):
        raise ValueError(
            f"{reference}: its across is {short(found.across)}; wanted a tuple of some of {', '.join(ACROSS)}"
        )
    if not callable(found.decide):
        raise ValueError(
            f"{reference}: its decide is {short(found.decide)}; wanted a function (evidence, own) -> Finding: {FORM}"
        )
    return found


def _guarded(reference: str, decide: Decide) -> Decide:
    from study.verdicts import Finding, Question, judge

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
            trouble = f"raised {told(error)}"
        return (
            Finding("not measured", "", missing=f"{reference} {trouble}; mend it and run study analyse")
            if trouble
            else found
        )

    return guarded


def _trouble(found: Any) -> str:
    """What is wrong with what a rule returned, in words; empty when nothing is."""
    from study.verdicts import Comparison, Finding

    if not isinstance(found, Finding):
        return f"returned {short(found)}, wanted a study.verdicts.Finding"
    if not found.comparisons and not found.missing:
        return (
            "compares with nothing, and does not say what is missing (is what it compares with in the study?)"
        )
    for comparison in found.comparisons:
        if not isinstance(comparison, Comparison):
            return f"compares with {short(comparison)}, wanted a study.verdicts.Comparison"
        numbers = [comparison.threshold, *(comparison.estimate.values_S if comparison.estimate else ())]
        if not all(math.isfinite(number) for number in numbers):
            return f"gives a number that is not finite, against {comparison.against}"
        if comparison.estimate and not comparison.estimate.values_S:
            return f"gives an estimate without a value, against {comparison.against}"
    return ""


def _read(value: Any) -> tuple[str, ...]:
    items = list(value) if isinstance(value, (list, tuple)) else [value]
    problems = []
    for k, item in enumerate(items):
        try:
            if not isinstance(item, str):
                raise ValueError(f"found {short(item)}; wanted 'package.module:name' of a rule of your own")
            rule_of(item)
            if item in items[:k]:
                raise ValueError(f"{short(item)} stands twice; each may stand once")
        except ValueError as error:
            problems.append(f"[{k}]: {error}")
    if problems:
        raise ValueError("\n".join(problems))
    return tuple(items)


CLAIMS = BeforeValidator(_read)
"""Reads one name of a user's rule or a list of them."""
