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
    """Counts and a time; `measured` says whether the time comes from stored cells of the same setting."""

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
        stored = {
            key for key, outcome in plan.own(ledger.outcomes(plan.settings)).items() if outcome in EVIDENCE
        }
        remembered = {key: ledger.any_width(key) for key in plan.settings}
        measured = {key: ledger.seconds_per_cell(key) for key in plan.settings}
        ledger.close()
    missing = plan.missing(stored)
    widths = {
        key: spec.workers.tile or remembered.get(key) or len(plan.largest(key).tile.cells)
        for key in {cell.setting for cell in missing}
    }
    workers = max(1, (os.cpu_count() or 1) // spec.workers.cpus_per_worker)
    seconds = estimate_seconds(plan, missing, measured, workers)
    return Preview(
        plan,
        len(stored),
        len(plan.jobs(missing, widths)),
        workers,
        None if seconds is None else seconds + STARTING_SECONDS,
        all(measured.get(key) for key in plan.settings),
    )
