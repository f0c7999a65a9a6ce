"""Which cells a spec asks for, which of them are missing, and what training them will take."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from search_spaces import Cell, Grid, Tile, digest, tiles
from study.plan.job import Job
from study.spec.conditions import Condition
from study.spec.method_choice import Choice
from study.spec.method_label import BETWEEN
from study.spec.model import StudySpec
from study.spec.own_training import OWN
from study.spec.strict_json import strict_json
from tracking import OUTCOMES
from trainers.budget import Budget

REFERENCE_SECONDS = {"mlp": 1.3e-6, "convnet": 9e-6}
"""Seconds per example and cell in a fused run on one core of a two-core machine, per model.

They serve a first estimate alone; as soon as cells are stored, their own times are used.
"""

NEVER_LAUNCHED = "never launched"

ADDED = frozenset({"corruption", "corruption_probability", "corruption_of", "quantization"})
"""Keys of `Budget` that came after the first stored cells."""


@dataclass(frozen=True)
class Setting:
    """One combination of workload, model, optimizer and condition of a spec."""

    workload: Choice
    model: Choice
    optimizer: Choice
    condition: Condition

    @property
    def name(self) -> str:
        """What cells call the workload with its model: their technical names."""
        if self.workload.form and self.model.name == OWN:
            return self.workload.technical_name
        return f"{self.workload.technical_name}/{self.model.technical_name}"

    @property
    def title(self) -> str:
        """What tables and pictures call it: by the labels of the spec, where it gives any."""
        if self.workload.form and self.model.name == OWN:
            return self.workload.title
        return f"{self.workload.title}{BETWEEN}{self.model.title}"

    @property
    def full_name(self) -> str:
        """Technical names of all its parts: `digits/mlp · adamw`, and the condition where one is varied."""
        return words_of(self.name, self.optimizer.technical_name, self.condition.label)

    @property
    def full_title(self) -> str:
        """The same as people read it, by the labels of the spec."""
        return words_of(self.title, self.optimizer.technical_name, self.condition.label)


def words_of(*parts: str) -> str:
    """The parts of a setting in one line; empty ones are left out."""
    return " · ".join(part for part in parts if part)


@dataclass(frozen=True)
class Plan:
    """The cells of a spec in the order in which they are trained.

    They come seed by seed: the first whole map is there after one seed.

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
        """The entries that belong to cells of this plan, in the plan's order."""
        return {key: found[key] for key in self.keys if key in found}

    def missing(self, stored: Collection[str]) -> list[Cell]:
        """The cells whose keys are not stored."""
        return [cell for cell in self.cells if cell.key not in stored]

    def jobs(self, missing: Sequence[Cell], widths: Mapping[str, int]) -> list[Job]:
        """The tiles of the missing cells, each with what a worker needs to train it.

        Args:
            widths: most cells per tile, by `Cell.setting`, of every setting that has missing cells.
        """
        keys = {cell.key for cell in missing}
        found = []
        for setting, width in widths.items():
            # Tiles of the whole plan are kept where all of their cells are missing. An interrupted study then
            # goes on with the tiles of an undisturbed one: the last bits of a number depend on the tile's
            # width, and a checkpoint fits its own tile alone.
            whole = [
                tile
                for tile in tiles((cell for cell in self.cells if cell.setting == setting), width)
                if all(cell.key in keys for cell in tile.cells)
            ]
            placed = {cell.key for tile in whole for cell in tile.cells}
            rest = [cell for cell in missing if cell.setting == setting and cell.key not in placed]
            found += [*whole, *tiles(rest, width)]
        return [self.job(tile) for tile in found]

    def job(self, tile: Tile) -> Job:
        """A tile of this plan with what a worker needs to train it."""
        first = tile.cells[0]
        setting = self.settings[first.setting]
        transform = next(
            one
            for one in self.spec.transforms
            if (one.name, one.constants) == (first.transform, first.constants)
        )
        return Job(
            tile,
            workload=setting.workload,
            model=setting.model,
            optimizer=setting.optimizer,
            transform=transform,
            budget=setting.condition.budget,
            fingerprint=self.fingerprints.get(setting.name, NEVER_LAUNCHED),
        )

    def largest(self, key: str) -> Job:
        """The largest tile of a setting, without a limit on its width; the width is measured with it."""
        cells = [cell for cell in self.cells if cell.setting == key]
        return self.job(max(tiles(cells, len(self.cells)), key=lambda tile: len(tile.cells)))


def settings(spec: StudySpec) -> list[Setting]:
    """All combinations of workload, model, optimizer and condition."""
    return [
        Setting(*combination)
        for combination in product(spec.workload, spec.model, spec.optimizer, spec.all_conditions)
    ]


def budget_identity(budget: Budget) -> dict[str, Any]:
    """What of a budget stands in the keys of cells: all, but for later keys that have their default."""
    # A key that is added to `Budget` joins `ADDED`, so that cells stored before it keep their keys.
    default = {field.name: field.default for field in dataclasses.fields(budget)}
    content = dataclasses.asdict(budget)
    return {key: value for key, value in content.items() if key not in ADDED or value != default[key]}


def make_plan(spec: StudySpec, fingerprints: Mapping[str, str]) -> Plan:
    """The plan of a spec.

    Args:
        fingerprints: by the name of each setting, what stands for its data and network in the keys of cells.
            A setting without one was never launched, and gets keys that no stored cell has.
    """
    keys: dict[tuple[Setting, str], str] = {}
    known, meanings = {}, {}
    for setting in settings(spec):
        parts = {name: getattr(setting, name).identity() for name in ("workload", "model", "optimizer")}
        content: dict[str, Any] = parts | {
            "budget": budget_identity(setting.condition.budget),
            "fingerprint": fingerprints.get(setting.name, NEVER_LAUNCHED),
        }
        for source in dict.fromkeys(transform.source for transform in spec.transforms):
            # A user's transform decides numbers by its code too. The trainers' own add nothing, so their
            # cells keep the keys that they had before there were users' transforms.
            key = digest([*content.values(), *([source] if source else [])])
            keys[setting, source], known[key], meanings[key] = key, setting, strict_json(content)
    points = list(Grid(spec.lr, spec.weight_decay).points())
    cells = []
    for seed, setting, transform in product(spec.seeds, settings(spec), spec.transforms):
        names = (setting.name, setting.optimizer.technical_name, transform.name, transform.constants)
        key = keys[setting, transform.source]
        cells += [Cell(*names, lr, weight_decay, seed, key) for lr, weight_decay in points]
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
            # The name of a user's own model says nothing.
            per_example = None if setting.workload.form else REFERENCE_SECONDS.get(setting.model.name)
            if per_example is None:
                return None
            budget = setting.condition.budget
            seconds = per_example * budget.batch_size * budget.steps
        total += seconds
    return total / workers
