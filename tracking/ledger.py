"""The durable local record: sqlite, written before anything else is told of a cell."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tracking.record import COLUMNS, FAILED, FIELDS, CellRecord, Column


def _definition(name: str, column: Column) -> str:
    """The column of a field in `CREATE TABLE cells`."""
    words = [name, column.type]
    if column.unique:
        words.append("PRIMARY KEY")
    elif not column.null:
        words.append("NOT NULL")
    if column.allowed:
        values = ", ".join(f"'{value}'" for value in column.allowed)
        words.append(f"CHECK ({name} IN ({values}))")
    return " ".join(words)


DEFINITIONS = ", ".join(_definition(name, column) for name, column in COLUMNS.items())
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS cells ({DEFINITIONS}, stored_at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS cells_by_setting ON cells (setting, outcome, seconds);
CREATE TABLE IF NOT EXISTS studies (name TEXT PRIMARY KEY, spec TEXT NOT NULL, launched_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS meanings (
    study TEXT NOT NULL, setting TEXT NOT NULL, meaning TEXT NOT NULL, PRIMARY KEY (study, setting)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS prints (
    study TEXT NOT NULL, workload TEXT NOT NULL, fingerprint TEXT NOT NULL, noted_at REAL NOT NULL,
    PRIMARY KEY (study, workload)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS widths (
    setting TEXT NOT NULL, machine TEXT NOT NULL, width INTEGER NOT NULL, most INTEGER NOT NULL,
    PRIMARY KEY (setting, machine)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    study TEXT NOT NULL, tracker TEXT NOT NULL, key TEXT NOT NULL, run_id TEXT NOT NULL,
    PRIMARY KEY (study, tracker, key)
) WITHOUT ROWID;
"""
CHUNK = 500
"""Keys per SELECT, below sqlite's limit on variables."""


class LedgerError(ValueError):
    """The ledger cannot be used, or not be written; the message says why and what to do."""


