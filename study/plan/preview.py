"""What a launch would do, without loading data or torch."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage

from study.home import Home
from study.plan.cells import Plan, estimate_seconds, make_plan
from study.plan.changes import not_asked, refuse_other_meaning
from study.plan.widths import known_width, likely_machines
from study.spec.model import StudySpec
from tracking import EVIDENCE, Ledger

STARTING_SECONDS, CELL_SECONDS = 15.0, 0.006
"""Beside training, on two cores: Ray and torch in its workers; storing, showing and judging one cell [s]."""
CELL_BYTES, RECORDED_BYTES = 22_000, 64_000
"""Of one cell in the ledger, the tracker and the exports, without and with recorded dynamics.

Measured: 14 to 21 kB of `quickstart`'s cells, 31 to 64 kB of those of shipped specs that record dynamics.
"""


@dataclass(frozen=True)
class Preview:
    """What a launch would do, in numbers.

    Attributes:
        stored: cells that are there.
        tiles: fused runs that the missing cells need; at least so many, where `tiles_known` is false.
        workers: how many tiles this machine trains at a time.
        seconds: an estimate of the time of the launch, or None where nothing is known of a model [s].
        measured: the estimate comes from stored cells of every setting.
        tiles_known: how many cells are trained together is given, or was measured on this machine.
        not_asked: stored cells of these settings that the spec does not ask for.
        missing: cells that a launch would train: of a study with looks, those of the next one.
        most: cells that are missing until the last look, if every transform goes on to it.
        most_seconds: an estimate of the time of training them, likewise.
        most_bytes: an estimate of what they take on the disk. free_bytes: what is free there.
    """

    plan: Plan
    stored: int
    tiles: int
    workers: int
    seconds: float | None
    measured: bool
    tiles_known: bool
    not_asked: int
    missing: int
    most: int
    most_seconds: float | None
    most_bytes: int
    free_bytes: int


def preview(
    spec: StudySpec, home: Home, *, here: bool = False, wanted: Collection[str] | None = None
) -> Preview:
    """Count what is stored and what is missing; nothing is written.

    Args:
        here: the launch will train in its own process.
        wanted: keys of the cells that the next look needs; all of the plan's if it is not given.

    Raises:
        UserError: a launch would be refused, because stored cells of the study have another meaning.
    """
    plan = make_plan(spec, {})
    stored: set[str] = set()
    measured: dict[str, float | None] = {}
    # One process trains one cell, where training is the user's own.
    known: dict[str, int | None] = {
        key: 1 if setting.workload.form else spec.workers.tile for key, setting in plan.settings.items()
    }
    extra = 0
    if home.ledger.exists():
        ledger = Ledger(home.ledger, create=False)
        plan = make_plan(spec, ledger.fingerprints(spec.name))
        meanings = ledger.meanings(spec.name)
        refuse_other_meaning(plan, meanings)
        outcomes = ledger.outcomes({**plan.settings, **meanings})
        stored = {key for key, outcome in plan.own(outcomes).items() if outcome in EVIDENCE}
        extra = not_asked(plan, outcomes)
        machines = list(likely_machines(spec.workers, here=here))
        for key in plan.settings:
            widths_of = (known_width(plan, key, ledger, machine) for machine in machines)
            known[key] = next(filter(None, widths_of), None)
        measured = {key: ledger.seconds_per_cell(key) for key in plan.settings}
        ledger.close()
    everything = plan.missing(stored)
    missing = [cell for cell in everything if wanted is None or cell.key in wanted]
    # The width that a launch would measure is not known without training, so the fewest tiles are counted.
    widths = {
        key: known[key] or len(plan.largest(key).tile.cells) for key in {cell.setting for cell in missing}
    }
    # A cluster's size is not known before Ray is started, so the estimate is for this machine.
    workers = 1 if here else max(1, (os.cpu_count() or 1) // spec.workers.cpus_per_worker)
    seconds = estimate_seconds(plan, missing, measured, workers)
    most_seconds = estimate_seconds(plan, everything, measured, workers)
    return Preview(
        plan,
        stored=len(stored),
        tiles=len(plan.jobs(missing, widths)),
        workers=workers,
        seconds=None if seconds is None else STARTING_SECONDS + CELL_SECONDS * len(missing) + seconds,
        measured=all(measured.get(key) for key in plan.settings),
        tiles_known=all(known[key] for key in widths),
        not_asked=extra,
        missing=len(missing),
        most=len(everything),
        most_seconds=(
            None if most_seconds is None else STARTING_SECONDS + CELL_SECONDS * len(everything) + most_seconds
        ),
        most_bytes=bytes_of(spec, len(everything)),
        free_bytes=free_bytes(home.root),
    )


def bytes_of(spec: StudySpec, cells: int) -> int:
    """About what so many cells of a study take on the disk [B]."""
    return cells * (RECORDED_BYTES if spec.budget.dynamics else CELL_BYTES)


def free_bytes(folder: Path) -> int:
    """What is free on the disk of a folder, which need not be there yet [B]."""
    return disk_usage(next(one for one in (folder, *folder.absolute().parents) if one.is_dir())).free
