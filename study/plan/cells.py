"""Which cells a spec asks for, which of them are missing, and what training them will take."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from search_spaces import Cell, Grid, Tile, digest, tiles
from study.plan.job import Job
from study.spec.choice import Choice
from study.spec.conditions import Condition
from study.spec.model import StudySpec
from tracking import OUTCOMES

REFERENCE_SECONDS = {"mlp": 1.3e-6, "convnet": 9e-6}
"""Seconds per example and cell in a fused run on one core of a two-core machine, per model; only for a first estimate."""


NEVER_LAUNCHED = "never launched"


@dataclass(frozen=True)
class Setting:
    """One combination of workload, model, optimizer and condition of a spec."""

    workload: Choice
    model: Choice
    optimizer: Choice
    condition: Condition

    @property
    def name(self) -> str:
        """What tables and cells call the workload with its model."""
        return f"{self.workload.label}/{self.model.label}"


@dataclass(frozen=True)
class Plan:
    """The cells of a spec in the order in which they are trained: seed by seed, so that a first whole picture comes early.

    Attributes:
        settings: what each `Cell.setting` stands for.
        meanings: what each `Cell.setting` is a hash of, as JSON.
        fingerprints: of data and network, by the name of a setting.
    """

    spec: StudySpec
    cells: tuple[Cell, ...]
    settings: Mapping[str, Setting]
    meanings: Mapping[str, str]
    fingerprints: Mapping[str, str]

    @property
    def keys(self) -> list[str]:
        return [cell.key for cell in self.cells]

    def own(self, found: Mapping[str, str]) -> dict[str, str]:
        """What is said there of cells of this plan, by key, in their order."""
        return {key: found[key] for key in self.keys if key in found}

    def missing(self, stored: Collection[str]) -> list[Cell]:
        """The cells whose keys are not stored."""
        return [cell for cell in self.cells if cell.key not in stored]

    def jobs(self, missing: Sequence[Cell], widths: Mapping[str, int]) -> list[Job]:
        """The tiles of the missing cells, each with what a worker needs to train it.

        Tiles are those of the whole plan as long as all of their cells are missing: a study that was interrupted goes on with
        the very tiles that an undisturbed one has, so that their numbers and checkpoints are the same.

        Args:
            widths: most cells per tile, by `Cell.setting`; of the settings that miss cells.
        """
        keys = {cell.key for cell in missing}
        found = []
        for setting, width in widths.items():
            whole = [
                tile
                for tile in tiles((cell for cell in self.cells if cell.setting == setting), width)
                if all(cell.key in keys for cell in tile.cells)
            ]
            placed = {cell.key for tile in whole for cell in tile.cells}
            found += whole + tiles(
                (cell for cell in missing if cell.setting == setting and cell.key not in placed), width
            )
        return [self.job(tile) for tile in found]

    def job(self, tile: Tile) -> Job:
        first = tile.cells[0]
        setting = self.settings[first.setting]
        transform = next(
            one
            for one in self.spec.transforms
            if (one.name, one.constants) == (first.transform, first.constants)
        )
        fingerprint = self.fingerprints.get(setting.name, NEVER_LAUNCHED)
        return Job(
            tile,
            setting.workload,
            setting.model,
            setting.optimizer,
            transform,
            setting.condition.budget,
            fingerprint,
        )

    def largest(self, key: str) -> Job:
        """All cells of a setting that may be trained together: what a width is measured with."""
        return self.job(
            max(
                tiles((cell for cell in self.cells if cell.setting == key), len(self.cells)),
                key=lambda tile: len(tile.cells),
            )
        )


def settings(spec: StudySpec) -> list[Setting]:
    """All combinations of workload, model, optimizer and condition."""
    return [
        Setting(*combination)
        for combination in product(spec.workload, spec.model, spec.optimizer, spec.all_conditions)
    ]


def make_plan(spec: StudySpec, fingerprints: Mapping[str, str]) -> Plan:
    """The plan of a spec.

    Args:
        fingerprints: by the name of each setting, what stands for its data and network in the keys of cells; a setting
            without one was never launched, and gets keys that no stored cell has.
    """
    keys: dict[tuple[Setting, str], str] = {}
    known, meanings = {}, {}
    for setting in settings(spec):
        parts = {name: getattr(setting, name).identity() for name in ("workload", "model", "optimizer")}
        content: dict[str, Any] = parts | {
            "budget": dataclasses.asdict(setting.condition.budget),
            "fingerprint": fingerprints.get(setting.name, NEVER_LAUNCHED),
        }
        for source in dict.fromkeys(transform.source for transform in spec.transforms):
            # a user's transform decides numbers by its code too; the trainers' own add nothing, so that their cells keep their keys
            key = digest([*content.values(), *([source] if source else [])])
            keys[setting, source], known[key], meanings[key] = key, setting, json.dumps(content)
    grid = Grid(spec.lr, spec.weight_decay)
    kinds = [
        (
            (setting.name, setting.optimizer.label, transform.name, transform.constants),
            keys[setting, transform.source],
        )
        for setting in settings(spec)
        for transform in spec.transforms
    ]
    points = list(grid.points())
    cells = [
        Cell(*names, lr, weight_decay, seed, key)
        for seed in spec.seeds
        for names, key in kinds
        for lr, weight_decay in points
    ]
    return Plan(spec, tuple(cells), known, meanings, fingerprints)


def counted(keys: Iterable[str], outcomes: Mapping[str, str]) -> dict[str, int]:
    """How many of these cells ended how; those without an outcome are pending."""
    found = Counter(outcomes.get(key, "pending") for key in keys)
    return {name: found.get(name, 0) for name in (*OUTCOMES, "pending")}


def estimate_seconds(
    plan: Plan, cells: Iterable[Cell], measured: Mapping[str, float | None], workers: int
) -> float | None:
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
