"""Two transforms of a study, or one in two studies, side by side: paired differences of every measure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from study.analysis import Analysis
from study.errors import UserError
from study.measures.catalogue import MEASURES, Case, measured, unit_of
from study.measures.estimate import Estimate, Missing, difference, ratio
from study.measures.evidence import Evidence
from study.measures.landscape import Landscape
from study.plan.transform_name import transform_named


@dataclass(frozen=True)
class Compared:
    """One measure of both, and what lies between them.

    Attributes:
        a, b: the estimates, or why there is none.
        difference: a - b, paired by seed, or why there is none.
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
        a, b: what they are called.
        landscapes: at the seeds that both have.
        seeds: which those are.
        pairing: in words, how seeds are paired.
        studies: the names of those that a and b are taken from.
    """

    setting: str
    a: str
    b: str
    landscapes: tuple[Landscape, Landscape]
    seeds: tuple[int, ...]
    pairing: str
    measures: tuple[Compared, ...]
    studies: tuple[str, str]

    @property
    def titles(self) -> tuple[str, str]:
        """What people read in the place of a and b: the labels that the specs give."""
        # As for a and b, the study stands before the name only where two are compared.
        alone = self.a == self.landscapes[0].transform
        one, other = (landscape.title for landscape in self.landscapes)
        return (one, other) if alone else (f"{self.studies[0]}: {one}", f"{self.studies[1]}: {other}")


def compare(first: Analysis, a: str, second: Analysis, b: str) -> list[SideBySide]:
    """Every setting that both studies have, compared.

    Raises:
        UserError: a study has no such transform, both are the same, the studies share no workload with one
            optimizer, or what one calls it has other data or another network in the other.
    """
    same = first.plan.keys == second.plan.keys
    a, b = transform_in(first, a), transform_in(second, b)
    if a == b and first is second:
        raise UserError(f"found {a!r} twice; give two transforms of the study, or another study with --with")
    if a == b and same:
        both = f"{first.plan.spec.name} and {second.plan.spec.name}"
        raise UserError(f"{both} have the same cells, so that {a!r} is one; give two transforms of them")
    pairs = [
        (one, other)
        for one in first.cases
        for other in second.cases
        if (one.landscape.transform, other.landscape.transform) == (a, b)
        and one.landscape.setting == other.landscape.setting
    ]
    if not pairs:
        raise UserError(
            f"the studies share no workload with one optimizer: {_settings(first)}, {_settings(second)}; "
            "give studies of the same workload and optimizer"
        )
    others = [one for one, other in pairs if one.landscape.fingerprint != other.landscape.fingerprint]
    if others:
        raise UserError(
            f"{others[0].evidence.name} has other data or another network in {second.plan.spec.name} than in "
            f"{first.plan.spec.name}, so that seeds are no pairs; give studies of the same"
        )
    names = (a, b) if same else (f"{first.plan.spec.name}: {a}", f"{second.plan.spec.name}: {b}")
    studies = (first.plan.spec.name, second.plan.spec.name)
    return [_compared(one, other, names, studies, same=same) for one, other in pairs]


def _settings(analysis: Analysis) -> str:
    """What a study has, for a sentence."""
    return f"{analysis.plan.spec.name} has {' and '.join(piece.name for piece in analysis.evidence)}"


def transform_in(analysis: Analysis, name: str) -> str:
    """The technical name of a study's transform.

    Args:
        name: any of its names, or what tables call it.

    Raises:
        UserError: there is no such transform, or there are several variants.
    """
    # Tables add what a framework clips by itself, which no spec says.
    titles = {case.landscape.title: case.landscape.transform for case in analysis.cases}
    return titles.get(name) or transform_named(analysis.plan.spec, name).technical_name


def _compared(
    one: Case, other: Case, names: tuple[str, str], studies: tuple[str, str], *, same: bool
) -> SideBySide:
    """Two cases at the seeds that both have.

    Args:
        names: what they are called.
        studies: what their studies are called.
        same: both are of one study.
    """
    seeds = tuple(seed for seed in one.landscape.seeds if seed in other.landscape.seeds)
    one, other = _at(one, seeds), _at(other, seeds)
    pairing = _pairing(one.landscape, other.landscape, seeds, same=same)
    measures = tuple(_between(one, other, name) for name in MEASURES)
    landscapes = (one.landscape, other.landscape)
    return SideBySide(one.evidence.name, *names, landscapes, seeds, pairing, measures, studies)


def _pairing(one: Landscape, other: Landscape, seeds: Sequence[int], *, same: bool) -> str:
    """How the seeds of two landscapes are paired, in words."""
    if not seeds:
        return "no seed is complete in both: nothing can be compared"
    count = f"{len(seeds)} seed" if len(seeds) == 1 else f"{len(seeds)} seeds"
    pairing = f"paired by {count} ({', '.join(map(str, seeds))})"
    if not same and (one.lr, one.weight_decay) != (other.lr, other.weight_decay):
        return f"{pairing}; the grids differ, so that shares and sensitivities are over different windows"
    return pairing


def _at(case: Case, seeds: Sequence[int]) -> Case:
    """The same case at these seeds alone; where some are left out, everything is computed anew."""
    if tuple(seeds) == case.landscape.seeds:
        return case
    # By identity: a piece holds a dictionary of arrays, and has no hash.
    fewer: dict[int, Evidence] = {}
    for piece in (*case.workloads, case.evidence):
        if id(piece) not in fewer:
            fewer[id(piece)] = _at_seeds(piece, seeds)
    evidence = fewer[id(case.evidence)]
    landscape = evidence.landscapes[case.landscape.transform]
    return Case(landscape, evidence, [fewer[id(piece)] for piece in case.workloads], case.stored)


def _at_seeds(piece: Evidence, seeds: Sequence[int]) -> Evidence:
    """The same piece of evidence at these seeds alone."""
    landscapes = {name: one.at_seeds(np.isin(one.seeds, seeds)) for name, one in piece.landscapes.items()}
    return dataclasses.replace(piece, landscapes=landscapes)


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
