"""The claims ledger: one row per sentence, one function per measurement. Add a claim by adding both."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from study.evidence import Evidence
from study.landscape import Landscape
from study.regions import divergence_share, lr_sensitivity, tuned_score, wd_sensitivity
from study.statistics import difference, ratio
from study.verdicts import Claim, Comparison, Finding, Question, judge

CLIPPING = ("clip_norm", "clip_value", "agc", "zclip", "autoclip", "adagc")
GS = "gradient_stabilizer"
MAINTAINED = 0.005
"""Largest loss of accuracy that still counts as maintained [fraction; half a point]."""
DECOUPLED = ("adamw", "lion")
"""Optimizers whose weight decay is decoupled."""

Decide = Callable[[Evidence], Finding]


@dataclass(frozen=True)
class Rule:
    """A sentence, where it stands, and how a study measures it."""

    sentence: str
    source: str
    decide: Decide


def needs(what: str) -> Decide:
    """A claim that no axis of today's specs can decide; says which one is missing."""
    return lambda evidence: Finding("not measured", "", missing=what)


def keys_of(landscapes: Sequence[Landscape]) -> tuple[str, ...]:
    return tuple(str(key) for landscape in landscapes for key in landscape.key_SWL.ravel())


def sides(evidence: Evidence, method: str, against: Sequence[str]) -> tuple[Landscape, list[Landscape]] | str:
    """The landscape of a method and of those that it is compared with, or what is missing."""
    own, others = evidence.of(method), evidence.of(*against)
    if not own:
        return f"the study has no transform {method!r}"
    if not others:
        return f"the study has none of the transforms to compare with: {', '.join(against)}"
    if evidence.n_seeds == 0:
        return f"no seed is complete yet (0 of {evidence.seeds_asked})"
    return own[0], others


def widens_lr(evidence: Evidence) -> Finding:
    """Ratio of the trained region's lr widths, per baseline."""
    measure = "ratio of lr widths of the trained region (own best; median over weight decays)"
    found = sides(evidence, GS, ("none", *CLIPPING))
    if isinstance(found, str):
        return Finding(measure, "x", missing=found)
    own, others = found
    width = {landscape.transform: evidence.regions[landscape.transform, "trained", "own"] for landscape in (own, *others)}
    comparisons = []
    for other in others:
        area = ratio(width[own.transform].area, width[other.transform].area)
        note = f"area ratio {math.exp(area.mean):.3g}" if area else "a region is empty at some seed"
        comparisons.append(Comparison(other.transform, ratio(width[own.transform].lr_width, width[other.transform].lr_width), 0.0, True, note))
    return Finding(measure, "x", tuple(comparisons), ratio=True, keys=keys_of([own, *others]))


def fewer_divergences(evidence: Evidence) -> Finding:
    """Difference of divergence shares over windows centred on each method's optimum."""
    measure = "difference of divergence shares in a window of lr centred on each method's optimum"
    found = sides(evidence, GS, ("none", *CLIPPING))
    if isinstance(found, str):
        return Finding(measure, "fraction", missing=found)
    own, others = found
    windows = evidence.window([own, *others])
    share = {landscape.transform: divergence_share(landscape, windows[landscape.transform]) for landscape in (own, *others)}
    note = f"window of {int(windows[own.transform].sum())} learning rates"
    comparisons = tuple(Comparison(other.transform, difference(share[own.transform], share[other.transform]), 0.0, False, note) for other in others)
    return Finding(measure, "fraction", comparisons, keys=keys_of([own, *others]))


def wd_insensitive(evidence: Evidence) -> Finding:
    """Difference of weight-decay sensitivities, with unit_norm as the control."""
    measure = "difference of weight-decay sensitivities at each method's best lr"
    if evidence.optimizer.split("(")[0] not in DECOUPLED:
        measure += " (coupled weight decay)"
    found = sides(evidence, GS, ("none", *CLIPPING, "unit_norm"))
    if isinstance(found, str):
        return Finding(measure, "nats", missing=found)
    own, others = found
    if not evidence.of("unit_norm"):
        return Finding(measure, "nats", missing="the control unit_norm, without which a re-parametrisation looks like insensitivity")
    if len(own.weight_decay) < 2:
        return Finding(measure, "nats", missing="a weight-decay axis with at least two values")
    comparisons = []
    for other in others:
        widths = [evidence.regions[name, "competitive", "own"].wd_width.mean for name in (own.transform, other.transform)]
        note = f"weight-decay widths {widths[0]:.3g} and {widths[1]:.3g} decades"
        comparisons.append(Comparison(other.transform, difference(wd_sensitivity(own), wd_sensitivity(other)), 0.0, False, note))
    return Finding(measure, "nats", tuple(comparisons), keys=keys_of([own, *others]))


