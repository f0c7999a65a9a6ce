"""Claims about regions, divergence, weight decay and accuracy, against the methods that sentences name."""

from __future__ import annotations

from study.claims.baselines import MAINTAINED, keys_of, lacking, others
from study.claims.finding import Comparison, Finding
from study.measures.divergence import divergence_share
from study.measures.estimate import difference, exponential, ratio
from study.measures.evidence import Evidence, missing_seeds
from study.measures.landscape import Landscape
from study.measures.sensitivity import wd_sensitivity
from study.measures.tuning import tuned_score
from study.spec.claim_rule import Decide

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
"""Optimizers that the papers name, and for each the methods of which any one will do."""
NO_ACCURACY = "a workload that is measured by accuracy; this one has {}"


def widens_lr(evidence: Evidence, own: Landscape) -> Finding:
    """Ratio of the trained region's lr widths, per baseline."""
    missing = lacking(evidence, BASELINES)
    baselines = others(evidence, BASELINES)
    mine = evidence.regions[own.transform, "trained", "own"]
    comparisons = []
    for other in baselines:
        theirs = evidence.regions[other.transform, "trained", "own"]
        found, area = ratio(mine.lr_width, theirs.lr_width), ratio(mine.area, theirs.area)
        if area:
            note = f"area ratio {exponential(area.mean):.3g}"
        elif found:
            note = "no area ratio"
        else:
            note = "a region is empty, or has no width, at some seed"
        comparisons.append(Comparison(other.transform, found, 0.0, True, note))
    return Finding(
        "ratio of lr widths of the trained region (own best; median over weight decays)",
        "x",
        tuple(comparisons),
        ratio=True,
        missing=missing,
        partial=bool(missing),
        keys=keys_of([own, *baselines]),
    )


def fewer_divergences(evidence: Evidence, own: Landscape) -> Finding:
    """Difference of divergence shares over windows centred on each method's optimum."""
    measure = "difference of divergence shares in a window of lr centred on each method's optimum"
    missing = lacking(evidence, BASELINES)
    compared = [own, *others(evidence, BASELINES)]
    windows = evidence.window(compared)
    if windows[own.transform].sum() < 2:
        lack = "a window around the optima: one of them lies at the border of the lr axis; widen it"
        return Finding(measure, "fraction", missing=lack)
    mine, *theirs = (divergence_share(one, windows[one.transform]) for one in compared)
    note = f"windows of {int(windows[own.transform].sum())} learning rates"
    comparisons = tuple(
        Comparison(other.transform, difference(mine, share), 0.0, False, note)
        for other, share in zip(compared[1:], theirs, strict=True)
    )
    return Finding(
        measure, "fraction", comparisons, missing=missing, partial=bool(missing), keys=keys_of(compared)
    )


def wd_insensitive(evidence: Evidence, own: Landscape) -> Finding:
    """Difference of weight-decay sensitivities, with unit_norm as the control."""
    coupled = "" if own.optimizer_method in DECOUPLED else " (coupled weight decay)"
    measure = f"difference of weight-decay sensitivities at each method's best lr{coupled}"
    missing = lacking(evidence, CONTROLLED)
    if len(own.weight_decay) < 2:
        return Finding(measure, "loss units", missing="a weight-decay axis with at least two values")
    # Coupled weight decay is added after the transform has rescaled the gradient, so equal values differ in
    # effect. `unit_norm` rescales without a memory: what this control gains too is no merit of the method.
    baselines = others(evidence, CONTROLLED)
    width = {
        one.transform: evidence.regions[one.transform, "competitive", "own"].wd_width.mean
        for one in (own, *baselines)
    }
    comparisons = []
    for other in baselines:
        note = f"weight-decay widths {width[own.transform]:.3g} and {width[other.transform]:.3g} decades"
        found = difference(wd_sensitivity(own), wd_sensitivity(other))
        comparisons.append(Comparison(other.transform, found, 0.0, False, note))
    return Finding(
        measure,
        "loss units",
        tuple(comparisons),
        missing=missing,
        partial=bool(missing),
        keys=keys_of([own, *baselines]),
    )


def accuracy(least: float) -> Decide:
    """Paired difference of tuned accuracies above a threshold, per baseline."""

    def decide(evidence: Evidence, own: Landscape) -> Finding:
        measure = "difference of tuned accuracies (best cell chosen on the other seeds)"
        missing = lacking(evidence, PAPER)
        if own.metric_name != "accuracy":
            return Finding(measure, "accuracy", missing=NO_ACCURACY.format(own.metric_name))
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
    # Evidence that no study gathered, as in a script, knows itself alone.
    pieces = [
        piece
        for piece in evidence.study or [evidence]
        if (piece.workload, piece.condition) == (evidence.workload, evidence.condition)
    ]
    if own.metric_name != "accuracy":
        return Finding(measure, "accuracy", missing=NO_ACCURACY.format(own.metric_name))
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
