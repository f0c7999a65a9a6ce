"""The claim that gradient norms spike less often than with clipping, where nobody injects spikes."""

from __future__ import annotations

from study.claims.baselines import CLIPPING, against_others, keys_of, lacking, others
from study.claims.finding import Comparison, Finding
from study.claims.gradients import UNRECORDED
from study.measures.estimate import Estimate, difference
from study.measures.evidence import Evidence
from study.measures.landscape import Landscape
from study.measures.spike_score import LEAST, WINDOW, spike_score

BASELINES = {"the baseline none": ("none",), "a clipping method": CLIPPING}


def fewer_spikes(evidence: Evidence, own: Landscape) -> Finding:
    """Difference of spike scores of the incoming gradient, over each seed's competitive cells."""
    measure = (
        "difference of spike scores (share of recorded gradient norms, before the transform, that lie 7 "
        "standard deviations above the mean of the steps before), over each seed's competitive cells"
    )
    budget = evidence.budget
    if own.higher_is_better or (budget and (budget.spike_steps or budget.spike_probability)):
        lack = "a workload that is measured by a loss, without injected spikes"
        return Finding(measure, "fraction", missing=lack)

    def score(one: Landscape) -> Estimate | None:
        return spike_score(one, evidence.near(one.transform))

    scores = {name: score(one) for name, one in evidence.landscapes.items()}
    mine = scores[own.transform]
    if mine is None:
        lack = UNRECORDED.format("gradient norm") + f", at more than {LEAST} of {WINDOW:,} steps in a row"
        return Finding(measure, "fraction", missing=lack)

    def apart_from(other: Landscape) -> Estimate | None:
        theirs = scores[other.transform]
        return None if theirs is None else difference(mine, theirs)

    apart = against_others(evidence, own, apart_from)
    baselines = others(evidence, BASELINES)
    missing = lacking(evidence, BASELINES)
    comparisons = []
    for other in baselines:
        theirs = scores[other.transform]
        note = f"{mine.mean:.2g} and {theirs.mean:.2g}" if theirs else "no competitive cell lived long enough"
        comparisons.append(Comparison(other.transform, apart.get(other.transform), 0.0, False, note))
    return Finding(
        measure,
        "fraction",
        tuple(comparisons),
        missing=missing,
        partial=bool(missing),
        keys=keys_of([own, *baselines]),
    )
