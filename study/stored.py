"""What is stored of a study, read without changing anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from study.home import Home
from study.plan.cells import Plan, counted, make_plan
from study.plan.changes import not_asked, refuse_other_meaning
from study.spec.model import StudySpec
from study.spec.read import is_there, marks, noted_code, parse_stored, read_spec, shipped
from tracking import FAILED, Ledger, LedgerError

if TYPE_CHECKING:
    from study.analysis import Analysis

MOST_DAMAGED = 5
"""Damaged records that are named; `study check --json` names all."""


@dataclass(frozen=True)
class Status:
    """How many cells of a study ended how, and why some failed.

    Attributes:
        counts: cells by outcome.
        reasons: why cells failed, by key.
        not_asked: stored cells of these settings that the spec does not ask for.
    """

    study: str
    cells: int
    counts: dict[str, int]
    reasons: dict[str, str]
    not_asked: int = 0

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


def damaged_lines(damaged: Mapping[str, str]) -> list[str]:
    """The records that are left out because they are damaged, and why the first of them are."""
    lines = [
        f"the record of cell {key} is damaged: {why}" for key, why in list(damaged.items())[:MOST_DAMAGED]
    ]
    if len(damaged) > MOST_DAMAGED:
        lines.append(f"and those of {len(damaged) - MOST_DAMAGED:,} more cells")
    return lines


def set_aside_lines(damaged: Mapping[str, str]) -> list[str]:
    """The same of records that training does without."""
    return [*damaged_lines(damaged), "they were set aside, and these cells are trained again"]


def spec_of(source: str, home: Home, allow: Iterable[str] | None = None) -> StudySpec:
    """The spec of that name or file, to read what is stored of it. Nothing of the user's runs.

    The name may be that of a study in the home, whose spec of the last launch is meant. A shipped spec and a
    file come before it.

    Constants that were launched with are not checked again, because their factories would load torch. Of code
    of the user's own the files are looked at. Where they are not here, the code of the last launch is meant.

    Args:
        allow: packages that the spec may name.

    Raises:
        UserError: no such spec or file, or its content is wrong.
    """
    launched: set[str] = set()
    remembered: dict[str, str] = {}
    studies: dict[str, str] = {}
    # A damaged ledger is reported by whoever reads the cells. A mistake in the spec comes first.
    with suppress(LedgerError):
        if home.ledger.exists():
            with closing(Ledger(home.ledger, create=False)) as ledger:
                studies = ledger.studies()
                for text in studies.values():
                    launched |= marks(text)
                    remembered |= noted_code(text)
    if source in studies and source not in shipped() and not is_there(source):
        return parse_stored(studies[source], source)
    return read_spec(source, launched, allow=allow, remembered=remembered)


def read(spec: StudySpec, home: Home) -> Analysis:
    """Everything that is concluded from the stored cells; every cell is pending where there is no home.

    Raises:
        UserError: stored cells of the study have another meaning, as a launch would say.
    """
    # Measures and claims load scipy, which `study status` does not need.
    from study.analysis import Analysis

    if not home.ledger.exists():
        return Analysis(make_plan(spec, {}), {})
    with closing(Ledger(home.ledger, create=False)) as ledger:
        plan = make_plan(spec, ledger.fingerprints(spec.name))
        refuse_other_meaning(plan, ledger.meanings(spec.name))
        return analysed(plan, ledger, home.mlflow_uri)


def analysed(plan: Plan, ledger: Ledger, uri: str) -> Analysis:
    """What a ledger has of a plan's cells.

    Args:
        uri: of the tracker whose runs are named.
    """
    from study.analysis import Analysis

    name, found = plan.spec.name, ledger.get(plan.keys)
    return Analysis(
        plan,
        found,
        ledger.runs(name, uri),
        dict(ledger.damaged),
        ledger.looks(name),
        ledger.verdict_rules(name),
    )


def next_look(spec: StudySpec, home: Home) -> set[str] | None:
    """Keys of the cells that the next look needs, stored or not; None where a spec names no looks.

    Raises:
        UserError: stored cells of the study have another meaning, as a launch would say.
    """
    if not spec.verdicts.looks:
        return None
    plan, begun = make_plan(spec, {}), False
    if home.ledger.exists():
        with closing(Ledger(home.ledger, create=False)) as ledger:
            plan = make_plan(spec, ledger.fingerprints(spec.name))
            begun = bool(plan.own(ledger.outcomes(plan.settings)))
    if begun:
        # It depends on the verdicts, which load numpy and scipy.
        return set(read(spec, home).next_keys)
    first = set(spec.first_seeds)
    return {cell.key for cell in plan.cells if cell.seed in first}


def status(spec: StudySpec, home: Home) -> Status:
    """Counts alone, without reading the cells' curves.

    Raises:
        UserError: stored cells of the study have another meaning, as a launch would say.
    """
    outcomes: dict[str, str] = {}
    reasons: dict[str, str] = {}
    plan = make_plan(spec, {})
    if home.ledger.exists():
        with closing(Ledger(home.ledger, create=False)) as ledger:
            plan = make_plan(spec, ledger.fingerprints(spec.name))
            meanings = ledger.meanings(spec.name)
            refuse_other_meaning(plan, meanings)
            outcomes = ledger.outcomes({**plan.settings, **meanings})
            reasons = ledger.reasons(key for key in plan.keys if outcomes.get(key) == FAILED)
    if spec.design == "edges" or (spec.verdicts.looks and plan.own(outcomes)):
        # Only the cells themselves tell which others a design infers, or a look asks for.
        counts = read(spec, home).counts
    else:
        first = set(spec.first_seeds)
        counts = counted([cell.key for cell in plan.cells if cell.seed in first], outcomes)
    return Status(spec.name, len(plan.cells), counts, reasons, not_asked(plan, outcomes))
