"""What of a home is whole: ledger, MLflow, artifacts, exports. Changes nothing, and runs no spec's code."""

from __future__ import annotations

import filecmp
import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir

from study.drawn import noted
from study.errors import UserError
from study.export_files import by_hash, exported, fault
from study.home import DEFAULT_HOME, Home
from tracking import EVIDENCE, Ledger, LedgerError
from tracking.snapshot import state_of, untouched

TRIES = 3
"""Looks at a home before it counts as one that is written all the time."""
Reading = Callable[[Path], AbstractContextManager[str]]
"""How a database is read: gives the address for sqlite."""


@dataclass
class Part:
    """One part of a home.

    Attributes:
        facts: how many of what there are.
        problems: what is not whole, and what mends it; none where all is.
        damaged: why each damaged record of the ledger is, by key.
    """

    name: str
    facts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return not self.problems


@dataclass(frozen=True)
class Check:
    """What of a home is whole.

    Attributes:
        readable: sqlite reads the ledger.
    """

    home: Path
    parts: tuple[Part, ...]
    readable: bool

    @property
    def whole(self) -> bool:
        return all(part.whole for part in self.parts)


def check(home: Home) -> Check:
    """Look at everything that a home holds; not a byte of it changes.

    Raises:
        UserError: there is no ledger, or no room to look at a copy of what is not settled.
    """
    home.require_ledger()
    files = home.ledger.resolve(), home.mlflow_database.resolve()
    try:
        for _ in range(TRIES):
            before = [state_of(file) for file in files]
            found = _look(home, untouched)
            if before == [state_of(file) for file in files]:
                return found
        # A process writes all the time. It keeps the files beside a database that a reader would leave there.
        return _look(home, _as_readers_do)
    except OSError as error:
        raise UserError(
            f"home {home.root}: cannot be looked at ({error}); wanted files that you can read, and room for "
            f"a copy of its databases in {gettempdir()}; make room there, or set TMPDIR to another folder"
        ) from None


@contextmanager
def _as_readers_do(path: Path) -> Iterator[str]:
    yield f"{path.as_uri()}?mode=ro"


def _look(home: Home, reading: Reading) -> Check:
    part = Part("ledger")
    try:
        with (
            reading(home.ledger.resolve()) as at,
            closing(Ledger(home.ledger, create=False, at=at)) as ledger,
        ):
            _look_at_ledger(part, ledger)
            others = (*_mlflow(home, ledger, reading), _exports(home, ledger))
    except LedgerError as error:
        part.problems.append(str(error))
        return Check(home.root, (part,), readable=False)
    return Check(home.root, (part, *others), readable=True)


def _look_at_ledger(part: Part, ledger: Ledger) -> None:
    # sqlite's own check first: the file may be damaged where no record is.
    part.problems += [f"sqlite says: {line}" for line in ledger.problems()]
    whole, unchecked = ledger.look_at()
    part.damaged = dict(ledger.damaged)
    part.facts = {"records": whole, "without_checksum": unchecked, "damaged": len(part.damaged)}
    if part.damaged:
        part.problems.append(
            f"{len(part.damaged)} records are damaged; launch their study to train them again"
        )


