"""Which cells a spec asks for, which of them are missing, and what training them will take."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import product

from search_spaces import Cell, Grid, Tile, digest, tiles
from study.choices import Choice
from study.spec import StudySpec
from study.worker import Job

REFERENCE_SECONDS = {"mlp": 1.3e-6, "convnet": 9e-6}
"""Seconds per example and cell in a fused run on one core of a two-core machine, per model; only for a first estimate."""


NEVER_LAUNCHED = "never launched"


@dataclass(frozen=True)
class Setting:
    """One combination of workload, model and optimizer of a spec."""

    workload: Choice
    model: Choice
    optimizer: Choice

    @property
    def name(self) -> str:
        """What tables and cells call the workload with its model."""
        return f"{self.workload.label}/{self.model.label}"


@dataclass(frozen=True)
class Plan:
    """The cells of a spec in the order in which they are trained: seed by seed, so that a first whole picture comes early."""

    spec: StudySpec
    cells: tuple[Cell, ...]
    settings: Mapping[str, Setting]
    """What each `Cell.setting` stands for."""

    @property
    def keys(self) -> list[str]:
        return [cell.key for cell in self.cells]

    def missing(self, stored: Collection[str]) -> list[Cell]:
        """The cells whose keys are not stored."""
        return [cell for cell in self.cells if cell.key not in stored]

    def jobs(self, cells: Iterable[Cell], widths: Mapping[str, int]) -> list[Job]:
        """The tiles of these cells, each with what a worker needs to train it.

        Args:
            widths: most cells per tile, by `Cell.setting`.
        """
        ordered = list(cells)
        return [self.job(tile) for key in self.settings for tile in tiles((cell for cell in ordered if cell.setting == key), widths[key])]

    def job(self, tile: Tile) -> Job:
        first = tile.cells[0]
        setting = self.settings[first.setting]
        transform = next(one for one in self.spec.transforms if (one.name, one.constants) == (first.transform, first.constants))
        return Job(tile, setting.workload, setting.model, setting.optimizer, transform, self.spec.budget)

    def largest(self, key: str) -> Job:
        """All cells of a setting that may be trained together: what a width is measured with."""
        return self.job(max(tiles((cell for cell in self.cells if cell.setting == key), len(self.cells)), key=lambda tile: len(tile.cells)))


def settings(spec: StudySpec) -> list[Setting]:
    """All combinations of workload, model and optimizer."""
    return [Setting(*combination) for combination in product(spec.workload, spec.model, spec.optimizer)]


def make_plan(spec: StudySpec, fingerprints: Mapping[str, str]) -> Plan:
    """The plan of a spec.

    Args:
        fingerprints: by the name of each setting, what stands for its data and network in the keys of cells; a setting
            without one was never launched, and gets keys that no stored cell has.
    """
    keys: dict[tuple[Setting, str], str] = {}
    meaning = {}
    for setting in settings(spec):
        parts = [*(part.identity() for part in (setting.workload, setting.model, setting.optimizer)), dataclasses.asdict(spec.budget)]
        for source in dict.fromkeys(transform.source for transform in spec.transforms):
            # a user's transform decides numbers by its code too; the trainers' own add nothing, so that their cells keep their keys
            key = digest([*parts, fingerprints.get(setting.name, NEVER_LAUNCHED), *([source] if source else [])])
            keys[setting, source], meaning[key] = key, setting
    grid = Grid(spec.lr, spec.weight_decay)
    cells = [
        Cell(setting.name, setting.optimizer.label, transform.name, transform.constants, lr, weight_decay, seed, keys[setting, transform.source])
        for seed in spec.seeds
        for setting in settings(spec)
        for transform in spec.transforms
        for lr, weight_decay in grid.points()
    ]
    return Plan(spec, tuple(cells), meaning)


def estimate_seconds(plan: Plan, cells: Iterable[Cell], measured: Mapping[str, float | None], workers: int) -> float | None:
    """Training time of these cells on so many workers [s], or None when nothing is known of their model.

    Args:
        measured: seconds per cell of each setting, where cells of it are stored.
    """
    total = 0.0
    for cell in cells:
        setting = plan.settings[cell.setting]
        seconds = measured.get(cell.setting)
        if seconds is None:
            per_example = REFERENCE_SECONDS.get(setting.model.name)
            if per_example is None:
                return None
            seconds = per_example * plan.spec.budget.batch_size * plan.spec.budget.steps
        total += seconds
    return total / workers
