"""A study while it trains: maps over the seeds that are stored so far. Numbers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from study.analysis import Analysis
from study.measures.array_types import Floats
from study.measures.landscape import DIVERGED, FAILED, FINISHED, INFERRED, ROUNDING, STATES, Landscape
from study.plan.cells import Plan
from study.spec.tolerances import Tolerances
from tracking import CellRecord

SHOWN = ("pending", "failed", "diverged", "inferred", "untrained", "trained", "competitive")
"""What a place of a map is; the numbers are indices."""
PLACE = {name: number for number, name in enumerate(SHOWN)}


@dataclass(frozen=True)
class LiveMap:
    """One transform in one setting.

    Axes: W weight decays, L learning rates.

    Attributes:
        landscape: at the seeds that count. These are the first look's, and those that were begun.
        place_WL: what each place is, an index into `SHOWN`. A finished one has the class of its mean.
        mean_WL: mean metric of the seeds that finished so far; NaN where none did, or half diverged.
        fraction_WL: how far that mean is on the way from the untrained score to the setting's best mean.
        n_WL: how many seeds are stored.
    """

    landscape: Landscape
    place_WL: np.ndarray
    mean_WL: Floats
    fraction_WL: Floats
    n_WL: np.ndarray

    @property
    def stored(self) -> int:
        """How many cells have ended."""
        return int(self.n_WL.sum())

    @property
    def cells(self) -> int:
        """How many cells are asked for; of an edge-seeking design those that may still be."""
        return int((self.landscape.outcome_SWL != INFERRED).sum())


@dataclass(frozen=True)
class LiveStudy:
    """What is stored of a study at one moment.

    Attributes:
        counts: cells by outcome, as in `Analysis.counts`.
        process: id of the process that launches the study; None where none is known to.
        damaged: how many records are left out.
        planned: the study names its looks, so that more seeds may come.
    """

    study: str
    counts: Mapping[str, int]
    maps: tuple[LiveMap, ...]
    process: int | None
    damaged: int
    planned: bool

    @property
    def cells(self) -> int:
        return sum(self.counts.values())

    @property
    def stored(self) -> int:
        return self.counts["finished"] + self.counts["diverged"]

    @property
    def complete(self) -> bool:
        """Whether no cell failed or is pending."""
        return self.counts["failed"] == self.counts["pending"] == 0

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be expected: between two looks, a launch goes on."""
        return self.complete and not (self.planned and self.process)


def live_study(plan: Plan, known: Mapping[str, CellRecord], process: int | None, damaged: int) -> LiveStudy:
    """The maps and counts of what is known of a plan's cells."""
    first = set(plan.spec.first_seeds)
    found = []
    for one in Analysis(plan, known).landscapes:
        begun_S = one.trained_SWL.any(axis=(1, 2)) | np.isin(one.seeds, list(first))
        found.append(one.at_seeds(begun_S))
    counts = dict.fromkeys(STATES if plan.spec.design == "edges" else STATES[:INFERRED], 0)
    for one in found:
        for name in counts:
            counts[name] += int((one.outcome_SWL == STATES.index(name)).sum())
    maps: list[LiveMap] = []
    for setting in dict.fromkeys(one.setting for one in found):
        maps += maps_of([one for one in found if one.setting == setting], plan.spec.region)
    return LiveStudy(plan.spec.name, counts, tuple(maps), process, damaged, bool(plan.spec.verdicts.looks))


def maps_of(landscapes: Sequence[Landscape], tolerances: Tolerances) -> list[LiveMap]:
    """The maps of one setting, on one scale from the untrained score to the best mean so far."""
    means = [mean_so_far(one) for one in landscapes]
    start = np.concatenate([one.sign * one.untrained_S for one in landscapes])
    signed = np.concatenate([(one.sign * mean).ravel() for one, mean in zip(landscapes, means, strict=True)])
    low = float(np.mean(start[np.isfinite(start)])) if np.isfinite(start).any() else np.nan
    best = float(np.max(signed[np.isfinite(signed)])) if np.isfinite(signed).any() else np.nan
    # Where nothing is better than an untrained network there is no way to go along, and nothing is trained.
    way = best - low if best > low + ROUNDING else np.inf
    found = []
    for one, mean_WL in zip(landscapes, means, strict=True):
        fraction_WL = (one.sign * mean_WL - low) / way
        outcome = one.outcome_SWL
        place_WL = np.full(mean_WL.shape, PLACE["pending"])
        place_WL[(outcome == INFERRED).any(axis=0)] = PLACE["inferred"]
        place_WL[(outcome == FAILED).any(axis=0)] = PLACE["failed"]
        place_WL[(outcome == DIVERGED).any(axis=0)] = PLACE["diverged"]
        known_WL = np.isfinite(mean_WL)
        place_WL[known_WL] = PLACE["untrained"]
        place_WL[known_WL & (fraction_WL >= tolerances.trained)] = PLACE["trained"]
        place_WL[known_WL & (fraction_WL >= 1 - tolerances.competitive)] = PLACE["competitive"]
        found.append(LiveMap(one, place_WL, mean_WL, fraction_WL, one.trained_SWL.sum(axis=0)))
    return found


def mean_so_far(landscape: Landscape) -> Floats:
    """Mean metric of the seeds that finished, shape [W, L]; NaN where none did, or half diverged."""
    finished = (landscape.outcome_SWL == FINISHED) & np.isfinite(landscape.metric_SWL)
    lost_WL = (landscape.outcome_SWL == DIVERGED).sum(axis=0)
    count_WL = finished.sum(axis=0)
    total_WL = np.where(finished, landscape.metric_SWL, 0.0).sum(axis=0)
    usable_WL = (count_WL > 0) & (2 * lost_WL < lost_WL + count_WL)
    return np.where(usable_WL, total_WL / np.maximum(count_WL, 1), np.nan)
