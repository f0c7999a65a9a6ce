"""Before a pilot: the chance of a verdict for effects of a stated size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from scipy.special import nctdtr, stdtrit

from study.claims.catalogue import CLAIMS
from study.claims.looks import Look, by_hand, planned
from study.measures.prior import CAUTION
from study.plan.cells import settings
from study.spec.claim_rule import Rule
from study.spec.model import StudySpec

EFFECTS = (0.5, 1.0, 2.0, 3.0)
"""Sizes of an effect, in standard deviations over seeds of the difference between two transforms."""


def looks_of(spec: StudySpec) -> tuple[Look, ...]:
    """The looks of a study that was never launched."""
    named = spec.verdicts.looks
    return (planned(named) if named else by_hand((), len(spec.seeds))).looks


def families(spec: StudySpec, more: Mapping[str, Rule] | None = None) -> int:
    """At most how many questions share the error: those about a transform that the study has.

    Which of them can be asked shows when cells are there.
    """
    methods = {transform.name for transform in spec.transforms}
    rules = {**CLAIMS, **(more or {})}
    asked = {
        rule.family or name for name, rule in rules.items() if rule.method in methods and not rule.absolute
    }
    return max(len(asked), 1) * len({(one.name, one.optimizer.label) for one in settings(spec)})


def chance(effect: float, look: Look, spec: StudySpec, questions: int) -> float:
    """That one comparison gives its verdict at a look, if nothing but seeds limits it.

        P(|T| > t(df, 1 - level / 2)),   T ~ noncentral t(df, effect · sqrt(S))

    with S - 1 degrees of freedom, and as many again where there are transforms to pool spreads over
    (`study.measures.prior`). Its caution, which raises the spread, is left in: the mean of both.

    Args:
        effect: in standard deviations over seeds.
        questions: that share the error.
    """
    level = (1 - spec.region.confidence) * look.share / questions
    pools = len(spec.transforms) > 2
    df = (look.seeds - 1) * (2 if pools else 1)
    # The prior weighs as much as the seeds, and is raised by CAUTION.
    raised = math.sqrt((1 + CAUTION) / 2) if pools else 1.0
    needed = float(stdtrit(df, 1 - level / 2)) * raised
    # The other side has less than a percent of it.
    return 1.0 - float(nctdtr(df, effect * math.sqrt(look.seeds), needed))


def power_table(spec: StudySpec) -> dict[float, Sequence[float]]:
    """By effect, the chance of a verdict at each look."""
    questions = families(spec)
    return {effect: [chance(effect, look, spec, questions) for look in looks_of(spec)] for effect in EFFECTS}
