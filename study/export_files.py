"""The files of a study's export, and whether they are whole and tell what the ledger tells."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from study.drawn import noted
from study.errors import UserError
from study.file_names import EXPORTS
from study.home import Home
from study.plan.cells import make_plan
from study.spec.read import parse_stored
from tracking import EVIDENCE, CellRecord, Ledger

ENDS = {
    ".parquet": (b"PAR1", b"PAR1"),
    ".png": (b"\x89PNG", b"IEND\xaeB`\x82"),
    ".pdf": (b"%PDF", b"%%EOF"),
    ".svg": (b"<?xml", b"</svg>"),
    ".html": (b"<!doctype html>", b"</html>"),
}
"""How files begin and end that were written to their end."""
COLUMNS = ("key", "outcome", "metric_final")
"""What is compared with the ledger."""


def exported(home: Home, study: str) -> Iterator[Path]:
    """The files that a launch wrote, as far as they are there; without its list, tables and heatmaps."""
    folder = home.exports(study)
    stamp = noted(folder)
    listed = [folder / name for name in dict.fromkeys((*EXPORTS, *(stamp.files if stamp else ())))]
    yield from _files(listed if stamp else (*listed, *sorted((folder / "heatmaps").glob("*"))))


def by_hash(home: Home, study: str) -> int:
    """How many files of a study are listed with their hash. The others are known by how they begin and end.

    None are where no launch or sync wrote them, or where its version had no list yet. Then no list tells of a
    picture that is gone.
    """
    stamp = noted(home.exports(study))
    return len(stamp.files) if stamp else 0


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    return (path for path in paths if path.is_file() and not path.name.startswith("."))


def fault(home: Home, ledger: Ledger, study: str, spec: str) -> str | None:
    """What is wrong with an export; None where nothing is.

    Args:
        spec: as the ledger has it.
    """
    folder, found = home.exports(study), list(exported(home, study))
    stamp = noted(folder)
    if stamp is None:
        # `study figures` writes there too, and so it may be more than a launch wrote.
        found += _files(sorted((folder / "figures").glob("*")))
    names = {path.relative_to(folder).as_posix() for path in found}
    wanted = dict.fromkeys((*EXPORTS, *(stamp.files if stamp else ())))
    wrong = [name for name in wanted if name not in names]
    wrong += [path.name for path in found if not _ends_well(path)]
    if wrong:
        return f"{_named(wrong)} missing or cut short"
    try:
        with (folder / "cells.csv").open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            rows = {row.get("key", ""): row for row in table}
    except (ValueError, csv.Error):
        return "cells.csv is no table of cells"
    # Somebody may have saved it again with less in it.
    if rows and (columns := [name for name in COLUMNS if name not in (table.fieldnames or ())]):
        return f"cells.csv has no column {', '.join(columns)}"
    # A table that was cut between two rows looks whole.
    if lacking := len(_expected(ledger, study, spec) - rows.keys()):
        return f"cells.csv lacks {lacking} cells"
    stored = ledger.get(rows)
    if differing := sum(not _agrees(row, stored.get(key)) for key, row in rows.items()):
        return f"its files differ from the ledger in {differing} cells"
    if stamp and (changed := list(stamp.changed(folder))):
        return f"{_named(changed)} changed since a launch wrote them"
    return None


def _named(files: list[str]) -> str:
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return f"{', '.join(files[:3])}{more}"


def _ends_well(path: Path) -> bool:
    content = path.read_bytes()
    if path.suffix == ".json":
        try:
            json.loads(content)
        except ValueError:
            return False
    if path.suffix in (".csv", ".md", ".tex") and not content.endswith(b"\n"):
        return False
    begin, end = ENDS.get(path.suffix, (b"", b""))
    return bool(content) and content.startswith(begin) and content.rstrip().endswith(end)


def _expected(ledger: Ledger, study: str, spec: str) -> set[str]:
    """The keys of the cells of which an export of this study has a row; none where that cannot be told."""
    try:
        plan = make_plan(parse_stored(spec, study), ledger.fingerprints(study))
    except UserError:  # of a version whose specs were other ones, or code of the user's that is not here
        return set()
    keys = set(plan.keys)
    # Of an edge-seeking design, and of looks that are still to come, the table has what was trained. No
    # damaged record is in any.
    whole = plan.spec.design == "grid" and not plan.spec.verdicts.looks
    return keys if whole else keys & ledger.get(keys).keys()


def _agrees(row: dict[str, str], record: CellRecord | None) -> bool:
    if record is None or record.outcome not in EVIDENCE:
        return row["outcome"] not in EVIDENCE
    shown, stored = row["metric_final"], record.metric_final
    try:
        number = stored is None if shown == "" else stored is not None and float(shown) == stored
    except (TypeError, ValueError):
        return False
    return row["outcome"] == record.outcome and number
