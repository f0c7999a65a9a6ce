"""The claim to be free of hyperparameters: what can be measured of it, part by part."""

from __future__ import annotations

from collections.abc import Callable

from study.claims.baselines import keys_of, lacking
from study.claims.verdicts import Comparison, Finding
from study.measures.catalogue import Case, over_workloads
from study.measures.estimate import Missing, difference
from study.measures.evidence import Evidence, along, missing_seeds
from study.measures.landscape import Landscape
from study.measures.sensitivity import (
    absolute,
    constant_axes,
    constant_sensitivity,
    lr_sensitivity,
    scales,
    shift,
    wd_sensitivity,
)
from study.measures.tuning import effective_dimension, shared_default_regret

MOVES = 0.5
"""Largest shift of the region that still counts as staying [decades]."""
SCALES = (0.01, 100.0)
"""Loss scales between which the region shall stay."""

Part = Callable[[Evidence, Landscape], tuple[list[Comparison], str]]
"""Comparisons, and what the study lacks for them; with `evidence.study` a part may compare settings and workloads."""


def hyperparameter_free(evidence: Evidence, own: Landscape) -> Finding:
    """Every part of `PARTS`: all must hold, and the claim cannot be supported while one of them is missing."""
    base = lacking(evidence, {"the baseline none": ("none",)})
    found = [part(evidence, own) for part in PARTS]
    comparisons = tuple(comparison for many, _ in found for comparison in many)
    missing = base or "; ".join(lack for _, lack in found if lack)
    used = [
        piece.landscapes[name]
        for piece in along(evidence, "loss_scale")
        for name in piece.landscapes
        if piece.landscapes[name].method in (own.method, "none")
    ]
    measure = "sensitivities to lr, weight decay and constants, and shift of the trained region with the loss scale; regret and dimension over workloads"
    return Finding(
        measure, "loss units", comparisons, missing=missing, partial=bool(missing), keys=keys_of(used)
    )


def band(evidence: Evidence, own: Landscape) -> float:
    """Half-width of the equivalence band [loss units]."""
    return evidence.tolerances.equivalence * float(own.loss_initial_S.mean())


def sensitivities(evidence: Evidence, own: Landscape) -> tuple[list[Comparison], str]:
    """Differences of lr and weight-decay sensitivity to the baseline's, along the axes that have several values."""
    limit = band(evidence, own)
    note = f"counts as equal up to {limit:.3g}"
    axes = (("lr", own.lr, lr_sensitivity), ("weight decay", own.weight_decay, wd_sensitivity))
    comparisons = [
        Comparison(
            f"{base.transform} in {axis}", difference(sensitivity(own), sensitivity(base)), limit, False, note
        )
        for base in evidence.of("none")
        for axis, values, sensitivity in axes
        if len(values) > 1
    ]
    lack = " and ".join(axis for axis, values, _ in axes if len(values) < 2)
    return comparisons, f"the sensitivity to {lack} takes several values of it" if lack else ""


def constants(evidence: Evidence, own: Landscape) -> tuple[list[Comparison], str]:
    """How much the loss at the method's best cell varies along each of its constants; a method without constants has 0."""
    axes, limit = constant_axes(evidence, own.method), band(evidence, own)
    comparisons = []
    for name, members in axes.items():
        values = ", ".join(str(dict(one.constants).get(name, "default")) for one in members)
        comparisons.append(
            Comparison(
                name,
                constant_sensitivity(members),
                limit,
                False,
                f"{name} {values}; counts as equal up to {limit:.3g}",
                preposition="along",
            )
        )
    return (
        comparisons,
        ""
        if axes
        else "constant sensitivity takes an axis of a constant (transforms: several values of one)",
    )


def scale_shift(evidence: Evidence, own: Landscape) -> tuple[list[Comparison], str]:
    """How far the trained region's centre moves along lr when the loss is multiplied; the sign is that of the mean shift."""
    pieces = {c: piece for c, piece in sorted(scales(evidence).items()) if SCALES[0] <= c <= SCALES[1]}
    if not {*SCALES, 1.0} <= pieces.keys():
        return (
            [],
            f"the gradient-scale shift takes an axis of the loss scale (conditions: loss_scale) that has {SCALES[0]:g}, 1 and {SCALES[1]:g}",
        )
    if trouble := missing_seeds(list(pieces.values())):
        return [], trouble
    comparisons = []
    for c, piece in pieces.items():
        if c == 1.0:
            continue
        moved, bases = (shift(pieces[1.0], piece, name) for name in (own.transform, "none"))
        here, there = (
            one.regions[own.transform, "trained", "own"].lr_width.mean for one in (pieces[1.0], piece)
        )
        note = f"lr width {there:.3g} decades instead of {here:.3g}" + (
            f"; the baseline's region moves by {bases.mean:.3g}" if bases else ""
        )
        note = (
            "a trained region is empty at some seed"
            if moved is None
            else f"downward; {note}"
            if moved.mean < 0
            else note
        )
        comparisons.append(
            Comparison(
                f"loss scale {c:g}",
                moved and absolute(moved),
                MOVES,
                False,
                note,
                preposition="in the region's shift at",
                unit="decades",
                ratio=False,
            )
        )
    return comparisons, ""


def over_all_workloads(evidence: Evidence, own: Landscape) -> tuple[list[Comparison], str]:
    """Differences of shared-default regret and effective dimension to the baseline's, over all workloads with this optimizer."""
    missing = "shared-default regret and effective dimension take several workloads"
    base = next(iter(evidence.of("none")), None)
    if base is None:
        return [], missing
    pieces = [
        piece
        for piece in evidence.study
        if (piece.optimizer, piece.condition) == (evidence.optimizer, evidence.condition)
    ]
    comparisons = []
    for what, rule, limit, unit in (
        ("shared-default regret", shared_default_regret, evidence.tolerances.equivalence, "normalised score"),
        ("effective dimension", effective_dimension, 0.5, "hyperparameters"),
    ):
        mine, theirs = (over_workloads(rule)(Case(one, evidence, pieces, {})) for one in (own, base))
        if isinstance(mine, Missing) or isinstance(theirs, Missing):
            return [], missing
        comparisons.append(
            Comparison(
                f"{base.transform} in {what}",
                difference(mine, theirs),
                limit,
                False,
                f"{mine.mean:.3g} and {theirs.mean:.3g}",
                unit=unit,
                ratio=False,
            )
        )
    return comparisons, ""


PARTS: tuple[Part, ...] = (sensitivities, constants, scale_shift, over_all_workloads)
"""What the sentence consists of. A further part is a function and its name here."""
