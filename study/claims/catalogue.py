"""The claims ledger: one row per sentence, one function per measurement. Add a claim by adding both."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from study.claims.baselines import GS, MAINTAINED
from study.claims.convergence import bound_holds, premise_holds
from study.claims.finding import Finding
from study.claims.gradients import (
    keeps_direction,
    keeps_whole_direction,
    layer_std_rises,
    never_amplifies,
    std_decreases,
    zscore_amplifies,
)
from study.claims.hyperparameter_free import hyperparameter_free
from study.claims.looks import FIRST
from study.claims.losses import lower_at_default, lower_tuned
from study.claims.recipe import needs_no_schedule, needs_no_warmup, schedule_free
from study.claims.robustness import accuracy, fewer_divergences, wd_insensitive, widens_lr, works_with
from study.claims.settings import asked
from study.claims.spike_damping import damps_spikes, recovers_from_spikes
from study.claims.spike_score import fewer_spikes
from study.claims.spikes import bounded_on_spikes
from study.claims.verdicts import Claim, Question, judge
from study.measures.evidence import ONLY_EDGES, UNTOLD_LOSS, Evidence
from study.measures.landscape import Landscape
from study.spec.claim_rule import Rule

YUN_2025 = "Yun 2025, arXiv:2509.03677"
STABILIZER_2026 = "GradientStabilizer 2026, arXiv:2502.17055v4"
SCHEDULE_FREE_2024 = "Defazio et al. 2024, arXiv:2405.15682"
CONDITION = ("condition",)

# An id is part of `claims.json` and of the tags of MLflow runs: renaming one loses what was written under it.
CLAIMS: dict[str, Rule] = {
    "autoscale-hyperparameter-free": Rule(
        "Gradient Autoscaled Normalization is hyperparameter-free",
        YUN_2025,
        "autoscale",
        hyperparameter_free,
        CONDITION,
        each_variant=False,
        version=2,
    ),
    "autoscale-never-amplifies": Rule(
        "its scale lies in (0, 1]: no unintended amplification",
        YUN_2025,
        "autoscale",
        never_amplifies,
        absolute=True,
        version=2,
    ),
    "autoscale-converges": Rule(
        "Lemma 1 and Theorem 2: the convergence bound",
        YUN_2025,
        "autoscale",
        bound_holds,
        absolute=True,
        version=2,
    ),
    "autoscale-converges-premise": Rule(
        "Lemma 1 and Theorem 2: the step stays at or below 1/β where lr does",
        YUN_2025,
        "autoscale",
        premise_holds,
        absolute=True,
    ),
    "autoscale-accuracy-maintained": Rule(
        "it maintains the accuracy of AdamW, GC, ZNorm and gradient normalisation",
        YUN_2025,
        "autoscale",
        accuracy(-MAINTAINED),
        family="autoscale-accuracy",
        version=2,
    ),
    "autoscale-accuracy-improved": Rule(
        "it improves on the accuracy of AdamW, GC, ZNorm and gradient normalisation",
        YUN_2025,
        "autoscale",
        accuracy(0.0),
        family="autoscale-accuracy",
        version=2,
    ),
    "global-std-decreases": Rule(
        "the global gradient deviation falls during training",
        YUN_2025,
        "autoscale",
        std_decreases,
        absolute=True,
        version=2,
    ),
    "layer-std-rises": Rule(
        "the gradient deviation of a layer may rise during training",
        YUN_2025,
        "autoscale",
        layer_std_rises,
        absolute=True,
    ),
    "zscore-amplifies": Rule(
        "dividing by a small layer deviation amplifies and can diverge",
        YUN_2025,
        "zscore",
        zscore_amplifies,
        version=2,
    ),
    "stabilizer-widens-lr": Rule(
        "GradientStabilizer widens stable learning-rate regions over clipping",
        STABILIZER_2026,
        GS,
        widens_lr,
        version=2,
        from_edges=True,
    ),
    "stabilizer-fewer-divergences": Rule(
        "it reduces divergence", STABILIZER_2026, GS, fewer_divergences, version=2
    ),
    "stabilizer-wd-insensitive": Rule(
        "it reduces Adam's sensitivity to weight-decay strength",
        STABILIZER_2026,
        GS,
        wd_insensitive,
        version=2,
    ),
    "stabilizer-bounded-on-spikes": Rule(
        "the magnitude on spike steps is bounded, whatever the spike's size",
        STABILIZER_2026,
        GS,
        bounded_on_spikes,
        CONDITION,
        absolute=True,
        version=2,
    ),
    "stabilizer-damps-spikes": Rule(
        "a spike's step stays nearer to the level before it than with clipping",
        STABILIZER_2026,
        GS,
        damps_spikes,
        CONDITION,
    ),
    "stabilizer-recovers-from-spikes": Rule(
        "after a spike the magnitude is back at its level sooner than with clipping",
        STABILIZER_2026,
        GS,
        recovers_from_spikes,
        CONDITION,
    ),
    "stabilizer-keeps-direction": Rule(
        "the instantaneous direction is preserved, tensor by tensor",
        STABILIZER_2026,
        GS,
        keeps_direction,
        absolute=True,
        version=2,
    ),
    "stabilizer-keeps-whole-direction": Rule(
        "the instantaneous direction is preserved, that of the whole gradient",
        STABILIZER_2026,
        GS,
        keeps_whole_direction,
        absolute=True,
    ),
    "stabilizer-lower-tuned-loss": Rule(
        "it reaches a lower validation loss than clipping, each at its own tuned setting",
        STABILIZER_2026,
        GS,
        lower_tuned,
    ),
    "stabilizer-lower-default-loss": Rule(
        "it reaches a lower validation loss than clipping, all at one setting",
        STABILIZER_2026,
        GS,
        lower_at_default,
    ),
    "stabilizer-fewer-spikes": Rule(
        "the gradient's norm spikes less often than with clipping", STABILIZER_2026, GS, fewer_spikes
    ),
    "stabilizer-needs-no-warmup": Rule(
        "it spares the warm-up, which training without it needs",
        f"asked here; {STABILIZER_2026}, trains with 2,000 steps of warm-up",
        GS,
        needs_no_warmup,
        CONDITION,
        varies=("warmup",),
    ),
    "stabilizer-needs-no-schedule": Rule(
        "it spares the learning rate's schedule, which training without it needs",
        f"asked here; {STABILIZER_2026}, trains with a cosine",
        GS,
        needs_no_schedule,
        CONDITION,
        varies=("schedule",),
    ),
    "schedule-free-needs-no-schedule": Rule(
        "Schedule-Free AdamW at a constant learning rate matches AdamW with a schedule, however long",
        SCHEDULE_FREE_2024,
        "none",
        schedule_free("schedule_free_adamw", "adamw"),
        ("condition", "optimizer"),
        varies=("schedule",),
    ),
    "plug-in": Rule(
        "works with SGD, Adam, RMSProp and others", STABILIZER_2026, GS, works_with, ("optimizer",), version=2
    ),
}


def judge_claims(
    evidence: Sequence[Evidence], more: Mapping[str, Rule] | None = None, share: float = FIRST
) -> list[Claim]:
    """The ledger of a study: every claim in every workload, optimizer and variant of its method, judged.

    Args:
        more: the user's own rules, by name.
        share: of 1 - confidence that this look may spend (`study.claims.looks`).
    """
    # All in one call: the correction is over every question that the study asks.
    tolerances = evidence[0].tolerances
    return judge(questions_of(evidence, more), tolerances.confidence, tolerances.least_seeds, share)


def questions_of(
    evidence: Sequence[Evidence],
    more: Mapping[str, Rule] | None = None,
    wanted: Collection[tuple[str, str]] | None = None,
) -> list[Question]:
    """What `judge_claims` judges, in the same order.

    Args:
        wanted: ids and settings of the questions to ask; all if it is not given. What the others rest on need
            not be there.
    """
    questions: list[Question] = []
    for name, rule in {**CLAIMS, **(more or {})}.items():
        for setting, pieces in asked(evidence, rule).items():
            questions += _questions(name, rule, setting, pieces, wanted)
    return questions


def _questions(
    name: str,
    rule: Rule,
    setting: str,
    pieces: Sequence[Evidence],
    wanted: Collection[tuple[str, str]] | None,
) -> Iterator[Question]:
    """A claim asked of every variant of its method in one setting."""
    piece, more = pieces[0], (rule.version, rule.family)
    complete = min(one.n_seeds for one in pieces)
    in_spec = max(one.seeds_asked for one in pieces)
    variants = piece.of(rule.method)[: None if rule.each_variant else 1]
    if not variants and wanted is None:
        finding = Finding("", "", missing=f"the study has no transform {rule.method!r}")
        yield Question(name, rule.sentence, rule.source, setting, complete, in_spec, finding, *more)
    lack = ""
    if not complete:
        lack = f"no seed is complete yet (0 of {in_spec})"
    elif piece.partial and not rule.from_edges:
        lack = ONLY_EDGES
    for own in variants:
        place = f"{setting} · {own.transform}" if len(variants) > 1 else setting
        if wanted is not None and (name, place) not in wanted:
            continue
        finding = Finding("", "", missing=lack) if lack else answered(rule, piece, own)
        yield Question(name, rule.sentence, rule.source, place, complete, in_spec, finding, *more)


def answered(rule: Rule, piece: Evidence, own: Landscape) -> Finding:
    """What a rule finds. Training of the user's own that tells no loss leaves claims about losses open."""
    found: Finding = rule.decide(piece, own)
    if own.tells_losses:
        return found
    values = [value for one in found.comparisons if one.estimate for value in one.estimate.values_S]
    if all(map(math.isfinite, values)):
        return found
    return dataclasses.replace(found, comparisons=(), beside=(), missing=f"needs {UNTOLD_LOSS}")