def _mlflow(home: Home, ledger: Ledger, reading: Reading) -> tuple[Part, Part]:
    """Whether MLflow's database is whole; then whether its runs are, and the artifacts that it names."""
    from tracking.mlflow_file import MlflowFileError
    from tracking.mlflow_file import fault as fault_of_database

    runs, artifacts, file = Part("mlflow"), Part("artifacts"), home.mlflow_database.resolve()
    evidence = {key for key, outcome in ledger.outcomes().items() if outcome in EVIDENCE}
    elsewhere = ledger.shown_elsewhere(home.mlflow_uri)
    found = None
    if not file.exists():
        runs.facts = {"cells": len(evidence), "runs": 0, "shown_elsewhere": len(elsewhere)}
        if not evidence - elsewhere:
            return runs, artifacts
        found = "there is no database; make it"
    elif not file.is_file():
        found = f"{file.name} {fault_of_database(file)}; set it aside and write it again"
    else:
        try:
            with reading(file) as at:
                if why := fault_of_database(file, thorough=True, at=at):
                    found = f"{file.name} {why}; set it aside and write it again"
                else:
                    _look_at_runs(runs, home, at, evidence, elsewhere)
                    _look_at_artifacts(artifacts, home, at)
        except MlflowFileError as error:
            found = f"{file.name} cannot be read: {error}; set it aside and write it again"
    if found:
        runs.problems.append(f"{found} with: {mend(home)}")
        artifacts.problems.append(
            f"which files there should be cannot be told without {file.name}; first: {mend(home)}"
        )
    return runs, artifacts


def _look_at_runs(part: Part, home: Home, at: str, evidence: set[str], elsewhere: set[str]) -> None:
    """Whether every cell that is evidence has one finished run."""
    from tracking.mlflow_listing import stored_runs

    runs = stored_runs(at)
    finished = {(run.study, run.key) for run in runs if run.finished}
    shown = {key for _, key in finished}
    unfinished, doubled = (
        sum(not run.finished for run in runs),
        sum(run.finished for run in runs) - len(finished),
    )
    part.facts = {
        "cells": len(evidence),
        "runs": len(finished),
        "unfinished": unfinished,
        "doubled": doubled,
        "shown_elsewhere": len(elsewhere),
    }
    if lacking := evidence - shown - elsewhere:
        part.problems.append(f"{len(lacking)} cells have no run; write them with: {mend(home)}")
    if unfinished or doubled:
        part.problems.append(
            f"{unfinished} runs are unfinished, {doubled} doubled; mend them with: {mend(home)}"
        )


def _look_at_artifacts(part: Part, home: Home, at: str) -> None:
    """Whether the files of each study's parent run lie in this home, and are those of its exports."""
    from tracking.mlflow_listing import parents

    here, files = home.mlflow_artifacts.resolve().as_uri(), 0
    for study, run, address in parents(at):
        if not address.startswith(f"{here}/"):
            part.problems.append(
                f"{study}: MLflow looks for its files at {address}; set that right with: {mend(home)}"
            )
            continue
        folder = home.mlflow_artifacts / run / "artifacts"
        files += sum(path.is_file() for path in folder.rglob("*"))
        exports = home.exports(study)
        # What a user drew over a picture since is not on the run, which has the launch's own.
        redrawn = stamp.redrawn if (stamp := noted(exports)) else {}
        listed = (one for one in exported(home, study) if one.relative_to(exports).as_posix() not in redrawn)
        if other := [path for path in listed if not _same(path, folder, exports)]:
            part.problems.append(
                f"{study}: {len(other)} files of its exports are not on its run; "
                f"put them there with: {mend(home)}"
            )
    part.facts = {"files": files}


def _same(path: Path, folder: Path, exports: Path) -> bool:
    other = folder / path.relative_to(exports)
    return other.is_file() and filecmp.cmp(path, other, shallow=False)


def _exports(home: Home, ledger: Ledger) -> Part:
    """Whether each study's files are there to their end, and tell of the cells what the ledger tells."""
    part, files, listed = Part("exports"), 0, 0
    for study, spec in ledger.studies().items():
        files += sum(1 for _ in exported(home, study))
        listed += by_hash(home, study)
        if found := fault(home, ledger, study, spec):
            part.problems.append(f"{study}: {found}; write them with: {mend(home)}")
    part.facts = {"files": files, "by_hash": listed}
    return part


def mend(home: Home) -> str:
    """The command that writes again what a home lacks, as it can be pasted."""
    return "study sync" if home.root == DEFAULT_HOME else f"study sync --home {shlex.quote(str(home.root))}"