class Ledger:
    """One sqlite file per home. Every method is one transaction; several threads may each open their own `Ledger` on the file."""

    def __init__(self, path: Path, *, create: bool = True) -> None:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        mode = "rwc" if create else "ro"
        try:
            self._connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=60.0, isolation_level=None
            )
        except sqlite3.Error as error:
            raise LedgerError(f"{path} cannot be opened ({error}); name another home with --home") from None
        try:
            if create:
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=FULL")
                self._connection.executescript(SCHEMA)
            self._connection.execute("SELECT 1 FROM cells, meanings, prints LIMIT 1")
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise LedgerError(
                f"{path} is not a ledger of this version ({error}); launching brings an older one up to date, else move it away or choose another home"
            ) from None

    def close(self) -> None:
        self._connection.close()

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise LedgerError(f"{self.path} cannot be read ({error})") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # sqlite itself rolls back when the disk is full
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise LedgerError(
                f"{self.path} cannot be written ({error}); what it holds is whole: make room, or the folder writable, and run the same command again"
            ) from error

    def add(self, records: Iterable[CellRecord]) -> int:
        """Store a batch in one transaction and return how many were new; a `failed` cell may be replaced, others never are."""
        marks = ", ".join("?" for _ in FIELDS)
        statement = (
            f"INSERT INTO cells ({', '.join(FIELDS)}, stored_at) VALUES ({marks}, ?) ON CONFLICT (key) DO UPDATE SET "
            + (
                ", ".join(f"{name}=excluded.{name}" for name in (*FIELDS, "stored_at"))
                + f" WHERE cells.outcome='{FAILED}'"
            )
        )
        before = self._connection.total_changes
        with self._transaction() as connection:
            connection.executemany(statement, [_to_sql(record) for record in records])
        return self._connection.total_changes - before

    def get(self, keys: Iterable[str]) -> dict[str, CellRecord]:
        """The stored cells among these keys."""
        return {row[0]: _from_sql(row) for row in self._select(", ".join(FIELDS), keys)}

    def outcomes(self, settings: Iterable[str]) -> dict[str, str]:
        """The outcome of every stored cell of these settings, from an index alone: a hundred thousand take a fraction of a second."""
        wanted = list(settings)
        return dict(
            self._rows(
                f"SELECT key, outcome FROM cells WHERE setting IN ({', '.join('?' for _ in wanted)})", wanted
            )
        )

    def reasons(self, keys: Iterable[str]) -> dict[str, str]:
        """Why each failed cell among these keys failed."""
        return {
            key: reason
            for key, outcome, reason in self._select("key, outcome, reason", keys)
            if outcome == FAILED
        }

    def _select(self, columns: str, keys: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        wanted = list(keys)
        for at in range(0, len(wanted), CHUNK):
            part = wanted[at : at + CHUNK]
            yield from self._rows(
                f"SELECT {columns} FROM cells WHERE key IN ({', '.join('?' for _ in part)})", part
            )

    def seconds_per_cell(self, setting: str) -> float | None:
        """Mean seconds of the stored cells of a setting, or None."""
        ((mean,),) = self._rows(
            f"SELECT AVG(seconds) FROM cells WHERE setting = ? AND outcome != '{FAILED}'", (setting,)
        )
        return None if mean is None else float(mean)

    def note_study(self, name: str, spec: str, meanings: Mapping[str, str]) -> None:
        """Remember the spec that a study was last launched with, and in words what each of its settings means."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO studies VALUES (?, ?, ?)", (name, spec, time.time()))
            connection.execute("DELETE FROM meanings WHERE study = ?", (name,))
            connection.executemany(
                "INSERT INTO meanings VALUES (?, ?, ?)",
                [(name, setting, meaning) for setting, meaning in meanings.items()],
            )

    def studies(self) -> dict[str, str]:
        """The spec that each study was last launched with, by name."""
        return dict(self._rows("SELECT name, spec FROM studies ORDER BY launched_at"))

    def meanings(self, study: str) -> dict[str, str]:
        """What the settings of a study meant when it was last launched, of those settings that have cells."""
        trained = f"SELECT 1 FROM cells WHERE cells.setting = meanings.setting AND outcome != '{FAILED}'"
        statement = f"SELECT setting, meaning FROM meanings WHERE study = ? AND EXISTS ({trained})"
        return dict(self._rows(statement, (study,)))

    def note_fingerprints(self, study: str, fingerprints: Mapping[str, str]) -> None:
        """Remember the fingerprints of a study's workloads (data and model), so that keys can be computed without loading them."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO prints VALUES (?, ?, ?, ?)",
                [(study, *pair, time.time()) for pair in fingerprints.items()],
            )

    def fingerprints(self, study: str) -> dict[str, str]:
        """Fingerprints by workload: the study's own, else what another study noted last."""
        return dict(
            self._rows("SELECT workload, fingerprint FROM prints ORDER BY study = ?, noted_at", (study,))
        )

    def any_width(self, setting: str) -> int | None:
        """A width that some machine was measured to prefer."""
        (row,) = self._rows("SELECT MAX(width) FROM widths WHERE setting = ?", (setting,))
        return None if row[0] is None else int(row[0])

    def note_width(self, setting: str, machine: str, width: int, most: int) -> None:
        """Remember how many cells of a setting a machine best trains together, and of how many at most this was measured."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO widths VALUES (?, ?, ?, ?)", (setting, machine, width, most)
            )

    def width(self, setting: str, machine: str, most: int) -> int | None:
        """The remembered width; None when more cells than then could be trained together, and it might have been larger."""
        row = next(
            iter(
                self._rows(
                    "SELECT width, most FROM widths WHERE setting = ? AND machine = ?", (setting, machine)
                )
            ),
            None,
        )
        return None if row is None or (row[0] == row[1] and row[1] < most) else int(row[0])

    def note_runs(self, study: str, tracker: str, run_ids: dict[str, str]) -> None:
        """Remember which run of a tracker shows which cell of a study, once the run is complete."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)",
                [(study, tracker, key, run_id) for key, run_id in run_ids.items()],
            )

    def forget_runs(self, study: str, tracker: str, keys: Iterable[str]) -> None:
        """The tracker lost these runs."""
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM runs WHERE study = ? AND tracker = ? AND key = ?",
                [(study, tracker, key) for key in keys],
            )

    def runs(self, study: str, tracker: str) -> dict[str, str]:
        """Complete runs of a study in a tracker, by cell key."""
        return dict(
            self._rows("SELECT key, run_id FROM runs WHERE study = ? AND tracker = ?", (study, tracker))
        )


def _to_sql(record: CellRecord) -> tuple[object, ...]:
    values = [json.dumps(record.curve) if name == "curve" else getattr(record, name) for name in FIELDS]
    return (*values, time.time())


def _from_sql(row: tuple[Any, ...]) -> CellRecord:
    values = dict(zip(FIELDS, row, strict=True))
    values["curve"] = tuple(tuple(point) for point in json.loads(str(values["curve"])))
    return CellRecord(**values)
