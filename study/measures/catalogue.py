"""Every measure of a study as one table: its unit, and how it comes from the stored cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from study.measures.array_types import Flags, Floats
from study.measures.divergence import collapse_share, divergence_share, lost_share
from study.measures.estimate import Estimate, Missing
from study.measures.evidence import KINDS, ONLY_EDGES, REFERENCES, UNTOLD_LOSS, Evidence, unsought
from study.measures.landscape import Landscape
from study.measures.late_spikes import late_spikes
from study.measures.lr_limits import competitive_rows, decades_above, decades_below, largest_lr
from study.measures.reference import reference_scores
from study.measures.regions import LR, Region
from study.measures.sensitivity import (
    constant_axes,
    constant_sensitivity,
    lr_sensitivity,
    scales,
    shift,
    wd_sensitivity,
)
from study.measures.tuning import (
    effective_dimension,
    expected_performance,
    normalised,
    shared_default_regret,
    tuned_score,
    tuning_curve,
    wins,
)
from tracking import CellRecord

BUDGETS = (1, 5, 20)
"""Numbers of random cells after which the expected best score is shown."""
EQUAL = 5
"""Random cells that every transform gets where the probability of being best is asked."""


@dataclass(frozen=True)
class Case:
    """One transform of a study and what it is measured against.

    Attributes:
        evidence: of its workload, optimizer and condition.
        workloads: of all workloads with this optimizer and condition.
        stored: the cells, by key.
        answers: what was measured of it, by the name of the measure. Several files show the same numbers.
    """

    landscape: Landscape
    evidence: Evidence
    workloads: Sequence[Evidence]
    stored: Mapping[str, CellRecord]
    answers: dict[str, Estimate | Missing] = field(default_factory=dict, repr=False, compare=False)


Answer = Callable[[Case], Estimate | Missing]


@dataclass(frozen=True)
class Measure:
    """A number of one transform.

    Attributes:
        unit: of the estimate; `metric` stands for the workload's own.
        of: the estimate, or in words why there is none.
        ratio: transforms are also compared by their ratio.
    """

    unit: str
    of: Answer
    ratio: bool = False


def needs_axis(axis: str, wanted: str, of: Answer) -> Answer:
    """A measure along an axis: with one value there is nothing to measure."""

    def answer(case: Case) -> Estimate | Missing:
        values = [value for value in getattr(case.landscape, axis) if value > 0]
        if len(values) < 2:
            return Missing(f"needs at least two {wanted}; the study has {len(values)}")
        return of(case)

    return answer


def needs_lr(of: Answer) -> Answer:
    """A measure along lr."""
    return needs_axis("lr", "learning rates", of)


def needs_weight_decay(of: Answer) -> Answer:
    """A measure along weight decay, whose axis is logarithmic: 0 has no place on it."""
    return needs_axis("weight_decay", "weight decays above 0", of)


def needs_both(of: Answer) -> Answer:
    """A measure along both axes; weight decay is looked at first."""
    return needs_weight_decay(needs_lr(of))


def sized(kind: str, reference: str, name: str) -> Answer:
    """A size of one region."""

    def answer(case: Case) -> Estimate | Missing:
        found: Estimate = getattr(case.evidence.regions[case.landscape.transform, kind, reference], name)
        return found

    return answer


def limit(of: Callable[[Region, Flags], Estimate | None]) -> Answer:
    """A distance along lr, mean over the weight decays at which the seed has a competitive cell."""

    def answer(case: Case) -> Estimate | Missing:
        trained, competitive = (
            case.evidence.regions[case.landscape.transform, kind, "own"]
            for kind in ("trained", "competitive")
        )
        found = of(trained, competitive_rows(competitive))
        return found or Missing("needs a competitive cell at every seed")

    return answer


def upper_wd(case: Case) -> Estimate | Missing:
    """Where the trained region ends along weight decay."""
    found = case.evidence.regions[case.landscape.transform, "trained", "own"].largest_wd
    return found or Missing("the trained region is empty at some seed")


def along_lr(case: Case) -> Estimate | Missing:
    """Sensitivity to lr over the grid; a bound where the trained region runs out of it."""
    trained = case.evidence.regions[case.landscape.transform, "trained", "own"]
    return lr_sensitivity(case.landscape, lower_bound=trained.cut(LR))


def along_weight_decay(case: Case) -> Estimate | Missing:
    """Sensitivity to weight decay at the seed's own competitive learning rates."""
    return wd_sensitivity(case.landscape, case.evidence.near_lr(case.landscape.transform))


