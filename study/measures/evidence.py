"""What a study knows of one workload, optimizer and condition: comparable landscapes and their regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

import numpy as np

from study.measures.array_types import Flags, Floats
from study.measures.landscape import Landscape
from study.measures.reference import reference_scores
from study.measures.regions import Region, measured_region, region
from study.spec.conditions import differing
from study.spec.indifference import NEGLIGIBLE, Indifference
from study.spec.tolerances import Tolerances
from trainers.budget import Budget

RegionKey = tuple[str, str, str]
"""Technical name of the transform, kind and reference."""
KINDS = ("trained", "competitive")
"""Of regions, the widest first."""
REFERENCES = ("own", "common")
ONLY_EDGES = (
    "the scores of the whole grid, of which an edge-seeking design trains a part "
    "(design: grid trains all of it)"
)
UNTOLD_LOSS = "the loss before training: tell it as untrained_loss, or report the loss of step 0"


def unsought(kind: str) -> str:
    """What is missing where an edge-seeking design does not lead to a kind of region."""
    return f"the edges of the {kind} region (edges_of: [trained, competitive] leads to both)"


@dataclass(frozen=True)
class Evidence:
    """Landscapes of one workload, optimizer and condition.

    They have the seeds at which every cell of every transform is done.

    Attributes:
        workload: technical name of the workload with its model.
        landscapes: by technical name of the transform, all with the same seeds, so that they are paired.
        seeds_asked: number of seeds in the spec.
        condition: what is varied of the budget; empty where nothing is.
        indifference: the smallest effects of interest.
        study: all pieces of the study, this one too, for claims that compare settings.
    """

    workload: str
    optimizer: str
    landscapes: Mapping[str, Landscape]
    seeds_asked: int
    tolerances: Tolerances
    condition: str = ""
    indifference: Indifference = NEGLIGIBLE
    study: Sequence[Evidence] = field(default=(), repr=False, compare=False)

    @property
    def name(self) -> str:
        """What tables and pictures call it."""
        return next(iter(self.landscapes.values())).setting_title

    @property
    def workload_title(self) -> str:
        """What tables and pictures call the workload with its model."""
        return next(iter(self.landscapes.values())).workload_title

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

        Then only the regions that it sought are known, those against each transform's own best.
        """
        return any(landscape.class_SWL is not None for landscape in self.landscapes.values())

    @property
    def widest(self) -> str:
        """The widest kind of region that is known: what captions name, and what is inside where inferred."""
        sought = next(iter(self.landscapes.values())).sought
        return sought[0] if sought else KINDS[0]

    def of(self, *methods: str) -> list[Landscape]:
        """The landscapes of these methods, in the spec's order, with whatever constants."""
        return [landscape for landscape in self.landscapes.values() if landscape.method in methods]

    @cached_property
    def regions(self) -> Mapping[RegionKey, Region]:
        """Every region, by (technical name, kind, reference); empty when no seed is complete."""
        if self.n_seeds == 0:
            return {}
        return self._classified_regions() if self.partial else Regions(self)

    @cached_property
    def common_S(self) -> Floats:
        """The reference score of all transforms together."""
        return reference_scores([landscape.plateau_SN for landscape in self.landscapes.values()])

    def near(self, transform: str) -> Flags:
        """Each seed's cells that are competitive with the transform's own best, shape [S, W, L].

        Where a seed has none it is the seed's best cell.
        """
        near_SWL = self.regions[transform, "competitive", "own"].inside_SWL
        score_SWL = self.landscapes[transform].score_SWL
        best_SWL = score_SWL >= score_SWL.max(axis=(1, 2), keepdims=True)
        # Where nothing has learned all cells are best alike: then those that are not lost, if there are any.
        alive_SWL = best_SWL & ~self.landscapes[transform].lost_SWL
        best_SWL = np.where(alive_SWL.any(axis=(1, 2), keepdims=True), alive_SWL, best_SWL)
        return np.asarray(np.where(near_SWL.any(axis=(1, 2), keepdims=True), near_SWL, best_SWL))

    def near_lr(self, transform: str) -> Flags:
        """Each seed's learning rates with such a cell, shape [S, L]."""
        return np.asarray(self.near(transform).any(axis=1))

    def _classified_regions(self) -> dict[RegionKey, Region]:
        """The regions of which an edge-seeking design classified the cells."""
        found = {}
        for name, landscape in self.landscapes.items():
            learned_SWL = np.isfinite(self.own_S(name))[:, None, None]
            for kind in landscape.sought:
                inside_SWL = landscape.inside_SWL(kind)
                if inside_SWL is not None:
                    found[name, kind, "own"] = measured_region(
                        landscape, inside_SWL & learned_SWL, kind, "own", self.tolerances
                    )
        return found

    def own_S(self, transform: str) -> Floats:
        """The reference score of a transform alone; infinite at the seeds at which it learned nothing.

        Such a transform has no region of its own. Its best is noise, and most of its grid would be near it.
        """
        landscape = self.landscapes[transform]
        start_S, own_S = landscape.sign * landscape.untrained_S, reference_scores([landscape.plateau_SN])
        learned_S = own_S - start_S >= self.tolerances.trained * (self.common_S - start_S)
        return np.where(learned_S, own_S, np.inf)


class Regions(Mapping[RegionKey, Region]):
    """The regions of whole grids, from the scores of all cells; each is made when it is first asked for."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._made: dict[RegionKey, Region] = {}

    def __getitem__(self, key: RegionKey) -> Region:
        if key not in self._made:
            self._made[key] = self._make(*key)
        return self._made[key]

    def __iter__(self) -> Iterator[RegionKey]:
        return product(self._evidence.landscapes, KINDS, REFERENCES)

    def __len__(self) -> int:
        return len(self._evidence.landscapes) * len(KINDS) * len(REFERENCES)

    def _make(self, name: str, kind: str, reference: str) -> Region:
        evidence = self._evidence
        best_S = evidence.own_S(name) if reference == "own" else evidence.common_S
        return region(evidence.landscapes[name], best_S, kind, reference, evidence.tolerances)


def gather(
    landscapes: Sequence[Landscape],
    tolerances: Tolerances,
    indifference: Indifference = NEGLIGIBLE,
    first: int | None = None,
) -> list[Evidence]:
    """One piece of evidence per workload, optimizer and condition.

    Args:
        first: take the complete ones among so many first seeds; all if it is not given.
    """
    groups: dict[tuple[str, str, str], list[Landscape]] = {}
    for landscape in landscapes:
        groups.setdefault(landscape.setting, []).append(landscape)
    # Every piece holds this list itself, and so sees the pieces that are added after it.
    result: list[Evidence] = []
    for (workload, optimizer, condition), members in groups.items():
        complete_S = np.logical_and.reduce([landscape.complete_S for landscape in members])
        asked = len(members[0].seeds)
        if first is not None:
            # Not the first so many complete ones: a look would see others once one of its own is damaged.
            complete_S = complete_S & (np.arange(asked) < first)
        paired = {landscape.transform: landscape.at_seeds(complete_S) for landscape in members}
        result.append(
            Evidence(workload, optimizer, paired, asked, tolerances, condition, indifference, result)
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
    found = []
    for piece in evidence.study:
        alike = (piece.workload, piece.optimizer) == (evidence.workload, evidence.optimizer)
        if alike and piece.budget and differing(piece.budget, evidence.budget) <= {key}:
            found.append(piece)
    return found or [evidence]
