"""The claim to be free of hyperparameters: what can be measured of it, part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from study.claims.baselines import against_others, keys_of, lacking, same_lr
from study.claims.finding import Comparison, Finding
from study.claims.robustness import equal_windows, less_sensitive_to_wd
from study.measures.catalogue import Case, over_workloads
from study.measures.estimate import Estimate, Missing, difference
from study.measures.evidence import Evidence, along, missing_seeds
from study.measures.landscape import Landscape
from study.measures.sensitivity import (
    absolute,
    constant_axes,
    constant_sensitivity,
    lr_sensitivity,
    scales,
    shift,
)
from study.measures.tuning import effective_dimension, shared_default_regret

MOVES = 0.5
"""Largest shift of the region that still counts as staying [decades]."""
SCALES = (0.01, 100.0)
"""Loss scales between which the region must stay."""
MEASURE = (
    "sensitivities to lr, weight decay and constants, and shift of the trained region with the loss scale; "
    "regret and dimension over workloads"
)


@dataclass(frozen=True)
class Part:
    """One part of the sentence, measured.

    Attributes:
        missing: what the study lacks for it; empty when nothing.
    """

    comparisons: tuple[Comparison, ...] = ()
    missing: str = ""


def hyperparameter_free(evidence: Evidence, own: Landscape) -> Finding:
    """Every part of `PARTS`: all must hold, and while one is missing the claim cannot be supported."""
    base = lacking(evidence, {"the baseline none": ("none",)})
    found = [part(evidence, own) for part in PARTS]
    comparisons = tuple(comparison for part in found for comparison in part.comparisons)
    missing = base or "; ".join(part.missing for part in found if part.missing)
    pieces = {piece.key: piece for piece in (*along(evidence, "loss_scale"), *_workloads(evidence))}
    used = [landscape for piece in pieces.values() for landscape in piece.of(own.method, "none")]
    return Finding(
        MEASURE, "loss units", comparisons, missing=missing, partial=bool(missing), keys=keys_of(used)
    )


def band(evidence: Evidence, own: Landscape) -> float:
    """Half-width of the equivalence band [loss units]."""
    return evidence.tolerances.equivalence * float(own.loss_initial_S.mean())


def sensitivities(evidence: Evidence, own: Landscape) -> Part:
    """Differences of lr and weight-decay sensitivity to the baseline's, along axes of several values."""
    limit = band(evidence, own)
    note = f"counts as equal up to {limit:.3g}"
    baselines = evidence.of("none")
    comparisons: list[Comparison] = []
    if len(own.lr) > 1:
        comparisons += _lr_apart(evidence, own, baselines, limit, note)
    if len(own.weight_decay) > 1:
        comparisons += [
            replace(one, against=f"{one.against} in weight decay")
            for one in less_sensitive_to_wd(evidence, own, baselines, limit, note=note)
        ]
    axes = (("lr", own.lr), ("weight decay", own.weight_decay))
    lack = " and ".join(axis for axis, values in axes if len(values) < 2)
    return Part(tuple(comparisons), f"the sensitivity to {lack} takes several values of it" if lack else "")


def _lr_apart(
    evidence: Evidence, own: Landscape, baselines: Sequence[Landscape], limit: float, note: str
) -> Iterator[Comparison]:
    """How much more sensitive to lr a method is, in equally wide windows around each one's optimum."""
    apart = against_others(evidence, own, lambda other: _lr_difference(evidence, own, other))
    for base in baselines:
        place = f"{base.transform} in lr"
        if base.transform not in apart:
            found = equal_windows(evidence, own, base)
            assert isinstance(found, Missing)
            yield Comparison(place, None, limit, False, f"needs {found.reason}")
            continue
        common = difference(lr_sensitivity(own), lr_sensitivity(base)) if same_lr(own, base) else None
        yield Comparison(place, apart[base.transform], limit, False, note, common=common)


def _lr_difference(evidence: Evidence, own: Landscape, other: Landscape) -> Estimate | None:
    found = equal_windows(evidence, own, other)
    if isinstance(found, Missing):
        return None
    return difference(*(lr_sensitivity(one, window) for one, window in zip((own, other), found, strict=True)))


