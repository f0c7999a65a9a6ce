"""The claims ledger: one row per sentence, one function per measurement. Add a claim by adding both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from study.evidence import Evidence
from study.landscape import Landscape
from study.regions import divergence_share, lr_sensitivity, tuned_score, wd_sensitivity
from study.statistics import difference, exponential, ratio
from study.verdicts import Claim, Comparison, Finding, Question, judge

CLIPPING = ("clip_norm", "clip_value", "agc", "zclip", "autoclip", "adagc")
GS = "gradient_stabilizer"
MAINTAINED = 0.005
"""Largest loss of accuracy that still counts as maintained [fraction; half a point]."""
DECOUPLED = ("adamw", "lion")
"""Optimizers whose weight decay is decoupled."""

Decide = Callable[[Evidence, Landscape], Finding]
"""Measures a claim about one landscape: that of the method, with whatever constants."""


@dataclass(frozen=True)
class Rule:
    """A sentence, where it stands, the method that it is about, and how a study measures it."""

    sentence: str
    source: str
    method: str
    decide: Decide


def needs(what: str) -> Decide:
    """A claim that is not measured yet; says what it takes."""
    return lambda evidence, own: Finding("not measured", "", missing=f"it takes {what}, which studies do not measure yet")


def keys_of(landscapes: Sequence[Landscape]) -> tuple[str, ...]:
    return tuple(str(key) for landscape in landscapes for key in landscape.key_SWL.ravel())


def lacking(evidence: Evidence, wanted: Mapping[str, Sequence[str]]) -> str:
    """Which of the comparisons that a sentence names the study cannot make, in words; empty when it has all.

    Args:
        wanted: what to compare with, in words, and the methods of which any one will do.
    """
    absent = [name for name, methods in wanted.items() if not evidence.of(*methods)]
    return f"the sentence compares with {' and '.join(absent)}, which the study does not have" if absent else ""


BASELINES = {"the baseline none": ("none",), "a clipping method": CLIPPING}
CONTROLLED = {**BASELINES, "the control unit_norm": ("unit_norm",)}
PAPER = {"AdamW (none)": ("none",), "centralization": ("centralization",), "zscore": ("zscore",), "gradient normalisation (unit_norm)": ("unit_norm",)}


def others(evidence: Evidence, wanted: Mapping[str, Sequence[str]]) -> list[Landscape]:
    """The landscapes that a sentence compares with."""
    return evidence.of(*(method for methods in wanted.values() for method in methods))


def widens_lr(evidence: Evidence, own: Landscape) -> Finding:
    """Ratio of the trained region's lr widths, per baseline."""
    missing = lacking(evidence, BASELINES)
    width = {landscape.transform: evidence.regions[landscape.transform, "trained", "own"] for landscape in (own, *others(evidence, BASELINES))}
    comparisons = []
    for other in others(evidence, BASELINES):
        found = ratio(width[own.transform].lr_width, width[other.transform].lr_width)
        area = ratio(width[own.transform].area, width[other.transform].area)
        note = f"area ratio {exponential(area.mean):.3g}" if area else "no area ratio" if found else "a region is empty, or has no width, at some seed"
        comparisons.append(Comparison(other.transform, found, 0.0, True, note))
    measure = "ratio of lr widths of the trained region (own best; median over weight decays)"
    return Finding(measure, "x", tuple(comparisons), ratio=True, missing=missing, partial=bool(missing), keys=keys_of([own, *others(evidence, BASELINES)]))


def fewer_divergences(evidence: Evidence, own: Landscape) -> Finding:
    """Difference of divergence shares over windows centred on each method's optimum."""
    measure, missing = "difference of divergence shares in a window of lr centred on each method's optimum", lacking(evidence, BASELINES)
    compared = [own, *others(evidence, BASELINES)]
    windows = evidence.window(compared)
    if windows[own.transform].sum() < 2:
        return Finding(measure, "fraction", missing="a window around the optima: one of them lies at the border of the lr axis; widen it")
    share = {landscape.transform: divergence_share(landscape, windows[landscape.transform]) for landscape in compared}
    note = f"windows of {int(windows[own.transform].sum())} learning rates"
    comparisons = tuple(Comparison(other.transform, difference(share[own.transform], share[other.transform]), 0.0, False, note) for other in compared[1:])
    return Finding(measure, "fraction", comparisons, missing=missing, partial=bool(missing), keys=keys_of(compared))


def wd_insensitive(evidence: Evidence, own: Landscape) -> Finding:
    """Difference of weight-decay sensitivities, with unit_norm as the control."""
    coupled = "" if evidence.optimizer.split("(")[0] in DECOUPLED else " (coupled weight decay)"
    measure, missing = f"difference of weight-decay sensitivities at each method's best lr{coupled}", lacking(evidence, CONTROLLED)
    if len(own.weight_decay) < 2:
        return Finding(measure, "loss units", missing="a weight-decay axis with at least two values")
    comparisons = []
    for other in others(evidence, CONTROLLED):
        widths = [evidence.regions[name, "competitive", "own"].wd_width.mean for name in (own.transform, other.transform)]
        note = f"weight-decay widths {widths[0]:.3g} and {widths[1]:.3g} decades"
        comparisons.append(Comparison(other.transform, difference(wd_sensitivity(own), wd_sensitivity(other)), 0.0, False, note))
    return Finding(measure, "loss units", tuple(comparisons), missing=missing, partial=bool(missing), keys=keys_of([own, *others(evidence, CONTROLLED)]))


