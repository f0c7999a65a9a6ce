"""Before a pilot: the chance of a verdict for effects of a stated size."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import chdtri, ndtr, stdtrit

from study.claims.catalogue import CLAIMS
from study.claims.looks import Look, schedule_of
from study.claims.settings import regime_of
from study.measures.estimate import INFLATION
from study.measures.prior import CAUTION, FEWEST, NO_PRIOR, POOLED, weighed
from study.plan.cells import settings
from study.spec.claim_rule import Rule
from study.spec.model import StudySpec

QUANTILES = (np.arange(60) + 0.5) / 60
EFFECTS = (0.5, 1.0, 2.0, 3.0)
"""Sizes of an effect, in standard deviations over seeds of the difference between two transforms."""


def looks_of(spec: StudySpec) -> tuple[Look, ...]:
    """The looks of a study that was never launched."""
    return schedule_of(spec.verdicts.looks, (), len(spec.seeds)).looks


def families(spec: StudySpec, more: Mapping[str, Rule] | None = None) -> int:
    """At most how many questions share the error: those about a transform that the study has.

    Which of them can be asked shows when cells are there. Rules about every step take recorded dynamics.

    Args:
        more: the user's own, by name.
    """
    variants = Counter(transform.name for transform in spec.transforms)
    varied = {key for key, _ in spec.conditions}
    places = {(one.name, one.optimizer.technical_name, regime_of(one.condition)) for one in settings(spec)}
    asked: dict[str, int] = {}
    for name, rule in {**CLAIMS, **(more or {})}.items():
        if (rule.absolute and not spec.budget.dynamics) or not varied.issuperset(rule.varies):
            continue
        count = min(variants[rule.method], 1) if not rule.each_variant else variants[rule.method]
        asked[rule.family or name] = max(asked.get(rule.family or name, 0), count)
    return max(sum(asked.values()) * len(places), 1)


def chance(effect: float, look: Look, spec: StudySpec, questions: int) -> float:
    """That one comparison gives its verdict at a look, if nothing but seeds limits it.

    The mean over the seeds' own variance s², which is known up to χ²(S - 1) / (S - 1), of

        P(mean > t(df, 1 - level / 2) · deviation / sqrt(S)),   mean ~ normal(effect, 1 / S)

    where others that vary alike are a prior (`study.measures.prior`), if the study has them. The interval is
    at least that of the seeds alone at `INFLATION` times the error, as `Estimate`'s is.

    Args:
        effect: in standard deviations over seeds.
        questions: that share the error.
    """
    level = (1 - spec.region.confidence) * look.share / questions
    seeds, own_df = look.seeds, look.seeds - 1
    pools = len(spec.transforms) >= POOLED and seeds >= FEWEST
    total = 0.0
    for own in chdtri(own_df, QUANTILES) / own_df:
        prior = weighed(CAUTION, float(own), own_df) if pools else NO_PRIOR
        df = own_df + prior.df
        deviation = math.sqrt((prior.df * prior.variance + own_df * own) / df)
        alone = float(stdtrit(own_df, 1 - min(INFLATION * level, 1.0) / 2)) * math.sqrt(float(own))
        needed = max(float(stdtrit(df, 1 - level / 2)) * deviation, alone if prior.df else 0.0)
        # The other side has less than a percent of it.
        total += float(ndtr(effect * math.sqrt(seeds) - needed))
    return total / len(QUANTILES)


def power_table(spec: StudySpec) -> dict[float, Sequence[float]]:
    """By effect, the chance of a verdict at each look."""
    questions = families(spec)
    return {effect: [chance(effect, look, spec, questions) for look in looks_of(spec)] for effect in EFFECTS}
