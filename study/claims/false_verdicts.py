"""Verdicts that are false: the claims about methods between which every difference is luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from study.claims.catalogue import questions_of
from study.claims.finding import Comparison, Finding
from study.claims.looks import FIRST
from study.claims.verdicts import REFUTED, SUPPORTED, judge
from study.measures.evidence import gather
from study.measures.landscape import Landscape
from study.spec.claim_rule import Rule
from study.spec.tolerances import Tolerances


def judged(
    twins: Sequence[Landscape], tolerances: Tolerances, rules: Mapping[str, Rule], compared: set[str]
) -> dict[str, str]:
    """The claims that a twin study asks: the verdict where it is false, empty where it is not.

    Args:
        compared: ids of claims that compare methods. Only they can be wrong about twins.
    """
    questions = questions_of(gather(twins, tolerances), rules)
    claims = judge(questions, tolerances.confidence, tolerances.least_seeds, FIRST)
    found: dict[str, str] = {}
    for question, claim in zip(questions, claims, strict=True):
        if claim.id in compared and question.finding.comparisons:
            wrong = is_false(claim.verdict, question.finding)
            found[claim.id] = found.get(claim.id, "") or (claim.verdict if wrong else "")
    return found


def is_false(verdict: str, finding: Finding) -> bool:
    """Whether a verdict is wrong where every difference is 0, by the claim's own thresholds.

    A claim to lie above -0.005 holds at 0, so only *refuted* is false. At a claim to lie above 0 the truth is
    on the threshold itself, and either verdict is false.
    """
    # A rule about every single step is about the method itself: of it twins know no truth.
    differences = [one for one in finding.comparisons if not one.exact and not one.itself]
    if verdict == SUPPORTED:
        return not all(lies(one, on_the_side=True) for one in differences)
    if verdict == REFUTED:
        broken = any((one.exact or one.itself) and one.p_refute < 1 for one in finding.comparisons)
        return not broken and not any(lies(one, on_the_side=False) for one in differences)
    return False


def lies(comparison: Comparison, *, on_the_side: bool) -> bool:
    """Whether a difference of 0 (of a ratio: its logarithm) lies on the claim's side, or on the other."""
    if comparison.alternatives:
        answers = [lies(one, on_the_side=on_the_side) for one in comparison.alternatives]
        # One of the alternatives is enough for the claim, and all of them must contradict it.
        return any(answers) if on_the_side else all(answers)
    lead = -comparison.threshold if comparison.above else comparison.threshold
    return lead > 0 if on_the_side else lead < 0
