"""Claims about validation losses against clipping: each method at its own best setting, and all at one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from study.claims.baselines import CLIPPING, against_others, keys_of, lacking, others
from study.claims.finding import Comparison, Finding
from study.measures.axis import cell_at
from study.measures.estimate import Estimate, difference
from study.measures.evidence import Evidence
from study.measures.landscape import Landscape
from study.measures.tuning import tuned_score

BASELINES = {"the baseline none": ("none",), "a clipping method": CLIPPING}
DEFAULTS: Mapping[str, tuple[float, float]] = {"adam": (1e-3, 0.0), "adamw": (1e-3, 0.01)}
"""By optimizer the lr and weight decay that the paper takes for every method. torch has the same defaults.

Reference: GradientStabilizer, arXiv:2502.17055 v4, section 4.
"""
NO_LOSS = "a workload that is measured by a loss; this one has {}"


def lower_tuned(evidence: Evidence, own: Landscape) -> Finding:
    """Difference of tuned losses, per baseline."""
    measure = "difference of tuned losses (best cell chosen on the other seeds)"
    return _lower(evidence, own, measure, tuned_score)


def lower_at_default(evidence: Evidence, own: Landscape) -> Finding:
    """Difference of losses at the setting that is everybody's default, per baseline."""
    measure = "difference of losses at one setting for all methods"
    default = DEFAULTS.get(own.optimizer_method)
    if default is None:
        known = " and ".join(DEFAULTS)
        lack = f"an optimizer with a setting that the paper names ({known})"
        return Finding(measure, own.metric_name, missing=lack)
    lr, weight_decay = default
    place = cell_at(own, lr, weight_decay)
    if place is None:
        lack = f"lr {lr:g} with weight decay {weight_decay:g} on the grid"
        return Finding(measure, own.metric_name, missing=lack)
    measure = f"{measure}, lr {lr:g} and weight decay {weight_decay:g} (a lost cell counts as untrained)"
    return _lower(evidence, own, measure, lambda one: score_at(one, place))


def _lower(
    evidence: Evidence, own: Landscape, measure: str, score: Callable[[Landscape], Estimate]
) -> Finding:
    if own.higher_is_better:
        return Finding(measure, own.metric_name, missing=NO_LOSS.format(own.metric_name))
    mine, missing = score(own), lacking(evidence, BASELINES)
    baselines = others(evidence, BASELINES)
    # A score is higher better, so the loss of one less that of another is their difference turned round.
    apart = against_others(evidence, own, lambda other: difference(score(other), mine))
    comparisons = tuple(
        Comparison(
            other.transform,
            apart[other.transform],
            0.0,
            False,
            f"{own.sign * mine.mean:.4g} and {own.sign * score(other).mean:.4g}",
            indifference=evidence.indifference.loss,
        )
        for other in baselines
    )
    return Finding(
        measure,
        own.metric_name,
        comparisons,
        missing=missing,
        partial=bool(missing),
        keys=keys_of([own, *baselines]),
    )


def score_at(landscape: Landscape, place: tuple[int, int]) -> Estimate:
    """Each seed's score in one cell [metric units, higher is better]."""
    score_S = np.asarray(landscape.score_SWL[:, *place])
    return Estimate(tuple(score_S.tolist()), resolution=landscape.resolution)