def accuracy(least: float) -> Decide:
    """Paired difference of tuned accuracies above a threshold, per baseline."""

    def decide(evidence: Evidence, own: Landscape) -> Finding:
        measure, missing = "difference of tuned accuracies (best cell chosen on the other seeds)", lacking(evidence, PAPER)
        if own.metric_name != "accuracy":
            return Finding(measure, "accuracy", missing=f"a workload that is measured by accuracy; this one has {own.metric_name}")
        comparisons = tuple(Comparison(other.transform, difference(tuned_score(own), tuned_score(other)), least, True) for other in others(evidence, PAPER))
        return Finding(measure, "accuracy", comparisons, missing=missing, partial=bool(missing), keys=keys_of([own, *others(evidence, PAPER)]))

    return decide


def hyperparameter_free(evidence: Evidence, own: Landscape) -> Finding:
    """The parts that one lr x weight-decay grid can measure: sensitivities no larger than the baseline's within the band."""
    measure = "difference of lr and weight-decay sensitivities to the baseline's"
    missing = (
        "shared-default regret and effective dimension take several workloads, constant sensitivity an axis of a constant, and the gradient-scale shift an axis of the loss scale"
    )
    band = evidence.tolerances.equivalence * float(own.loss_initial_S.mean())
    note = f"counts as equal up to {band:.3g}"
    comparisons = [
        Comparison(f"{base.transform} in {axis}", difference(sensitivity(own), sensitivity(base)), band, False, note)
        for base in evidence.of("none")
        for axis, sensitivity in (("lr", lr_sensitivity), ("weight decay", wd_sensitivity))
    ]
    return Finding(
        measure, "loss units", tuple(comparisons), missing=lacking(evidence, {"the baseline none": ("none",)}) or missing, partial=True, keys=keys_of([own, *evidence.of("none")])
    )


GAN = "Yun 2025, arXiv:2509.03677"
STABILIZER = "GradientStabilizer 2026, arXiv:2502.17055v4"

CLAIMS: dict[str, Rule] = {
    "autoscale-hyperparameter-free": Rule("Gradient Autoscaled Normalization is hyperparameter-free", GAN, "autoscale", hyperparameter_free),
    "autoscale-never-amplifies": Rule("its scale lies in (0, 1]: no unintended amplification", GAN, "autoscale", needs("the recorded scale factor of every step")),
    "autoscale-converges": Rule("Lemma 1 and Theorem 2: the convergence bound", GAN, "autoscale", needs("a smooth problem with known curvature and gradient noise")),
    "autoscale-accuracy-maintained": Rule("it maintains the accuracy of AdamW, GC, ZNorm and gradient normalisation", GAN, "autoscale", accuracy(-MAINTAINED)),
    "autoscale-accuracy-improved": Rule("it improves on the accuracy of AdamW, GC, ZNorm and gradient normalisation", GAN, "autoscale", accuracy(0.0)),
    "global-std-decreases": Rule("the global gradient deviation falls during training", GAN, "autoscale", needs("the recorded gradient deviation of every step")),
    "zscore-amplifies": Rule("dividing by a small layer deviation amplifies and can diverge", GAN, "zscore", needs("the recorded gain of every layer")),
    "stabilizer-widens-lr": Rule("GradientStabilizer widens stable learning-rate regions over clipping", STABILIZER, GS, widens_lr),
    "stabilizer-fewer-divergences": Rule("it reduces divergence", STABILIZER, GS, fewer_divergences),
    "stabilizer-wd-insensitive": Rule("it reduces Adam's sensitivity to weight-decay strength", STABILIZER, GS, wd_insensitive),
    "stabilizer-bounded-on-spikes": Rule("the magnitude on spike steps is bounded, whatever the spike's size", STABILIZER, GS, needs("injected gradient spikes")),
    "stabilizer-keeps-direction": Rule("the instantaneous direction is preserved", STABILIZER, GS, needs("the recorded cosine between incoming and outgoing gradient")),
    "plug-in": Rule("works with SGD, Adam, RMSProp and others", STABILIZER, GS, needs("several optimizers in one study")),
}


def judge_claims(evidence: Sequence[Evidence], more: Mapping[str, Rule] | None = None) -> list[Claim]:
    """The ledger of a study: every claim, and those of the user's own (`more`), asked of every workload, optimizer and variant of its method."""
    questions = []
    for name, rule in {**CLAIMS, **(more or {})}.items():
        for piece in evidence:
            variants = piece.of(rule.method)
            for own in variants:
                setting = piece.setting + (f" · {own.transform}" if len(variants) > 1 else "")
                finding = rule.decide(piece, own) if piece.n_seeds else Finding("", "", missing=f"no seed is complete yet (0 of {piece.seeds_asked})")
                questions.append(Question(name, rule.sentence, rule.source, setting, piece.n_seeds, piece.seeds_asked, finding))
            if not variants:
                finding = Finding("", "", missing=f"the study has no transform {rule.method!r}")
                questions.append(Question(name, rule.sentence, rule.source, piece.setting, piece.n_seeds, piece.seeds_asked, finding))
    tolerances = evidence[0].tolerances
    return judge(questions, tolerances.confidence, tolerances.least_seeds)
