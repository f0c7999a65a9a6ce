"""Two transforms of a study, or one in two studies, side by side: paired differences of every measure, with intervals."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from study.analysis import Analysis
from study.errors import UserError
from study.measures.catalogue import MEASURES, Case, measured, unit_of
from study.measures.estimate import Estimate, Missing, difference, ratio
from study.measures.landscape import Landscape
from trainers.naming import nearest


@dataclass(frozen=True)
class Compared:
    """One measure of both, and what lies between them.

    Attributes:
        a, b: the estimates, or why there is none.
        difference: a - b, paired by seed where both have the same seeds, or why there is none.
        ratio: ln(a / b) of measures that are compared by ratios; None for others, and where a size is 0.
    """

    measure: str
    unit: str
    a: Estimate | Missing
    b: Estimate | Missing
    difference: Estimate | Missing
    ratio: Estimate | None


@dataclass(frozen=True)
class SideBySide:
    """Two transforms on one workload and optimizer.

    Attributes:
        a, b: how they are called. pairing: in words, how seeds are paired.
        landscapes: at the seeds that both have.
    """

    setting: str
    a: str
    b: str
    landscapes: tuple[Landscape, Landscape]
    seeds: tuple[int, ...]
    pairing: str
    measures: tuple[Compared, ...]


def compare(first: Analysis, a: str, second: Analysis, b: str) -> list[SideBySide]:
    """Every setting that both studies have, compared.

    Raises:
        UserError: a study has no such transform, both are the same, or the studies share no workload with one optimizer.
    """
    same = first.plan.keys == second.plan.keys
    a, b = label_in(first, a), label_in(second, b)
    if a == b and same:
        raise UserError(f"found {a!r} twice; give two transforms of the study, or another study with --with")
    pairs = [
        (one, other)
        for one in first.cases
        for other in second.cases
        if (one.landscape.transform, other.landscape.transform) == (a, b)
        and one.landscape.setting == other.landscape.setting
    ]
    if not pairs:
        settings = [
            " and ".join(piece.name for piece in analysis.evidence) for analysis in (first, second)
        ]
        raise UserError(
            f"the studies share no workload with one optimizer: {first.plan.spec.name} has {settings[0]}, {second.plan.spec.name} has {settings[1]}"
        )
    names = (a, b) if same else (f"{first.plan.spec.name}: {a}", f"{second.plan.spec.name}: {b}")
    return [_compared(one, other, names, same) for one, other in pairs]


def label_in(analysis: Analysis, name: str) -> str:
    """The label of a study's transform, which may be given by its method's name alone where the study has one variant of it.

    Raises:
        UserError: there is no such transform, or there are several variants.
    """
    labels = {case.landscape.transform: case.landscape.method for case in analysis.cases}
    variants = [label for label, method in labels.items() if method == name]
    if name in labels or len(variants) == 1:
        return name if name in labels else variants[0]
    if variants:
        raise UserError(
            f"{name!r} stands for {len(variants)} transforms of {analysis.plan.spec.name}; give one of: {', '.join(variants)}"
        )
    raise UserError(
        f"unknown transform {name!r} in {analysis.plan.spec.name}; it has: {', '.join(labels)}{nearest(name, list(labels))}"
    )


def _compared(one: Case, other: Case, names: tuple[str, str], same: bool) -> SideBySide:
    seeds = tuple(seed for seed in one.landscape.seeds if seed in other.landscape.seeds)
    one, other = _at(one, seeds), _at(other, seeds)
    pairing = (
        f"paired by {len(seeds)} seed{'s' * (len(seeds) != 1)} ({', '.join(map(str, seeds))})"
        if seeds
        else "no seed is complete in both: nothing can be compared"
    )
    if (
        not same
        and seeds
        and (one.landscape.lr, one.landscape.weight_decay)
        != (other.landscape.lr, other.landscape.weight_decay)
    ):
        pairing += "; the grids differ, so that shares and sensitivities are over different windows"
    measures = tuple(_between(one, other, name) for name in MEASURES)
    return SideBySide(
        one.evidence.name, *names, (one.landscape, other.landscape), seeds, pairing, measures
    )


def _at(case: Case, seeds: Sequence[int]) -> Case:
    """The same case at these seeds alone; regions and references are computed anew where others are left out."""
    if tuple(seeds) == case.landscape.seeds:
        return case
    pieces = {id(piece): piece for piece in (*case.workloads, case.evidence)}
    fewer = {
        key: dataclasses.replace(
            piece,
            landscapes={
                name: one.at_seeds(np.isin(one.seeds, seeds)) for name, one in piece.landscapes.items()
            },
        )
        for key, piece in pieces.items()
    }
    evidence = fewer[id(case.evidence)]
    return Case(
        evidence.landscapes[case.landscape.transform],
        evidence,
        [fewer[id(piece)] for piece in case.workloads],
        case.stored,
    )


def _between(one: Case, other: Case, name: str) -> Compared:
    a, b = measured(one, name), measured(other, name)
    unit = unit_of(one, name)
    if isinstance(a, Missing) or isinstance(b, Missing):
        reasons = dict.fromkeys(answer.reason for answer in (a, b) if isinstance(answer, Missing))
        return Compared(name, unit, a, b, Missing("; ".join(reasons)), None)
    if unit != unit_of(other, name):
        why = Missing(f"the workloads are measured by {unit} and {unit_of(other, name)}")
        return Compared(name, unit, a, b, why, None)
    return Compared(name, unit, a, b, difference(a, b), ratio(a, b) if MEASURES[name].ratio else None)