def spikes(case: Case) -> Estimate | Missing:
    """Late spikes of the training loss per cell."""
    return late_spikes(case.landscape, case.stored)


def chance_of_best(case: Case) -> Estimate | Missing:
    """The probability that the transform's best of `EQUAL` random cells beats every other transform's."""
    others = [one for name, one in case.evidence.landscapes.items() if name != case.landscape.transform]
    if not others:
        return Missing("needs at least two transforms; the study has one")
    return wins(case.landscape, others, EQUAL)


def over_workloads(of: Callable[[Floats], Estimate]) -> Answer:
    """A measure of one transform over all workloads of an optimizer, with scores normalised per workload."""

    def answer(case: Case) -> Estimate | Missing:
        transform = case.landscape.transform
        pieces = [piece for piece in case.workloads if transform in piece.landscapes]
        if len(pieces) < 2:
            return Missing(f"needs at least two workloads; the study has {len(pieces)}")
        if len(case.landscape.lr) * len(case.landscape.weight_decay) < 2:
            return Missing("needs a grid with at least two cells")
        seeds = {piece.landscapes[transform].seeds for piece in pieces}
        if len(seeds) > 1 or seeds == {()}:
            return Missing("needs the same complete seeds on every workload")
        floor, ceiling = [], []
        for piece in pieces:
            everything = list(piece.landscapes.values())
            floor.append(everything[0].sign * everything[0].untrained_S)
            ceiling.append(reference_scores([one.plateau_SN for one in everything]))
        mine = [piece.landscapes[transform] for piece in pieces]
        return of(normalised(mine, np.array(floor), np.array(ceiling)))

    return answer


def of_landscape(of: Callable[[Landscape], Estimate]) -> Answer:
    """A measure that needs nothing but the transform's own landscape."""
    return lambda case: of(case.landscape)


def in_metric(of: Callable[[Landscape], Estimate]) -> Answer:
    """A score as the metric itself, whatever its direction."""

    def answer(case: Case) -> Estimate | Missing:
        found = of(case.landscape)
        return found if case.landscape.higher_is_better else found.turned

    return answer


def best_of(count: int) -> Callable[[Landscape], Estimate]:
    """The expected best score of so many random cells."""
    return lambda landscape: tuning_curve(landscape, count)[-1]


def of_constants(case: Case) -> Estimate | Missing:
    """Mean over the transform's constants."""
    axes = constant_axes(case.evidence, case.landscape.method)
    if not axes:
        return Missing("needs several values of one of the transform's constants")
    # All variants share one number, which is shown once: beside the plain variant, the first of every axis.
    if next(iter(axes.values()))[0].transform != case.landscape.transform:
        return Missing("stands at the variant that the others differ from")
    near_SWL = case.evidence.near(case.landscape.transform)
    # The mean over the constants: the largest of several noisy numbers would be too large.
    found = [constant_sensitivity(members, near_SWL).values_S for members in axes.values()]
    return Estimate(tuple(np.mean(found, axis=0).tolist()), least=0.0)


def of_loss_scale(case: Case) -> Estimate | Missing:
    """How far the region moves from the smallest loss scale to the largest."""
    pieces = scales(case.evidence)
    if len(pieces) < 2 or 1.0 not in pieces:
        return Missing("needs several loss scales, 1 among them")
    if case.evidence.budget is None or case.evidence.budget.loss_scale != 1.0:
        return Missing("stands at loss scale 1")
    # Both are named by the spec. The scale that moves the region most would be chosen from the data.
    found = shift(pieces[min(pieces)], pieces[max(pieces)], case.landscape.transform)
    return found or Missing("a trained region is empty at some seed")


