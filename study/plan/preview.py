"""What a launch would do, without loading data or torch."""

from __future__ import annotations

import os
from dataclasses import dataclass

from study.home import Home
from study.plan.cells import Plan, estimate_seconds, make_plan
from study.plan.changes import refuse_other_meaning
from study.spec.model import StudySpec
from tracking import EVIDENCE, Ledger

STARTING_SECONDS = 25.0
"""Starting Ray, loading torch in its workers, and the analysis at the end, on two cores."""


@dataclass(frozen=True)
class Preview:
    """What a launch would do, in numbers.

    Attributes:
        stored: cells that are there.
        tiles: fused runs that the missing cells need.
        workers: how many tiles this machine trains at a time.
        seconds: an estimate of the time of the launch, or None where nothing is known of a model [s].
        measured: the estimate comes from stored cells of every setting.
    """

    plan: Plan
    stored: int
    tiles: int
    workers: int
    seconds: float | None
    measured: bool


def preview(spec: StudySpec, home: Home) -> Preview:
    """Count what is stored and what is missing; nothing is written.

    Raises:
        UserError: a launch would be refused, because stored cells of the study have another meaning.
    """
    plan = make_plan(spec, {})
    stored: set[str] = set()
    measured: dict[str, float | None] = {}
    remembered: dict[str, int | None] = {}
    if home.ledger.exists():
        ledger = Ledger(home.ledger, create=False)
        plan = make_plan(spec, ledger.fingerprints(spec.name))
        refuse_other_meaning(plan, ledger.meanings(spec.name))
        outcomes = plan.own(ledger.outcomes(plan.settings))
        stored = {key for key, outcome in outcomes.items() if outcome in EVIDENCE}
        remembered = {key: ledger.any_width(key) for key in plan.settings}
        measured = {key: ledger.seconds_per_cell(key) for key in plan.settings}
        ledger.close()
    missing = plan.missing(stored)
    # The width that a launch would measure is not known without training, so the fewest tiles are counted.
    widths = {
        key: spec.workers.tile or remembered.get(key) or len(plan.largest(key).tile.cells)
        for key in {cell.setting for cell in missing}
    }
    # A cluster's size is not known before Ray is started, so the estimate is for this machine.
    workers = max(1, (os.cpu_count() or 1) // spec.workers.cpus_per_worker)
    seconds = estimate_seconds(plan, missing, measured, workers)
    return Preview(
        plan,
        stored=len(stored),
        tiles=len(plan.jobs(missing, widths)),
        workers=workers,
        seconds=None if seconds is None else seconds + STARTING_SECONDS,
        measured=all(measured.get(key) for key in plan.settings),
    )
