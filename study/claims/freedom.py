"""The claim to be free of hyperparameters: what can be measured of it, part by part."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from study.claims.rule import along, keys_of, lacking, missing_seeds
from study.evidence import Evidence
from study.landscape import Floats, Landscape
from study.regions import Region, best_cell, lr_sensitivity, wd_sensitivity
from study.statistics import Estimate, difference
from study.verdicts import Comparison, Finding

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
    used = [piece.landscapes[name] for piece in along(evidence, "loss_scale") for name in piece.landscapes if piece.landscapes[name].method in (own.method, "none")]
    measure = "sensitivities to lr, weight decay and constants, and shift of the trained region with the loss scale"
    return Finding(measure, "loss units", comparisons, missing=missing, partial=bool(missing), keys=keys_of(used))


def band(evidence: Evidence, own: Landscape) -> float:
    """Half-width of the equivalence band [loss units]."""
    return evidence.tolerances.equivalence * float(own.loss_initial_S.mean())


def sensitivities(evidence: Evidence, own: Landscape) -> tuple[list[Comparison], str]:
    """Differences of lr and weight-decay sensitivity to the baseline's, along the axes that have several values."""
    limit = band(evidence, own)
    note = f"counts as equal up to {limit:.3g}"
    axes = (("lr", own.lr, lr_sensitivity), ("weight decay", own.weight_decay, wd_sensitivity))
    comparisons = [
        Comparison(f"{base.transform} in {axis}", difference(sensitivity(own), sensitivity(base)), limit, False, note)
        for base in evidence.of("none")
        for axis, values, sensitivity in axes
        if len(values) > 1
    ]
    lack = " and ".join(axis for axis, values, _ in axes if len(values) < 2)
    return comparisons, f"the sensitivity to {lack} takes several values of it" if lack else ""


def constants(evidence: Evidence, own: Landscape) -> tuple[list[Comparison], str]:
    """How much the loss at the method's best cell varies along each of its constants; a method without constants has 0."""
    variants = evidence.of(own.method)
    plain = min(variants, key=lambda one: len(one.constants))
    axes: dict[str, list[Landscape]] = {}
    for one in variants:
        changed = {name for name, _ in set(one.constants) ^ set(plain.constants)}
        if len(changed) == 1:
            axes.setdefault(changed.pop(), [plain]).append(one)
    if not axes:
        return [], "constant sensitivity takes an axis of a constant (transforms: several values of one)"
    row, column = best_cell(plain)
    limit = band(evidence, own)
    comparisons = []
    for name, members in axes.items():
        loss_VS = np.stack([one.clamped_loss_SWL[:, row, column] for one in members])
        values = ", ".join(str(dict(one.constants).get(name, "default")) for one in members)
        sensitivity = Estimate(tuple((loss_VS - loss_VS.min(axis=0)).mean(axis=0).tolist()))
        comparisons.append(Comparison(name, sensitivity, limit, False, f"{name} {values}; counts as equal up to {limit:.3g}", preposition="along"))
    return comparisons, ""


def scale_shift(evidence: Evidence, own: Landscape) -> tuple[list[Comparison], str]:
    """How far the trained region's centre moves along lr when the loss is multiplied; the sign is that of the mean shift.

    Staying within a band has two sides; the side that the mean lies on is the harder one, so that testing it is testing both.
    """
    pieces = {piece.budget.loss_scale: piece for piece in along(evidence, "loss_scale") if piece.budget}
    scales = [c for c in sorted(pieces) if SCALES[0] <= c <= SCALES[1]]
    if len(scales) < 2 or SCALES[0] not in scales or SCALES[1] not in scales or 1.0 not in scales:
        return [], f"the gradient-scale shift takes an axis of the loss scale (conditions: loss_scale) that has {SCALES[0]:g}, 1 and {SCALES[1]:g}"
    if trouble := missing_seeds([pieces[c] for c in scales]):
        return [], trouble
    comparisons = []
    for c in scales:
        if c == 1.0:
            continue
        moved, bases = (shift(pieces[1.0], pieces[c], name) for name in (own.transform, "none"))
        here, there = (pieces[one].regions[own.transform, "trained", "own"].lr_width.mean for one in (1.0, c))
        note = f"lr width {there:.3g} decades instead of {here:.3g}" + (f"; the baseline's region moves by {bases.mean:.3g}" if bases else "")
        if moved is None:
            note = "a trained region is empty at some seed"
        elif moved.mean < 0:
            moved = Estimate(tuple(-value for value in moved.values_S), moved.lattice_sd, moved.lower_bound)
            note = f"downward; {note}"
        comparisons.append(Comparison(f"loss scale {c:g}", moved, MOVES, False, note, preposition="in the region's shift at", unit="decades", ratio=False))
    return comparisons, ""


def shift(here: Evidence, there: Evidence, transform: str) -> Estimate | None:
    """By how much the centre of the trained region lies higher along lr, paired by seed [decades]; None where there is no region.

    A region that touches the border has its centre beyond what is seen: the shift may then be larger than it looks.
    """
    if transform not in here.landscapes:
        return None
    regions = [piece.regions[transform, "trained", "own"] for piece in (here, there)]
    centres = [centre(found) for found in regions]
    if not all(np.isfinite(found).all() for found in centres):
        return None
    cut = any(side.endswith(" lr") for found in regions for side in found.censored)
    return Estimate(tuple((centres[1] - centres[0]).tolist()), math.hypot(*(found.lr_width.lattice_sd / 2 for found in regions)), lower_bound=cut)


def centre(found: Region) -> Floats:
    """Mean log10 of the learning rates of a seed's region, per seed; NaN where it is empty."""
    position = np.log10(found.landscape.lr)
    inside = found.inside_SWL.sum(axis=1)
    count = inside.sum(axis=1)
    return np.where(count > 0, (inside * position).sum(axis=1) / np.maximum(count, 1), np.nan)


def workloads(evidence: Evidence, own: Landscape) -> tuple[list[Comparison], str]:
    """Shared-default regret and effective dimension are about several workloads together."""
    return [], "shared-default regret and effective dimension take several workloads, which claims do not compare yet"


PARTS: tuple[Part, ...] = (sensitivities, constants, scale_shift, workloads)
"""What the sentence consists of. A further part is a function and its name here."""
