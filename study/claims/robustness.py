"""Claims about regions, divergence, weight decay and accuracy, each against the methods that the sentence names."""

from __future__ import annotations

from study.claims.baselines import MAINTAINED, keys_of, lacking, others
from study.claims.verdicts import Comparison, Finding
from study.measures.divergence import divergence_share
from study.measures.estimate import difference, exponential, ratio
from study.measures.evidence import Evidence, missing_seeds
from study.measures.landscape import Landscape
from study.measures.sensitivity import wd_sensitivity
from study.measures.tuning import tuned_score
from study.spec.rule import Decide

CLIPPING = ("clip_norm", "clip_value", "agc", "zclip", "autoclip", "adagc")
BASELINES = {"the baseline none": ("none",), "a clipping method": CLIPPING}
CONTROLLED = {**BASELINES, "the control unit_norm": ("unit_norm",)}
PAPER = {
    "AdamW (none)": ("none",),
    "centralization": ("centralization",),
    "zscore": ("zscore",),
    "gradient normalisation (unit_norm)": ("unit_norm",),
}
DECOUPLED = ("adamw", "lion")
"""Optimizers whose weight decay is decoupled."""
NAMED = {"SGD": ("sgd",), "Adam": ("adam", "adamw"), "RMSProp": ("rmsprop",)}
"""Optimizers that the papers name, and the names of which any one will do."""


def widens_lr(evidence: Evidence, own: Landscape) -> Finding:
    """Ratio of the trained region's lr widths, per baseline."""
    missing = lacking(evidence, BASELINES)
    width = {
        landscape.transform: evidence.regions[landscape.transform, "trained", "own"]
        for landscape in (own, *others(evidence, BASELINES))
    }
    comparisons = []
    for other in others(evidence, BASELINES):
        found = ratio(width[own.transform].lr_width, width[other.transform].lr_width)
        area = ratio(width[own.transform].area, width[other.transform].area)
        note = (
            f"area ratio {exponential(area.mean):.3g}"
            if area
            else "no area ratio"
            if found
            else "a region is empty, or has no width, at some seed"
        )
        comparisons.append(Comparison(other.transform, found, 0.0, True, note))
    measure = "ratio of lr widths of the trained region (own best; median over weight decays)"
    return Finding(
        measure,
        "x",
        tuple(comparisons),
        ratio=True,
        missing=missing,
        partial=bool(missing),
        keys=keys_of([own, *others(evidence, BASELINES)]),
    )


def fewer_divergences(evidence: Evidence, own: Landscape) -> Finding:
    """Difference of divergence shares over windows centred on each method's optimum."""
    measure, missing = (
        "difference of divergence shares in a window of lr centred on each method's optimum",
        lacking(evidence, BASELINES),
    )
    compared = [own, *others(evidence, BASELINES)]
    windows = evidence.window(compared)
    if windows[own.transform].sum() < 2:
        return Finding(
            measure,
            "fraction",
            missing="a window around the optima: one of them lies at the border of the lr axis; widen it",
        )
    share = {
        landscape.transform: divergence_share(landscape, windows[landscape.transform])
        for landscape in compared
    }
    note = f"windows of {int(windows[own.transform].sum())} learning rates"
    comparisons = tuple(
        Comparison(
            other.transform, difference(share[own.transform], share[other.transform]), 0.0, False, note
        )
        for other in compared[1:]
    )
    return Finding(
        measure, "fraction", comparisons, missing=missing, partial=bool(missing), keys=keys_of(compared)
    )


def wd_insensitive(evidence: Evidence, own: Landscape) -> Finding:
    """Difference of weight-decay sensitivities, with unit_norm as the control."""
    coupled = "" if own.optimizer_method in DECOUPLED else " (coupled weight decay)"
    measure, missing = (
        f"difference of weight-decay sensitivities at each method's best lr{coupled}",
        lacking(evidence, CONTROLLED),
    )
    if len(own.weight_decay) < 2:
        return Finding(measure, "loss units", missing="a weight-decay axis with at least two values")
    comparisons = []
    for other in others(evidence, CONTROLLED):
        widths = [
            evidence.regions[name, "competitive", "own"].wd_width.mean
            for name in (own.transform, other.transform)
        ]
        note = f"weight-decay widths {widths[0]:.3g} and {widths[1]:.3g} decades"
        comparisons.append(
            Comparison(
                other.transform, difference(wd_sensitivity(own), wd_sensitivity(other)), 0.0, False, note
            )
        )
    return Finding(
        measure,
        "loss units",
        tuple(comparisons),
        missing=missing,
        partial=bool(missing),
        keys=keys_of([own, *others(evidence, CONTROLLED)]),
    )


def accuracy(least: float) -> Decide:
    """Paired difference of tuned accuracies above a threshold, per baseline."""

    def decide(evidence: Evidence, own: Landscape) -> Finding:
        measure, missing = (
            "difference of tuned accuracies (best cell chosen on the other seeds)",
            lacking(evidence, PAPER),
        )
        if own.metric_name != "accuracy":
            return Finding(
                measure,
                "accuracy",
                missing=f"a workload that is measured by accuracy; this one has {own.metric_name}",
            )
        comparisons = tuple(
            Comparison(other.transform, difference(tuned_score(own), tuned_score(other)), least, True)
            for other in others(evidence, PAPER)
        )
        return Finding(
            measure,
            "accuracy",
            comparisons,
            missing=missing,
            partial=bool(missing),
            keys=keys_of([own, *others(evidence, PAPER)]),
        )

    return decide


def works_with(evidence: Evidence, own: Landscape) -> Finding:
    """Difference of tuned accuracies to the baseline's with every optimizer of the study."""
    measure = "difference of tuned accuracies to the baseline's, with each optimizer"
    pieces = [
        piece
        for piece in evidence.study or [evidence]
        if (piece.workload, piece.condition) == (evidence.workload, evidence.condition)
    ]
    if own.metric_name != "accuracy":
        return Finding(
            measure,
            "accuracy",
            missing=f"a workload that is measured by accuracy; this one has {own.metric_name}",
        )
    if len(pieces) < 2:
        return Finding(measure, "accuracy", missing="several optimizers in one study")
    if trouble := missing_seeds(pieces):
        return Finding(measure, "accuracy", missing=trouble)
    absent = [
        name
        for name, names in NAMED.items()
        if not any(piece.landscapes[own.transform].optimizer_method in names for piece in pieces)
    ]
    comparisons, compared = [], []
    for piece in pieces:
        mine, base = piece.landscapes[own.transform], next(iter(piece.of("none")), None)
        if base is None:
            return Finding(measure, "accuracy", missing=lacking(piece, {"the baseline none": ("none",)}))
        compared += [mine, base]
        width = piece.regions[own.transform, "trained", "own"].lr_width.mean
        comparisons.append(
            Comparison(
                piece.optimizer,
                difference(tuned_score(mine), tuned_score(base)),
                -MAINTAINED,
                True,
                f"trained over {width:.3g} decades of lr",
                preposition="with",
            )
        )
    missing = f"the sentence names {' and '.join(absent)}, which the study does not have" if absent else ""
    return Finding(
        measure,
        "accuracy",
        tuple(comparisons),
        missing=missing,
        partial=bool(missing),
        keys=keys_of(compared),
    )