def constants(evidence: Evidence, own: Landscape) -> Part:
    """How much the loss of the method's competitive cells varies along each of its constants."""
    axes = constant_axes(evidence, own.method)
    if not axes:
        lack = "constant sensitivity takes an axis of a constant (transforms: several values of one)"
        return Part(missing=lack)
    limit = band(evidence, own)
    comparisons = []
    for name, members in axes.items():
        values = ", ".join(str(dict(one.constants).get(name, "default")) for one in members)
        note = f"{name} {values}; counts as equal up to {limit:.3g}"
        # No baseline: a method without constants has a sensitivity of 0 by definition.
        found = constant_sensitivity(members, evidence.near(members[0].transform))
        comparisons.append(Comparison(name, found, limit, False, note, preposition="along"))
    return Part(tuple(comparisons))


def scale_shift(evidence: Evidence, own: Landscape) -> Part:
    """How far the trained region's centre moves along lr when the loss is multiplied, in either direction."""
    pieces = {c: piece for c, piece in sorted(scales(evidence).items()) if SCALES[0] <= c <= SCALES[1]}
    if not {*SCALES, 1.0} <= pieces.keys():
        lack = (
            "the gradient-scale shift takes an axis of the loss scale (conditions: loss_scale) "
            f"that has {SCALES[0]:g}, 1 and {SCALES[1]:g}"
        )
        return Part(missing=lack)
    if trouble := missing_seeds(list(pieces.values())):
        return Part(missing=trouble)
    ordinary = pieces.pop(1.0)
    return Part(tuple(_moved(ordinary, piece, c, own.transform) for c, piece in pieces.items()))


def _moved(ordinary: Evidence, scaled: Evidence, c: float, transform: str) -> Comparison:
    """The shift of one transform's region at a loss scale `c`, against scale 1."""
    moved, base = (shift(ordinary, scaled, name) for name in (transform, "none"))
    return Comparison(
        f"loss scale {c:g}",
        # The band has two sides, and `absolute` tests the one that the mean is nearer to.
        None if moved is None else absolute(moved),
        MOVES,
        False,
        _moved_note(ordinary, scaled, transform, moved, base),
        preposition="in the region's shift at",
        unit="decades",
        ratio=False,
    )


def _moved_note(
    ordinary: Evidence, scaled: Evidence, transform: str, moved: Estimate | None, base: Estimate | None
) -> str:
    """What stands beside a shift: its direction, the region's width, and the shift of the baseline's."""
    if moved is None:
        return "a trained region is empty at some seed"
    here, there = (one.regions[transform, "trained", "own"].lr_width.mean for one in (ordinary, scaled))
    note = f"lr width {there:.3g} decades instead of {here:.3g}"
    if base is not None:
        note += f"; the baseline's region moves by {base.mean:.3g}"
    return f"downward; {note}" if moved.mean < 0 else note


def over_all_workloads(evidence: Evidence, own: Landscape) -> Part:
    """Differences of shared-default regret and effective dimension to the baseline's, over all workloads."""
    lack = Part(missing="shared-default regret and effective dimension take several workloads and cells")
    base = next(iter(evidence.of("none")), None)
    if base is None:
        return lack
    pieces = _workloads(evidence)
    comparisons = []
    for what, rule, limit, unit in (
        ("shared-default regret", shared_default_regret, evidence.tolerances.equivalence, "normalised score"),
        ("effective dimension", effective_dimension, 0.5, "hyperparameters"),
    ):
        mine, theirs = (over_workloads(rule)(Case(one, evidence, pieces, {})) for one in (own, base))
        if isinstance(mine, Missing) or isinstance(theirs, Missing):
            return lack
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
    return Part(tuple(comparisons))


def _workloads(evidence: Evidence) -> list[Evidence]:
    """The pieces of the same optimizer and condition, one for each workload.

    A condition is no workload: one problem under several loss scales would count as several.
    """
    here = (evidence.optimizer, evidence.condition)
    return [piece for piece in evidence.study if (piece.optimizer, piece.condition) == here]


PARTS: tuple[Callable[[Evidence, Landscape], Part], ...] = (
    sensitivities,
    constants,
    scale_shift,
    over_all_workloads,
)
"""What the sentence consists of. A further part is a function and its name here.

With `evidence.study` a part may compare settings and workloads.
"""
