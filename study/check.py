"""What of a home is whole: ledger, MLflow, artifacts, exports. Changes nothing, and runs no spec's code."""

from __future__ import annotations

import csv
import filecmp
import json
import shlex
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from study.errors import UserError
from study.file_names import EXPORTS
from study.home import DEFAULT_HOME, Home
from tracking import EVIDENCE, CellRecord, Ledger, LedgerError

ENDS = {
    ".parquet": (b"PAR1", b"PAR1"),
    ".png": (b"\x89PNG", b"IEND\xaeB`\x82"),
    ".pdf": (b"%PDF", b"%%EOF"),
    ".svg": (b"<?xml", b"</svg>"),
}
"""How files begin and end that were written to their end."""


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
    """Look at everything that a home holds.

    Raises:
        UserError: there is no ledger.
    """
    if not home.ledger.exists():
        raise UserError(
            f"home {home.root}: there is no ledger; launch a study first, or name another with --home"
        )
    part = Part("ledger")
    try:
        with closing(Ledger(home.ledger, create=False)) as ledger:
            _look_at_ledger(part, ledger)
            others = (_mlflow(home, ledger), _artifacts(home), _exports(home, ledger))
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


def _mlflow(home: Home, ledger: Ledger) -> Part:
    """Whether every cell that is evidence has one finished run."""
    from tracking.mlflow_file import MlflowFileError, fault
    from tracking.mlflow_listing import stored_runs

    part, file = Part("mlflow"), home.mlflow_database.resolve()
    evidence = {key for key, outcome in ledger.outcomes().items() if outcome in EVIDENCE}
    elsewhere = ledger.shown_elsewhere(home.mlflow_uri)
    if not file.exists():
        part.facts = {"cells": len(evidence), "runs": 0, "shown_elsewhere": len(elsewhere)}
        if evidence - elsewhere:
            part.problems.append(f"there is no database; make it with: {mend(home)}")
        return part
    try:
        found = fault(file, thorough=True)
    except MlflowFileError as error:
        found = f"cannot be read: {error}"
    if found:
        part.problems.append(f"{file.name} {found}; set it aside and write it again with: {mend(home)}")
        return part
    runs = stored_runs(file)
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
    return part


def _artifacts(home: Home) -> Part:
    """Whether the files of each study's parent run lie in this home, and are those of its exports."""
    from tracking.mlflow_file import MlflowFileError, fault
    from tracking.mlflow_listing import parents

    part, file = Part("artifacts"), home.mlflow_database.resolve()
    try:
        if not file.exists() or fault(file):
            return part
    except MlflowFileError:
        return part
    here, files = home.mlflow_artifacts.resolve().as_uri(), 0
    for study, run, address in parents(file):
        if not address.startswith(f"{here}/"):
            part.problems.append(
                f"{study}: MLflow looks for its files at {address}; set that right with: {mend(home)}"
            )
            continue
        folder = home.mlflow_artifacts / run / "artifacts"
        files += sum(path.is_file() for path in folder.rglob("*"))
        if other := [path for path in _exported(home, study) if not _same(path, folder, home.exports(study))]:
            part.problems.append(
                f"{study}: {len(other)} files of its exports are not on its run; "
                f"put them there with: {mend(home)}"
            )
    part.facts = {"files": files}
    return part


def _exported(home: Home, study: str) -> Iterator[Path]:
    """The files that a launch writes, as far as they are there."""
    folder = home.exports(study)
    for path in (*(folder / name for name in EXPORTS), *sorted((folder / "heatmaps").glob("*"))):
        if path.is_file() and not path.name.startswith("."):
            yield path


def _same(path: Path, folder: Path, exports: Path) -> bool:
    other = folder / path.relative_to(exports)
    return other.is_file() and filecmp.cmp(path, other, shallow=False)


def _exports(home: Home, ledger: Ledger) -> Part:
    """Whether each study's files are there to their end, and tell of the cells what the ledger tells."""
    part, files = Part("exports"), 0
    for study in ledger.studies():
        found = list(_exported(home, study))
        files += len(found)
        names = {path.name for path in found}
        wrong = [name for name in EXPORTS if name not in names]
        wrong += [path.name for path in found if not _ends_well(path)]
        if wrong:
            more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            part.problems.append(
                f"{study}: {', '.join(wrong[:3])}{more} missing or cut short; write them with: {mend(home)}"
            )
        elif differing := _differing(home.exports(study) / "cells.csv", ledger):
            part.problems.append(
                f"{study}: its files differ from the ledger in {differing} cells; "
                f"write them with: {mend(home)}"
            )
    part.facts = {"files": files}
    return part


def mend(home: Home) -> str:
    """The command that writes again what a home lacks, as it can be pasted."""
    return "study sync" if home.root == DEFAULT_HOME else f"study sync --home {shlex.quote(str(home.root))}"


def _ends_well(path: Path) -> bool:
    content = path.read_bytes()
    if path.suffix == ".json":
        try:
            json.loads(content)
        except ValueError:
            return False
    if path.suffix in (".csv", ".md") and not content.endswith(b"\n"):
        return False
    begin, end = ENDS.get(path.suffix, (b"", b""))
    return bool(content) and content.startswith(begin) and content.rstrip().endswith(end)


def _differing(table: Path, ledger: Ledger) -> int:
    """Cells of which an exported table tells something else than the ledger."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = {row["key"]: row for row in csv.DictReader(file)}
    stored = ledger.get(rows)
    return sum(not _agrees(row, stored.get(key)) for key, row in rows.items())


def _agrees(row: dict[str, str], record: CellRecord | None) -> bool:
    if record is None or record.outcome not in EVIDENCE:
        return row["outcome"] not in EVIDENCE
    shown, stored = row["metric_final"], record.metric_final
    number = stored is None if shown == "" else stored is not None and float(shown) == stored
    return row["outcome"] == record.outcome and number
