"""Every measure of a study as one table: its unit, and how it comes from the stored cells, or why this study has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from study.measures.divergence import divergence_share
from study.measures.estimate import Estimate, Missing
from study.measures.evidence import KINDS, ONLY_EDGES, REFERENCES, Evidence
from study.measures.landscape import Landscape
from study.measures.lr_limits import EMPTY, decades_above, decades_below, largest_lr
from study.measures.regions import best_cell
from study.measures.sensitivity import (
    absolute,
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
WINDOW, LEAST_WINDOW, SPIKE = 20, 5, 7.0
"""A late spike is a recorded loss this many standard deviations above the mean of the preceding points: at most, and at least, so many."""


@dataclass(frozen=True)
class Case:
    """One transform of a study and what it is measured against.

    Attributes:
        evidence: of its workload, optimizer and condition. workloads: of all workloads with this optimizer and condition.
        stored: the cells, by key.
    """

    landscape: Landscape
    evidence: Evidence
    workloads: Sequence[Evidence]
    stored: Mapping[str, CellRecord]


@dataclass(frozen=True)
class Measure:
    """A number of one transform.

    Attributes:
        unit: of the estimate; `metric` stands for the workload's own. of: the estimate, or in words why there is none.
        ratio: transforms are also compared by their ratio.
    """

    unit: str
    of: Callable[[Case], Estimate | Missing]
    ratio: bool = False


def needs_axis(
    axis: str, wanted: str, of: Callable[[Case], Estimate | Missing]
) -> Callable[[Case], Estimate | Missing]:
    """A measure along an axis: with one value there is nothing to measure."""

    def measured(case: Case) -> Estimate | Missing:
        values = [value for value in getattr(case.landscape, axis) if value > 0]
        return (
            of(case)
            if len(values) > 1
            else Missing(f"needs at least two {wanted}; the study has {len(values)}")
        )

    return measured


def sized(kind: str, reference: str, name: str) -> Callable[[Case], Estimate | Missing]:
    """A size of one region."""

    def measured(case: Case) -> Estimate | Missing:
        found: Estimate = getattr(case.evidence.regions[case.landscape.transform, kind, reference], name)
        return found

    return measured


def limit(of: Callable[..., Estimate | None]) -> Callable[[Case], Estimate | Missing]:
    """A distance along lr in the row of the best cell."""

    def measured(case: Case) -> Estimate | Missing:
        row, _ = best_cell(case.landscape)
        return of(case.evidence.regions[case.landscape.transform, "trained", "own"], row) or Missing(EMPTY)

    return measured


def late_spikes(case: Case) -> Estimate | Missing:
    """Mean over cells of the number of recorded losses that rise far above the window before them."""
    counts = [[spikes_of(case.stored[str(key)]) for key in keys.ravel()] for keys in case.landscape.key_SWL]
    if any(count is None for row in counts for count in row):
        return Missing(f"needs at least {LEAST_WINDOW + 1} recorded points per cell (budget.points)")
    return Estimate(tuple(float(np.mean([count or 0 for count in row])) for row in counts), least=0.0)


def spikes_of(record: CellRecord) -> int | None:
    """Late spikes of one cell; None where too few points were recorded. What follows divergence is not counted."""
    loss = [value for _, value, _ in record.curve if value is not None]
    if len(record.curve) <= LEAST_WINDOW and record.finished:
        return None
    windows = [(np.array(loss[max(0, k - WINDOW) : k]), loss[k]) for k in range(LEAST_WINDOW, len(loss))]
    return sum(
        bool(value > before.mean() + SPIKE * before.std() > 0)
        for before, value in windows
        if before.std() > 0
    )


def chance_of_best(case: Case) -> Estimate | Missing:
    others = [one for name, one in case.evidence.landscapes.items() if name != case.landscape.transform]
    return (
        wins(case.landscape, others, EQUAL)
        if others
        else Missing("needs at least two transforms; the study has one")
    )


def over_workloads(of: Callable[..., Estimate]) -> Callable[[Case], Estimate | Missing]:
    """A measure of one transform over all workloads of an optimizer, whose scores are normalised per workload."""

    def measured(case: Case) -> Estimate | Missing:
        pieces = [piece for piece in case.workloads if case.landscape.transform in piece.landscapes]
        if len(pieces) < 2:
            return Missing(f"needs at least two workloads; the study has {len(pieces)}")
        seeds = {piece.landscapes[case.landscape.transform].seeds for piece in pieces}
        if len(seeds) > 1 or seeds == {()}:
            return Missing("needs the same complete seeds on every workload")
        floor, ceiling = [], []
        for piece in pieces:
            everything = list(piece.landscapes.values())
            floor.append(everything[0].sign * everything[0].untrained_S)
            ceiling.append(np.max([one.score_SWL.max(axis=(1, 2)) for one in everything], axis=0))
        return of(
            normalised(
                [piece.landscapes[case.landscape.transform] for piece in pieces],
                np.array(floor),
                np.array(ceiling),
            )
        )

    return measured


def of_landscape(of: Callable[[Landscape], Estimate]) -> Callable[[Case], Estimate | Missing]:
    return lambda case: of(case.landscape)


def in_metric(of: Callable[[Landscape], Estimate]) -> Callable[[Case], Estimate | Missing]:
    """A score as the metric itself, whatever its direction."""

    def measured(case: Case) -> Estimate | Missing:
        found = of(case.landscape)
        return Estimate(tuple(case.landscape.sign * value for value in found.values_S))

    return measured


def best_of(count: int) -> Callable[[Landscape], Estimate]:
    """The expected best score of so many random cells."""
    return lambda landscape: tuning_curve(landscape, count)[-1]


def of_constants(case: Case) -> Estimate | Missing:
    """The constant that matters most."""
    axes = constant_axes(case.evidence, case.landscape.method)
    if not axes:
        return Missing("needs several values of one of the transform's constants")
    if next(iter(axes.values()))[0].transform != case.landscape.transform:
        return Missing("stands at the variant that the others differ from")
    return max(
        (constant_sensitivity(members) for members in axes.values()), key=lambda estimate: estimate.mean
    )


def of_loss_scale(case: Case) -> Estimate | Missing:
    """The scale that moves the region most."""
    pieces = scales(case.evidence)
    if len(pieces) < 2 or 1.0 not in pieces:
        return Missing("needs several loss scales, 1 among them")
    if case.evidence.budget is None or case.evidence.budget.loss_scale != 1.0:
        return Missing("stands at loss scale 1")
    moved = [shift(case.evidence, piece, case.landscape.transform) for c, piece in pieces.items() if c != 1.0]
    known = [absolute(one) for one in moved if one is not None]
    return (
        max(known, key=lambda estimate: estimate.mean)
        if len(known) == len(moved)
        else Missing("a trained region is empty at some seed")
    )


SIZES: dict[str, tuple[str, str, Callable[..., Callable[[Case], Estimate | Missing]]]] = {
    "area": (
        "area",
        "decades²",
        lambda of: needs_axis(
            "weight_decay", "weight decays above 0", needs_axis("lr", "learning rates", of)
        ),
    ),
    "lr width": ("lr_width", "decades", lambda of: needs_axis("lr", "learning rates", of)),
    "wd width": ("wd_width", "decades", lambda of: needs_axis("weight_decay", "weight decays above 0", of)),
}
"""Sizes of a region: attribute, unit, and the axes that they take."""

MEASURES: dict[str, Measure] = {
    **{
        f"{kind} {name} ({reference} best)": Measure(
            unit, wrapped(sized(kind, reference, attribute)), ratio=True
        )
        for kind in KINDS
        for reference in REFERENCES
        for name, (attribute, unit, wrapped) in SIZES.items()
    },
    "max stable lr": Measure("decades (log10 of lr)", needs_axis("lr", "learning rates", limit(largest_lr))),
    "lr above optimum": Measure("decades", needs_axis("lr", "learning rates", limit(decades_above))),
    "lr below optimum": Measure("decades", needs_axis("lr", "learning rates", limit(decades_below))),
    "divergence share": Measure("fraction", of_landscape(divergence_share)),
    "lr sensitivity": Measure(
        "loss units", needs_axis("lr", "learning rates", of_landscape(lr_sensitivity)), ratio=True
    ),
    "wd sensitivity": Measure(
        "loss units",
        needs_axis("weight_decay", "weight decays above 0", of_landscape(wd_sensitivity)),
        ratio=True,
    ),
    "tuned score": Measure("metric", in_metric(tuned_score)),
    **{f"expected best of {k}": Measure("metric", in_metric(best_of(k))) for k in BUDGETS},
    "expected performance (CPE)": Measure("metric", in_metric(expected_performance)),
    f"best after {EQUAL} cells": Measure("fraction", chance_of_best),
    "late spikes": Measure("per cell", late_spikes),
    "shared-default regret": Measure("normalised score", over_workloads(shared_default_regret)),
    "effective dimension": Measure("count", over_workloads(effective_dimension)),
    "constant sensitivity": Measure("loss units", of_constants),
    "gradient-scale shift": Measure("decades", of_loss_scale),
}
"""Add a measure by adding a row."""
FROM_EDGES = (*(f"competitive {name} (own best)" for name in SIZES), "tuned score")
"""What is measured where an edge-seeking design trained a part of the cells."""


def cases(evidence: Sequence[Evidence], stored: Mapping[str, CellRecord]) -> list[Case]:
    """One case per workload, optimizer and transform."""
    return [
        Case(
            landscape,
            piece,
            [
                other
                for other in evidence
                if (other.optimizer, other.condition) == (piece.optimizer, piece.condition)
            ],
            stored,
        )
        for piece in evidence
        for landscape in piece.landscapes.values()
    ]


def measured(case: Case, name: str) -> Estimate | Missing:
    """A measure of a transform, or why there is none."""
    if not case.landscape.seeds:
        return Missing(f"no seed is complete yet (0 of {case.evidence.seeds_asked})")
    if case.evidence.partial and name not in FROM_EDGES:
        return Missing(f"needs {ONLY_EDGES}")
    return MEASURES[name].of(case)


def unit_of(case: Case, name: str) -> str:
    unit = MEASURES[name].unit
    return case.landscape.metric_name if unit == "metric" else unit
