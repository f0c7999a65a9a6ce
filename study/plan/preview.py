"""What a launch would do, without loading data or torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from study.home import Home
from study.plan.cells import Plan, estimate_seconds, make_plan, settings
from study.plan.changes import refuse_other_meaning
from study.report.durations import clock
from study.spec.model import StudySpec
from tracking import Ledger

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

    def as_dict(self) -> dict[str, Any]:
        spec = self.plan.spec
        return {
            "study": spec.name,
            "workloads": list({setting.name: None for setting in settings(spec)}),
            "conditions": [one.label for one in spec.all_conditions if one.label],
            "transforms": [transform.label for transform in spec.transforms],
            "learning_rates": len(spec.lr),
            "weight_decays": len(spec.weight_decay),
            "seeds": list(spec.seeds),
            "design": spec.design,
            "cells": len(self.plan.cells),
            "stored": self.stored,
            "to_train": len(self.plan.cells) - self.stored,
            "tiles": self.tiles,
            "workers": self.workers,
            "estimated_seconds": self.seconds,
            "estimate_is_measured": self.measured,
        }

    def lines(self) -> list[str]:
        spec, missing = self.plan.spec, len(self.plan.cells) - self.stored
        grid = f"{len(spec.transforms)} transforms x {len(spec.lr)} learning rates x {len(spec.weight_decay)} weight decays x {len(spec.seeds)} seeds"
        many = len(settings(spec))
        basis = "from stored cells" if self.measured else "from figures of a two-core machine"
        time = (
            "nothing to train"
            if not missing
            else f"about {clock(self.seconds)} on {self.workers} workers, {basis}"
            if self.seconds is not None
            else "time unknown until a first tile is stored"
        )
        at_most = [
            "design edges: cells are asked for round by round until every edge is known; what follows is for all of them, and the most that there can be"
        ]
        return [
            f"{spec.name}: {grid}{f' x {many} settings' if many > 1 else ''} = {len(self.plan.cells):,} cells",
            *(at_most if spec.design == "edges" else ()),
            f"stored: {self.stored:,}; to train: {missing:,} cells in {self.tiles} tiles, {spec.budget.steps} steps of {spec.budget.batch_size} examples each",
            time,
        ]


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
            key for key, outcome in plan.own(ledger.outcomes(plan.settings)).items() if outcome != "failed"
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