def accuracy(least: float) -> Decide:
    """Paired difference of tuned scores above a threshold, per baseline."""

    def decide(evidence: Evidence) -> Finding:
        measure = "difference of tuned scores (best cell chosen on the other seeds)"
        found = sides(evidence, "autoscale", ("none", "centralization", "zscore", "unit_norm"))
        if isinstance(found, str):
            return Finding(measure, "score", missing=found)
        own, others = found
        comparisons = tuple(Comparison(other.transform, difference(tuned_score(own), tuned_score(other)), least, True) for other in others)
        return Finding(measure, own.metric_name, comparisons, keys=keys_of([own, *others]))

    return decide


def hyperparameter_free(evidence: Evidence) -> Finding:
    """The parts that one lr x weight-decay grid can measure: sensitivities no larger than the baseline's within the band."""
    measure = "difference of lr and weight-decay sensitivities to the baseline's"
    lacking = "shared-default regret and effective dimension need two or more workloads, constant sensitivity an axis of a constant, and the gradient-scale shift an axis of the loss scale"
    found = sides(evidence, "autoscale", ("none",))
    if isinstance(found, str):
        return Finding(measure, "nats", missing=found)
    own, (base, *_) = found
    band = evidence.tolerances.equivalence * float(own.loss_initial_S.mean())
    note = f"counts as equal up to {band:.3g}"
    comparisons = (
        Comparison("none in lr", difference(lr_sensitivity(own), lr_sensitivity(base)), band, False, note),
        Comparison("none in weight decay", difference(wd_sensitivity(own), wd_sensitivity(base)), band, False, note),
    )
    return Finding(measure, "nats", comparisons, missing=lacking, partial=True, keys=keys_of([own, base]))


GAN = "Yun 2025, arXiv:2509.03677"
STABILIZER = "GradientStabilizer 2026, arXiv:2502.17055v4"

CLAIMS: dict[str, Rule] = {
    "autoscale-hyperparameter-free": Rule("Gradient Autoscaled Normalization is hyperparameter-free", GAN, hyperparameter_free),
    "autoscale-never-amplifies": Rule("its scale lies in (0, 1]: no unintended amplification", GAN, needs("the recorded scale factor of every step")),
    "autoscale-converges": Rule("Lemma 1 and Theorem 2: the convergence bound", GAN, needs("a smooth problem with known curvature and gradient noise")),
    "autoscale-accuracy-maintained": Rule("it maintains the accuracy of AdamW, GC, ZNorm and gradient normalisation", GAN, accuracy(-MAINTAINED)),
    "autoscale-accuracy-improved": Rule("it improves on the accuracy of AdamW, GC, ZNorm and gradient normalisation", GAN, accuracy(0.0)),
    "global-std-decreases": Rule("the global gradient deviation falls during training", GAN, needs("the recorded gradient deviation of every step")),
    "zscore-amplifies": Rule("dividing by a small layer deviation amplifies and can diverge", GAN, needs("the recorded gain of every layer")),
    "stabilizer-widens-lr": Rule("GradientStabilizer widens stable learning-rate regions over clipping", STABILIZER, widens_lr),
    "stabilizer-fewer-divergences": Rule("it reduces divergence", STABILIZER, fewer_divergences),
    "stabilizer-wd-insensitive": Rule("it reduces Adam's sensitivity to weight-decay strength", STABILIZER, wd_insensitive),
    "stabilizer-bounded-on-spikes": Rule("the magnitude on spike steps is bounded, whatever the spike's size", STABILIZER, needs("injected gradient spikes")),
    "stabilizer-keeps-direction": Rule("the instantaneous direction is preserved", STABILIZER, needs("the recorded cosine between incoming and outgoing gradient")),
    "plug-in": Rule("works with SGD, Adam, RMSProp and others", STABILIZER, needs("several optimizers in one study")),
}


def judge_claims(evidence: Sequence[Evidence]) -> list[Claim]:
    """The ledger of a study: every claim, asked of every workload and optimizer."""
    questions = [
        Question(name, rule.sentence, rule.source, piece.setting, piece.n_seeds, piece.seeds_asked, rule.decide(piece)) for name, rule in CLAIMS.items() for piece in evidence
    ]
    tolerances = evidence[0].tolerances
    return judge(questions, tolerances.confidence, tolerances.least_seeds)
