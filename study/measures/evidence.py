"""What a study knows of one workload, optimizer and condition: comparable landscapes and their regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from study.measures.landscape import Landscape
from study.measures.reference import reference_scores
from study.measures.regions import Region, best_cell, measured_region, region
from study.spec.tolerances import Tolerances
from trainers.budget import Budget

KINDS = ("trained", "competitive")
REFERENCES = ("own", "common")
ONLY_EDGES = (
    "the scores of the whole grid, of which an edge-seeking design trains a part "
    "(design: grid trains all of it)"
)


@dataclass(frozen=True)
class Evidence:
    """Landscapes of one workload, optimizer and condition.

    They have the seeds at which every cell of every transform is done.

    Attributes:
        landscapes: by transform label, all with the same seeds, so that they are paired.
        seeds_asked: number of seeds in the spec.
        condition: what is varied of the budget; empty where nothing is.
        study: all pieces of the study, this one too, for claims that compare settings.
    """

    workload: str
    optimizer: str
    landscapes: Mapping[str, Landscape]
    seeds_asked: int
    tolerances: Tolerances
    condition: str = ""
    study: Sequence[Evidence] = field(default=(), repr=False, compare=False)

    @property
    def name(self) -> str:
        """What tables and pictures call it."""
        return " · ".join(part for part in (self.workload, self.optimizer, self.condition) if part)

    @property
    def key(self) -> tuple[str, str, str]:
        """What its landscapes have as `setting`."""
        return self.workload, self.optimizer, self.condition

    @property
    def budget(self) -> Budget | None:
        """The budget of this condition; None for landscapes that no study planned."""
        origin = next(iter(self.landscapes.values())).origin
        return origin.condition.budget if origin else None

    @property
    def n_seeds(self) -> int:
        return len(next(iter(self.landscapes.values())).seeds)

    @property
    def partial(self) -> bool:
        """Whether an edge-seeking design trained a part of the cells.

        Then only the competitive regions against each transform's own best are known.
        """
        return any(landscape.class_SWL is not None for landscape in self.landscapes.values())

    def of(self, *methods: str) -> list[Landscape]:
        """The landscapes of these methods, in the spec's order, with whatever constants."""
        return [landscape for landscape in self.landscapes.values() if landscape.method in methods]

    @cached_property
    def regions(self) -> dict[tuple[str, str, str], Region]:
        """Every region, by (transform label, kind, reference); empty when no seed is complete."""
        if self.n_seeds == 0:
            return {}
        return self._classified_regions() if self.partial else self._scored_regions()

    def _classified_regions(self) -> dict[tuple[str, str, str], Region]:
        """The regions of which an edge-seeking design classified the cells."""
        found = {}
        for name, landscape in self.landscapes.items():
            if landscape.class_SWL is not None:
                found[name, "competitive", "own"] = measured_region(
                    landscape, landscape.class_SWL == 1, "competitive", "own", self.tolerances
                )
        return found

    def _scored_regions(self) -> dict[tuple[str, str, str], Region]:
        """The regions of whole grids, from the scores of all cells."""
        common_S = reference_scores([landscape.plateau_SN for landscape in self.landscapes.values()])
        found = {}
        for name, landscape in self.landscapes.items():
            start_S, own_S = landscape.sign * landscape.untrained_S, reference_scores([landscape.plateau_SN])
            # A transform that learned nothing has no region of its own. Its best is noise, and most of its
            # grid would be near it.
            learned_S = own_S - start_S >= self.tolerances.trained * (common_S - start_S)
            best_S = {"own": np.where(learned_S, own_S, np.inf), "common": common_S}
            for kind in KINDS:
                for reference in REFERENCES:
                    found[name, kind, reference] = region(
                        landscape, best_S[reference], kind, reference, self.tolerances
                    )
        return found

    def window(self, compared: Sequence[Landscape]) -> dict[str, np.ndarray]:
        """The learning rates near each landscape's optimum, as far as the grids of all compared ones reach.

        Transforms may change what lr means, so a common window is centred on each one's own optimum.
        """
        position = np.log10(compared[0].lr)
        optimum = {landscape.transform: position[best_cell(landscape)[1]] for landscape in compared}
        reach = min(min(at - position[0], position[-1] - at) for at in optimum.values())
        # The columns at the reach itself belong to the window, whatever the rounding of their logarithms.
        return {name: np.abs(position - at) <= reach + 1e-9 for name, at in optimum.items()}


def gather(landscapes: Sequence[Landscape], tolerances: Tolerances) -> list[Evidence]:
    """One piece of evidence per workload, optimizer and condition."""
    groups: dict[tuple[str, str, str], list[Landscape]] = {}
    for landscape in landscapes:
        groups.setdefault(landscape.setting, []).append(landscape)
    # Every piece holds this list itself, and so sees the pieces that are added after it.
    result: list[Evidence] = []
    for (workload, optimizer, condition), members in groups.items():
        complete_S = np.logical_and.reduce([landscape.complete_S for landscape in members])
        paired = {landscape.transform: landscape.at_seeds(complete_S) for landscape in members}
        result.append(
            Evidence(workload, optimizer, paired, len(members[0].seeds), tolerances, condition, result)
        )
    return result


def missing_seeds(pieces: Sequence[Evidence]) -> str:
    """Why settings cannot be paired by seed; empty where they can."""
    seeds = {next(iter(piece.landscapes.values())).seeds for piece in pieces}
    if len(seeds) == 1:
        return ""
    return "the same complete seeds in all of the compared settings; launch again to train what is missing"


def along(evidence: Evidence, key: str) -> list[Evidence]:
    """The pieces of the same workload and optimizer whose budget differs in this key at most."""
    if evidence.budget is None:
        return [evidence]
    own = {key: getattr(evidence.budget, key)}
    found = []
    for piece in evidence.study:
        alike = (piece.workload, piece.optimizer) == (evidence.workload, evidence.optimizer)
        if alike and piece.budget and replace(piece.budget, **own) == evidence.budget:
            found.append(piece)
    return found or [evidence]