SIZES: dict[str, tuple[str, str, Callable[[Answer], Answer]]] = {
    "area": ("area", "decades²", needs_both),
    "area that feels decay": ("decay_area", "decades²", needs_both),
    "lr width": ("lr_width", "decades", needs_lr),
    "wd width": ("wd_width", "decades", needs_weight_decay),
}
"""Sizes of a region: attribute, unit, and the axes that they need."""


def measures_of_regions() -> dict[str, Measure]:
    """Every size of every region."""
    return {
        f"{kind} {name} ({reference} best)": Measure(
            unit, needs(sized(kind, reference, attribute)), ratio=True
        )
        for kind in KINDS
        for reference in REFERENCES
        for name, (attribute, unit, needs) in SIZES.items()
    }


MEASURES: dict[str, Measure] = {
    **measures_of_regions(),
    "max stable lr": Measure("decades (log10 of lr)", needs_lr(limit(largest_lr))),
    "lr above optimum": Measure("decades", needs_lr(limit(decades_above))),
    "lr below optimum": Measure("decades", needs_lr(limit(decades_below))),
    "max stable weight decay": Measure("decades (log10 of weight decay)", needs_weight_decay(upper_wd)),
    "divergence share": Measure("fraction", of_landscape(divergence_share)),
    "collapse share": Measure("fraction", of_landscape(collapse_share)),
    "lost share": Measure("fraction", of_landscape(lost_share)),
    "lr sensitivity": Measure("loss units", needs_lr(along_lr), ratio=True),
    "wd sensitivity": Measure("loss units", needs_weight_decay(along_weight_decay), ratio=True),
    "tuned score": Measure("metric", in_metric(tuned_score)),
    **{f"expected best of {k}": Measure("metric", in_metric(best_of(k))) for k in BUDGETS},
    "expected performance (CPE)": Measure("metric", in_metric(expected_performance)),
    f"best after {EQUAL} cells": Measure("fraction", chance_of_best),
    "late spikes": Measure("per cell", spikes),
    "shared-default regret": Measure("normalised score", over_workloads(shared_default_regret)),
    "effective dimension": Measure("count", over_workloads(effective_dimension)),
    "constant sensitivity": Measure("loss units", of_constants),
    "gradient-scale shift": Measure("decades", of_loss_scale),
}
"""Add a measure by adding a row."""
FROM_EDGES = {f"{kind} {name} (own best)": kind for kind in KINDS for name in SIZES} | {"tuned score": ""}
"""What is measured where an edge-seeking design trained a part of the cells, and from which kind of region.

The other measures need every cell's score.
"""


def cases(evidence: Sequence[Evidence], stored: Mapping[str, CellRecord]) -> list[Case]:
    """One case per workload, optimizer, condition and transform."""
    found = []
    for piece in evidence:
        group = piece.optimizer, piece.condition
        workloads = [other for other in evidence if (other.optimizer, other.condition) == group]
        found += [Case(landscape, piece, workloads, stored) for landscape in piece.landscapes.values()]
    return found


def measured(case: Case, name: str) -> Estimate | Missing:
    """A measure of a transform, or why there is none."""
    if name not in case.answers:
        case.answers[name] = _measured(case, name)
    return case.answers[name]


def _measured(case: Case, name: str) -> Estimate | Missing:
    if not case.landscape.seeds:
        return Missing(f"no seed is complete yet (0 of {case.evidence.seeds_asked})")
    if case.evidence.partial and name not in FROM_EDGES:
        return Missing(f"needs {ONLY_EDGES}")
    if case.evidence.partial and (kind := FROM_EDGES[name]) and kind not in case.landscape.sought:
        return Missing(f"needs {unsought(kind)}")
    if MEASURES[name].unit == "loss units" and not case.landscape.tells_losses:
        return Missing(f"needs {UNTOLD_LOSS}")
    return MEASURES[name].of(case)


def unit_of(case: Case, name: str) -> str:
    """The unit of a measure; of a score it is the workload's metric."""
    unit = MEASURES[name].unit
    return case.landscape.metric_name if unit == "metric" else unit
