"""What is stored of a study, read without changing anything."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from study.home import Home
from study.plan.cells import counted, make_plan
from study.spec.model import StudySpec
from study.spec.read import marks, read_spec
from tracking import FAILED, Ledger, LedgerError

if TYPE_CHECKING:
    from study.analysis import Analysis


@dataclass(frozen=True)
class Status:
    """How many cells of a study ended how, and why some failed.

    Attributes:
        counts: cells by outcome.
        reasons: why cells failed, by key.
    """

    study: str
    cells: int
    counts: dict[str, int]
    reasons: dict[str, str]

    @property
    def complete(self) -> bool:
        """Whether no cell failed or is pending."""
        return self.counts["failed"] == self.counts["pending"] == 0


@dataclass(frozen=True)
class Shown:
    """How much of a study its tracker has.

    Attributes:
        stored: cells in the ledger.
        runs: those of them that have a run.
        trouble: what was wrong with the tracker; None where nothing was.
    """

    study: str
    stored: int
    runs: int
    trouble: str | None

    @property
    def complete(self) -> bool:
        """Whether every stored cell has a run."""
        return self.runs == self.stored and self.trouble is None


def spec_of(source: str, home: Home) -> StudySpec:
    """The spec of that name or file, to read what is stored of it.

    Constants that were launched with are not checked again, because their factories would load torch.

    Raises:
        UserError: no such spec or file, or its content is wrong.
    """
    launched: set[str] = set()
    # A damaged ledger is reported by whoever reads the cells. A mistake in the spec comes first.
    with suppress(LedgerError):
        if home.ledger.exists():
            with closing(Ledger(home.ledger, create=False)) as ledger:
                launched = launched.union(*map(marks, ledger.studies().values()))
    return read_spec(source, launched)


def read(spec: StudySpec, home: Home) -> Analysis:
    """Everything that is concluded from the stored cells; every cell is pending where there is no home."""
    # Measures and claims load scipy, which `study status` does not need.
    from study.analysis import Analysis

    if not home.ledger.exists():
        return Analysis(make_plan(spec, {}), {})
    with closing(Ledger(home.ledger, create=False)) as ledger:
        plan = make_plan(spec, ledger.fingerprints(spec.name))
        return Analysis(plan, ledger.get(plan.keys), ledger.runs(spec.name, home.mlflow_uri))


def status(spec: StudySpec, home: Home) -> Status:
    """Counts alone, without reading the cells' curves."""
    # With an edge-seeking design only the cells themselves tell which others are inferred.
    if spec.design == "edges":
        found = read(spec, home)
        failed = {key: record.reason or "" for key, record in found.stored.items() if record.failed}
        return Status(spec.name, len(found.plan.cells), found.counts, failed)
    if not home.ledger.exists():
        plan = make_plan(spec, {})
        return Status(spec.name, len(plan.cells), counted(plan.keys, {}), {})
    with closing(Ledger(home.ledger, create=False)) as ledger:
        plan = make_plan(spec, ledger.fingerprints(spec.name))
        outcomes = ledger.outcomes(plan.settings)
        reasons = ledger.reasons(key for key in plan.keys if outcomes.get(key) == FAILED)
    return Status(spec.name, len(plan.cells), counted(plan.keys, outcomes), reasons)
