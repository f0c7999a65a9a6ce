"""What is stored of a study, read without changing anything."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any

from study.analysis import Analysis, counted
from study.home import Home
from study.plan import make_plan, settings
from study.spec import StudySpec
from tracking import Ledger


@dataclass(frozen=True)
class Status:
    """How many cells of a study ended how, and why some failed (by key)."""

    study: str
    cells: int
    counts: dict[str, int]
    reasons: dict[str, str]

    @property
    def complete(self) -> bool:
        return self.counts["failed"] == self.counts["pending"] == 0

    def as_dict(self) -> dict[str, Any]:
        return {"study": self.study, "cells": self.cells, **self.counts, "complete": self.complete}


def read(spec: StudySpec, home: Home) -> Analysis:
    """Everything that is concluded from the stored cells; nothing is stored where there is no home."""
    if not home.ledger.exists():
        return Analysis(make_plan(spec, {}), {})
    with closing(Ledger(home.ledger, create=False)) as ledger:
        plan = make_plan(spec, ledger.fingerprints(setting.name for setting in settings(spec)))
        return Analysis(plan, ledger.get(plan.keys), ledger.runs(spec.name, home.mlflow_uri))


def status(spec: StudySpec, home: Home) -> Status:
    """Counts alone, without reading the cells' curves."""
    outcomes, reasons = {}, {}
    plan = make_plan(spec, {})
    if home.ledger.exists():
        with closing(Ledger(home.ledger, create=False)) as ledger:
            plan = make_plan(spec, ledger.fingerprints(setting.name for setting in settings(spec)))
            outcomes = ledger.outcomes(plan.keys)
            reasons = ledger.reasons(key for key, outcome in outcomes.items() if outcome == "failed")
    return Status(spec.name, len(plan.cells), counted(plan.keys, outcomes), reasons)
