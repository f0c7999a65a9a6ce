"""Claims about regions, divergence, weight decay and accuracy, against the methods that sentences name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from study.claims.baselines import (
    CLIPPING,
    DECOUPLED,
    MAINTAINED,
    against_others,
    keys_of,
    lacking,
    others,
    same_lr,
)
from study.claims.finding import Comparison, Finding
from study.measures.divergence import collapse_share, divergence_share, lost_share
from study.measures.estimate import Estimate, Missing, difference, exponential, ratio
from study.measures.evidence import Evidence, missing_seeds, unsought
from study.measures.landscape import Landscape
from study.measures.regions import width_difference
from study.measures.sensitivity import wd_difference
from study.measures.tuning import tuned_score
from study.measures.windows import LrWindow, windows
from study.spec.claim_rule import Decide

BASELINES = {"the baseline none": ("none",), "a clipping method": CLIPPING}
CONTROLLED = {**BASELINES, "the control unit_norm": ("unit_norm",)}
PAPER = {
    "AdamW (none)": ("none",),
    "centralization": ("centralization",),
    "zscore": ("zscore",),
    "gradient normalisation (unit_norm)": ("unit_norm",),
}
NAMED = {"SGD": ("sgd",), "Adam": ("adam", "adamw"), "RMSProp": ("rmsprop",)}
"""Optimizers that the papers name, and for each the methods of which any one will do."""
NO_ACCURACY = "a workload that is measured by accuracy; this one has {}"


def widens_lr(evidence: Evidence, own: Landscape) -> Finding:
    """Difference of the trained region's lr widths, row by row, per baseline."""
    measure = (
        "difference of the trained region's lr widths (own best), mean over the weight decays at which "
        "either trains"
    )
    if evidence.partial and "trained" not in own.sought:
        return Finding(measure, "decades", missing=unsought("trained"))
    missing = lacking(evidence, BASELINES)
    baselines = others(evidence, BASELINES)
    mine = evidence.regions[own.transform, "trained", "own"]
    apart = against_others(
        evidence,
        own,
        lambda other: width_difference(mine, evidence.regions[other.transform, "trained", "own"]),
    )
    comparisons = []
    for other in baselines:
        theirs = evidence.regions[other.transform, "trained", "own"]
        found = apart.get(other.transform)
        notes = [
            f"{what} ratio {exponential(part.mean):.3g}"
            for what, part in (
                ("width", ratio(mine.lr_width, theirs.lr_width)),
                ("area", ratio(mine.area, theirs.area)),
            )
            if part
        ]
        note = ", ".join(notes) if found else "neither method is trained at any weight decay"
        slight = evidence.indifference.ratio * theirs.lr_width.mean
        comparisons.append(Comparison(other.transform, found, 0.0, True, note, indifference=slight))
    return Finding(
        measure,
        "decades",
        tuple(comparisons),
        missing=missing,
        partial=bool(missing),
        keys=keys_of([own, *baselines]),
    )


def fewer_divergences(evidence: Evidence, own: Landscape) -> Finding:
    """Difference of the shares of lost cells in equally wide windows around each seed's own optimum."""
    missing = lacking(evidence, BASELINES)
    baselines = others(evidence, BASELINES)
    return Finding(
        "difference of the shares of cells that departed or collapsed, in equally wide windows of lr around "
        "each seed's own competitive region",
        "fraction",
        tuple(lost_apart(evidence, own, baselines)),
        missing=missing,
        partial=bool(missing),
        keys=keys_of([own, *baselines]),
    )


def lost_apart(evidence: Evidence, own: Landscape, baselines: Sequence[Landscape]) -> Iterator[Comparison]:
    """That a method loses fewer cells than each of some others."""
    apart = against_others(evidence, own, lambda other: _lost_difference(evidence, own, other))
    for other in baselines:
        found = equal_windows(evidence, own, other)
        if isinstance(found, Missing):
            yield Comparison(other.transform, None, 0.0, False, f"needs {found.reason}")
            continue
        parts = [
            f"{what} alone {difference(of(own), of(other)).mean:.3g}"
            for what, of in (("departed", divergence_share), ("collapsed", collapse_share))
        ]
        yield Comparison(
            other.transform,
            apart[other.transform],
            0.0,
            False,
            f"over the whole grid {' and '.join(parts)}",
            indifference=evidence.indifference.share,
            common=difference(lost_share(own), lost_share(other)) if same_lr(own, other) else None,
        )


def _lost_difference(evidence: Evidence, own: Landscape, other: Landscape) -> Estimate | None:
    found = equal_windows(evidence, own, other)
    if isinstance(found, Missing):
        return None
    return difference(*(lost_share(one, window) for one, window in zip((own, other), found, strict=True)))


