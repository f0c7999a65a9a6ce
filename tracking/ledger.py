"""The durable local record: sqlite, written before a cell is shown anywhere."""

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
TABLES = frozenset({"cells", "studies", "meanings", "prints", "widths", "runs"})
CHUNK = 500
"""Keys per SELECT: below 999, sqlite's limit on variables before version 3.32."""
WAIT = 60.0
"""How long a write waits for another process's [s]."""
MOVE = "move it away, or choose another home with --home"
PERMIT = "Wanted a file that you can read, in a folder that you can write"
"""Of the folder, too: sqlite keeps its log there, and may have to make it even to read."""
ADVICE = {
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_READONLY: "make it and its folder writable",
    sqlite3.SQLITE_CANTOPEN: "make it and its folder writable",
    sqlite3.SQLITE_BUSY: "wait for the process that writes it",
}
"""What helps after a failed write."""


class LedgerError(ValueError):
    """The ledger cannot be opened, read or written; the message says what was found and what to do."""


class Ledger:
    """The record of all cells of a home, one sqlite file.

    It promises:

    - A method that writes is one transaction. It stores everything or nothing, even if the process is killed.
    - What it stored survives a power cut: a transaction is forced to disk before the method returns.
    - A cell that finished or diverged never changes. Only a failed one is replaced.
    - Processes and threads may use the file together, each with its own `Ledger`. Writers take turns.

    Args:
        path: of the file.
        create: make the file and tables that are not there; without it the file is only read.

    Raises:
        LedgerError: the file cannot be opened, read or written, or is no ledger; from any method.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        mode = "rwc" if create else "ro"
        try:
            # isolation_level=None: transactions begin where `_transaction` says, not at the first INSERT.
            self._connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=WAIT, isolation_level=None
            )
        except sqlite3.Error as error:
            raise LedgerError(
                f"{path} cannot be opened ({error}). {PERMIT}; make it so, or choose another home with --home"
            ) from None
        try:
            if create:
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=FULL")
                self._connection.executescript(SCHEMA)
            self._check_tables()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise (self._not_written(error) if create else self._not_read(error)) from None
        except LedgerError:
            self._connection.close()
            raise

    def close(self) -> None:
        """Release the file; the ledger cannot be used afterwards."""
        self._connection.close()

    def _check_tables(self) -> None:
        tables = {name for (name,) in self._connection.execute("SELECT name FROM sqlite_master")}
        if "cells" not in tables:
            raise LedgerError(f"{self.path} is not a ledger (it has no table of cells); {MOVE}")
        columns = {name for (_, name, *_) in self._connection.execute("PRAGMA table_info(cells)")}
        if lacking := [name for name in FIELDS if name not in columns]:
            raise LedgerError(
                f"{self.path} is of an older version, whose cells have no {', '.join(lacking)}; {MOVE}"
            )
        if lacking := sorted(TABLES - tables):
            raise LedgerError(
                f"{self.path} is of an older version, without the tables {', '.join(lacking)}; "
                f"launch a study in this home to add them"
            )

    def _not_read(self, error: sqlite3.DatabaseError) -> LedgerError:
        return self._unusable(error) or LedgerError(
            f"{self.path} cannot be read ({error}). {PERMIT}; make it so, and run the same command again"
        )

    def _not_written(self, error: sqlite3.DatabaseError) -> LedgerError:
        advice = ADVICE.get(_code(error), "make room on its disk, or its folder writable")
        return self._unusable(error) or LedgerError(
            f"{self.path} cannot be written ({error}), and what it holds is whole; "
            f"{advice}, and run the same command again"
        )

    def _unusable(self, error: sqlite3.DatabaseError) -> LedgerError | None:
        """What is wrong with a file that neither permission nor room would mend; None for any other."""
        if _code(error) == sqlite3.SQLITE_NOTADB:
            return LedgerError(f"{self.path} is not a ledger ({error}); {MOVE}")
        if _code(error) == sqlite3.SQLITE_CORRUPT:
            return LedgerError(f"{self.path} is damaged ({error}); put a copy in its place, or {MOVE}")
        return None

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._not_read(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            # IMMEDIATE: a transaction that begins as a reader and writes later fails at once where another
            # process wrote in between; this one waits its turn.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # sqlite itself rolls back when the disk is full
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.IntegrityError:
            raise  # a record that breaks the schema: this program's fault, not the disk's
        except sqlite3.DatabaseError as error:
            raise self._not_written(error) from error

    def add(self, records: Iterable[CellRecord]) -> int:
        """Store cells and return how many were new; a failed cell is replaced, any other stays as it is.

        Raises:
            LedgerError: the file cannot be written; nothing of the batch is stored.
            sqlite3.IntegrityError: a record breaks the schema; nothing of the batch is stored.
        """
        columns = (*FIELDS, "stored_at")
        marks = ", ".join("?" for _ in columns)
        changes = ", ".join(f"{name}=excluded.{name}" for name in columns)
        statement = (
            f"INSERT INTO cells ({', '.join(columns)}) VALUES ({marks}) "
            f"ON CONFLICT (key) DO UPDATE SET {changes} WHERE cells.outcome='{FAILED}'"
        )
        before = self._connection.total_changes
        with self._transaction() as connection:
            connection.executemany(statement, [_to_sql(record) for record in records])
        return self._connection.total_changes - before

    def get(self, keys: Iterable[str]) -> dict[str, CellRecord]:
        """The stored cells among these keys."""
        return {row[0]: _from_sql(row) for row in self._select(", ".join(FIELDS), keys)}

    def outcomes(self, settings: Iterable[str]) -> dict[str, str]:
        """The outcome of every stored cell of these settings.

        It is read from an index alone, by setting: a hundred thousand cells take a fraction of a second.
        """
        wanted = list(settings)
        marks = ", ".join("?" for _ in wanted)
        return dict(self._rows(f"SELECT key, outcome FROM cells WHERE setting IN ({marks})", wanted))

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
            marks = ", ".join("?" for _ in part)
            yield from self._rows(f"SELECT {columns} FROM cells WHERE key IN ({marks})", part)

    def seconds_per_cell(self, setting: str) -> float | None:
        """Mean seconds of the stored cells of a setting, or None."""
        ((mean,),) = self._rows(
            f"SELECT AVG(seconds) FROM cells WHERE setting = ? AND outcome != '{FAILED}'", (setting,)
        )
        return None if mean is None else float(mean)

    def note_study(self, name: str, spec: str, meanings: Mapping[str, str]) -> None:
        """Remember the spec of a study's last launch, and in words what each of its settings means."""
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
        """What the settings of a study meant at its last launch, of those settings that have cells."""
        trained = f"SELECT 1 FROM cells WHERE cells.setting = meanings.setting AND outcome != '{FAILED}'"
        statement = f"SELECT setting, meaning FROM meanings WHERE study = ? AND EXISTS ({trained})"
        return dict(self._rows(statement, (study,)))

    def note_fingerprints(self, study: str, fingerprints: Mapping[str, str]) -> None:
        """Remember fingerprints of a study's workloads, so that keys can be computed without loading data."""
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
        """Remember how many cells of a setting a machine best trains together, of at most so many."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO widths VALUES (?, ?, ?, ?)", (setting, machine, width, most)
            )

    def width(self, setting: str, machine: str, most: int) -> int | None:
        """The remembered width, or None.

        A width that was the most at its measurement might have been larger, so it does not count where more
        cells can be trained together now.
        """
        found = self._rows(
            "SELECT width, most FROM widths WHERE setting = ? AND machine = ?", (setting, machine)
        )
        if not found:
            return None
        ((width, most_then),) = found
        return None if width == most_then < most else int(width)

    def note_runs(self, study: str, tracker: str, run_ids: dict[str, str]) -> None:
        """Remember which run of a tracker shows which cell of a study, once the run is complete."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)",
                [(study, tracker, key, run_id) for key, run_id in run_ids.items()],
            )

    def forget_runs(self, study: str, tracker: str, keys: Iterable[str]) -> None:
        """Forget runs that the tracker lost."""
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


def _code(error: sqlite3.Error) -> int:
    """sqlite's primary result code; 0 where Python's driver itself complains."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _to_sql(record: CellRecord) -> tuple[object, ...]:
    values = [json.dumps(record.curve) if name == "curve" else getattr(record, name) for name in FIELDS]
    return (*values, time.time())


def _from_sql(row: tuple[Any, ...]) -> CellRecord:
    values = dict(zip(FIELDS, row, strict=True))
    values["curve"] = tuple(tuple(point) for point in json.loads(str(values["curve"])))
    return CellRecord(**values)