def equal_windows(
    evidence: Evidence, own: Landscape, other: Landscape
) -> tuple[LrWindow, LrWindow] | Missing:
    """Equally wide windows of lr around the competitive regions of two methods."""
    mine, theirs = (evidence.regions[one.transform, "competitive", "own"] for one in (own, other))
    return windows(mine, theirs, evidence.tolerances.window)


def wd_insensitive(evidence: Evidence, own: Landscape) -> Finding:
    """Difference of weight-decay sensitivities, with unit_norm as the control."""
    coupled = "" if own.optimizer_method in DECOUPLED else " (coupled weight decay)"
    measure = (
        "difference of weight-decay sensitivities, of the mean loss over the learning rates at which the "
        f"seed has a competitive cell{coupled}"
    )
    missing = lacking(evidence, CONTROLLED)
    if len(own.weight_decay) < 2:
        return Finding(measure, "loss units", missing="a weight-decay axis with at least two values")
    # Coupled weight decay is added after the transform has rescaled the gradient, so equal values differ in
    # effect. `unit_norm` rescales without a memory: what this control gains too is no merit of the method.
    baselines = others(evidence, CONTROLLED)
    return Finding(
        measure,
        "loss units",
        tuple(less_sensitive_to_wd(evidence, own, baselines, 0.0, evidence.indifference.loss)),
        missing=missing,
        partial=bool(missing),
        keys=keys_of([own, *baselines]),
    )


def less_sensitive_to_wd(
    evidence: Evidence,
    own: Landscape,
    baselines: Sequence[Landscape],
    limit: float,
    slight: float = 0.0,
    note: str = "",
) -> Iterator[Comparison]:
    """That a method's sensitivity to weight decay exceeds each of some others' by less than a limit."""
    near = evidence.near_lr
    mine = near(own.transform)
    apart = against_others(
        evidence, own, lambda other: wd_difference(own, other, mine, near(other.transform))
    )
    for other in baselines:
        both = mine & near(other.transform)
        # Without a learning rate at which both are competitive there is no common number.
        shared = same_lr(own, other) and bool(both.any(axis=1).all())
        widths = [
            f"{evidence.regions[one.transform, 'competitive', 'own'].wd_width.mean:.3g}"
            for one in (own, other)
        ]
        yield Comparison(
            other.transform,
            apart[other.transform],
            limit,
            False,
            note or f"weight-decay widths {' and '.join(widths)} decades",
            axis="weight_decay",
            indifference=slight,
            common=wd_difference(own, other, both, both) if shared else None,
        )


def accuracy(least: float) -> Decide:
    """Paired difference of tuned accuracies above a threshold, per baseline."""

    def decide(evidence: Evidence, own: Landscape) -> Finding:
        measure = "difference of tuned accuracies (best cell chosen on the other seeds)"
        missing = lacking(evidence, PAPER)
        if own.metric_name != "accuracy":
            return Finding(measure, "accuracy", missing=NO_ACCURACY.format(own.metric_name))
        apart = tuned_apart(evidence, own)
        # Where a loss of accuracy is allowed, equal accuracies are what the sentence says.
        slight = 0.0 if least else evidence.indifference.accuracy
        comparisons = tuple(
            Comparison(other.transform, apart[other.transform], least, True, indifference=slight)
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


def tuned_apart(evidence: Evidence, own: Landscape) -> dict[str, Estimate]:
    """Differences of tuned scores to every other transform's."""
    mine = tuned_score(own)
    return against_others(evidence, own, lambda other: difference(mine, tuned_score(other)))


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
    named = {optimizer for names in NAMED.values() for optimizer in names}
    comparisons: list[Comparison] = []
    beside: list[Comparison] = []
    compared = []
    for piece in pieces:
        mine, base = piece.landscapes[own.transform], next(iter(piece.of("none")), None)
        if base is None:
            return Finding(measure, "accuracy", missing=lacking(piece, {"the baseline none": ("none",)}))
        compared += [mine, base]
        width = piece.regions[own.transform, "trained", "own"].lr_width.mean
        comparison = Comparison(
            piece.optimizer,
            tuned_apart(piece, mine)[base.transform],
            -MAINTAINED,
            True,
            f"trained over {width:.3g} decades of lr",
            preposition="with",
        )
        (comparisons if mine.optimizer_method in named else beside).append(comparison)
    missing = f"the sentence names {' and '.join(absent)}, which the study does not have" if absent else ""
    return Finding(
        measure,
        "accuracy",
        tuple(comparisons),
        missing=missing,
        partial=bool(missing),
        keys=keys_of(compared),
        beside=tuple(beside),
    )
