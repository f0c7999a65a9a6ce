"""The durable local record: sqlite, written before a cell is shown anywhere."""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tracking.address import identity as tracker_identity
from tracking.ledger_schema import INSERT, SCHEMA, TABLES, layout, sample, values_of
from tracking.record import FAILED, FIELDS, OUTCOMES, CellRecord
from tracking.rows import DamagedRowError, from_row

CHUNK = 500
"""Keys per SELECT: below 999, sqlite's limit on variables before version 3.32."""
WAIT = 60.0
"""How long a write waits for another process's [s]."""
MOVE = "move it away, or choose another home with --home"
FOREIGN = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH)
"""How sqlite refuses a record where the tables are other ones than ours."""
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
    - A record that is no longer what was stored is left out and named (`damaged`). No other suffers for it.
    - Processes and threads may use the file together, each with its own `Ledger`. Writers take turns.

    Args:
        path: of the file.
        create: make the file and tables that are not there; without it the file is only read.

    Attributes:
        damaged: why each record that was read and left out is damaged, by key.

    Raises:
        LedgerError: the file cannot be opened, read or written, or is no ledger; from any method.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.damaged: dict[str, str] = {}
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
        # A row with bytes that are no text is damaged, and must not end the reading of all others.
        self._connection.text_factory = lambda content: content.decode("utf-8", "surrogateescape")
        try:
            if create:
                # Before anything is written: the file may be another program's.
                if self._tables():
                    self._check_cells()
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=FULL")
                self._connection.executescript(SCHEMA)
                self._add_checksums()
            self._check_tables()
            if create:
                self._forget_passwords()
                self._check_that_it_takes_records()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise (self._not_written(error) if create else self._not_read(error)) from None
        except LedgerError:
            self._connection.close()
            raise

    def close(self) -> None:
        """Release the file; the ledger cannot be used afterwards."""
        self._connection.close()

    def _tables(self) -> set[str]:
        return {name for (name,) in self._connection.execute("SELECT name FROM sqlite_master")}

    def _columns(self, table: str) -> set[str]:
        return {name for (_, name, *_) in self._connection.execute(f"PRAGMA table_info({table})")}

    def _check_cells(self) -> None:
        if "cells" not in self._tables():
            raise LedgerError(f"{self.path} is not a ledger (it has no table of cells); {MOVE}")
        columns = self._columns("cells")
        if not columns & set(FIELDS):
            raise LedgerError(
                f"{self.path} is not a ledger (its table of cells is another program's); {MOVE}"
            )
        if lacking := [name for name in FIELDS if name not in columns]:
            raise LedgerError(
                f"{self.path} is of an older version, whose cells have no {', '.join(lacking)}; {MOVE}"
            )

    def _check_tables(self) -> None:
        self._check_cells()
        if lacking := sorted(TABLES - self._tables()):
            raise LedgerError(
                f"{self.path} is of an older version, without the tables {', '.join(lacking)}; "
                f"launch a study in this home to add them"
            )
        for table, wanted in layout().items():
            found = self._columns(table)
            if found and (lacking := sorted(wanted - found - {"checksum"})):
                raise LedgerError(
                    f"{self.path} is of another version or program: its table {table} has no "
                    f"{', '.join(lacking)}; {MOVE}"
                )
        self._checksum = "checksum" if "checksum" in self._columns("cells") else "NULL"

    def _add_checksums(self) -> None:
        """Give a ledger of a version without checksums their column; its records stay without one."""
        if "checksum" in self._columns("cells"):
            return
        with self._transaction() as connection:
            if "checksum" not in self._columns("cells"):  # another process was not faster
                connection.execute("ALTER TABLE cells ADD COLUMN checksum TEXT")

    def _check_that_it_takes_records(self) -> None:
        """Store a record of each kind, and take it back: what is wrong must show before cells are trained."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany(INSERT, [sample(outcome) for outcome in OUTCOMES])
        except sqlite3.DatabaseError as error:
            if _code(error) in FOREIGN:
                raise LedgerError(
                    f"{self.path} takes no records ({error}): its tables are another version's or "
                    f"program's; {MOVE}"
                ) from None
            raise
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _forget_passwords(self) -> None:
        """Rename trackers that an older version noted with their passwords, and leave no trace of these."""
        trackers = [name for (name,) in self._connection.execute("SELECT DISTINCT tracker FROM runs")]
        names = [
            (tracker_identity(tracker), tracker)
            for tracker in trackers
            if tracker_identity(tracker) != tracker
        ]
        if not names:
            return
        with self._transaction() as connection:
            connection.executemany("UPDATE OR IGNORE runs SET tracker = ? WHERE tracker = ?", names)
            connection.executemany("DELETE FROM runs WHERE tracker = ?", [(old,) for _, old in names])
        self.path.chmod(0o600)
        # What was deleted stays in the file and its log until both are written afresh. Another process that
        # reads may hinder that for now; it has what it needs at the next change.
        with suppress(sqlite3.OperationalError):
            self._connection.execute("VACUUM")
        with suppress(sqlite3.OperationalError):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _not_read(self, error: sqlite3.DatabaseError) -> LedgerError:
        return self._unusable(error) or LedgerError(
            f"{self.path} cannot be read ({error}). {PERMIT}; make it so, and run the same command again"
        )

    def _not_written(self, error: sqlite3.DatabaseError) -> LedgerError:
        if known := self._unusable(error):
            return known
        if advice := ADVICE.get(_code(error)):
            return LedgerError(
                f"{self.path} cannot be written ({error}), and what it holds is whole; "
                f"{advice}, and run the same command again"
            )
        # A disk that fails, say. Whether anything suffered is not known here.
        return LedgerError(
            f"{self.path} cannot be written ({error}). Look at its disk, then at the home with: study check"
        )

    def _unusable(self, error: sqlite3.DatabaseError) -> LedgerError | None:
        """What is wrong with a file that neither permission nor room would mend; None for any other."""
        if _code(error) == sqlite3.SQLITE_NOTADB:
            return LedgerError(f"{self.path} is not a ledger ({error}); {MOVE}")
        if _code(error) == sqlite3.SQLITE_CORRUPT:
            return LedgerError(
                f"{self.path} is damaged ({error}), and cannot be read as a whole. "
                "Put a copy of it in its place, which trains what the copy lacks; or move it away, "
                "which trains everything"
            )
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
        before = self._connection.total_changes
        with self._transaction() as connection:
            connection.executemany(INSERT, map(values_of, records))
        return self._connection.total_changes - before

    def get(self, keys: Iterable[str]) -> dict[str, CellRecord]:
        """The stored cells among these keys, without those whose records are damaged."""
        return {record.key: record for record in self._records(self._select(self._wanted, keys))}

    @property
    def _wanted(self) -> str:
        return f"{', '.join(FIELDS)}, {self._checksum}"

    def _records(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[CellRecord]:
        for *row, expected in rows:
            try:
                yield from_row(row, expected)
            except DamagedRowError as error:
                self.damaged[str(row[0])] = str(error)

    def look_at(self, keys: Iterable[str] | None = None) -> tuple[int, int]:
        """Read records, so that `damaged` names those that are.

        Args:
            keys: of the cells; None reads every record of the ledger.

        Returns:
            How many are whole, and how many of these have no checksum that would show a changed digit.

        Raises:
            LedgerError: sqlite cannot read the file.
        """
        # Not from the index: where a bit has flipped, it and the rows tell different keys.
        every = f"SELECT {self._wanted} FROM cells NOT INDEXED"
        whole = unchecked = 0
        for row in self._rows(every) if keys is None else self._select(self._wanted, keys):
            for _ in self._records([row]):
                whole += 1
                unchecked += row[-1] is None
        return whole, unchecked

    def set_aside_damaged(self, keys: Iterable[str]) -> dict[str, str]:
        """Take the damaged records among these cells out, so that they are trained again; why, by key.

        What was found in their place is kept in the table `damaged`.
        """
        asked = list(keys)
        whole, _ = self.look_at(asked)
        strange = whole + len(self.damaged) < len(asked)
        if strange:  # the index has keys that no row has, and a row a key that was never stored
            self.look_at()
        found = dict(self.damaged)
        if found or strange:
            # A row that its index does not know cannot be deleted: sqlite calls the whole file malformed.
            with self._transaction() as connection:
                connection.execute("REINDEX cells_by_setting")
        if found:
            rows = list(self._select("*", found))
            with self._transaction() as connection:
                connection.executemany(
                    "INSERT INTO damaged VALUES (?, ?, ?, ?)",
                    [(row[0], found[row[0]], json.dumps(row, default=repr), time.time()) for row in rows],
                )
                connection.executemany("DELETE FROM cells WHERE key = ?", [(key,) for key in found])
            self.damaged.clear()
        return found

    def problems(self) -> list[str]:
        """What sqlite's own check of the whole file finds wrong."""
        try:
            found = [str(line) for (line,) in self._rows("PRAGMA integrity_check(20)")]
        except LedgerError as error:
            return [str(error)]
        return [] if found == ["ok"] else found

    def outcomes(self, settings: Iterable[str] | None = None) -> dict[str, str]:
        """The outcome of every stored cell of these settings, or of all.

        It is read from an index alone, by setting: a hundred thousand cells take a fraction of a second.
        """
        if settings is None:
            return dict(self._rows("SELECT key, outcome FROM cells"))
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

    def evidence(self, keys: Iterable[str]) -> set[str]:
        """Those of the cells that finished or diverged."""
        return {key for key, outcome in self._select("key, outcome", keys) if outcome != FAILED}

    def claim(self, study: str, keys: Sequence[str], alive: Callable[[str], bool]) -> set[str]:
        """Note that a study trains these cells now, but for those that another one trains.

        Args:
            alive: whether a study that claimed cells still trains.

        Returns:
            The cells that are the study's.
        """
        with self._transaction() as connection:
            owners = dict(connection.execute("SELECT key, study FROM in_flight").fetchall())
            others = {owner for owner in owners.values() if owner != study and alive(owner)}
            # A cell that was stored since the caller looked is nobody's to train.
            stored = self.evidence(keys)
            taken = {key for key in keys if owners.get(key) not in others and key not in stored}
            connection.executemany(
                "INSERT OR REPLACE INTO in_flight VALUES (?, ?)", [(key, study) for key in taken]
            )
        return taken

    def release(self, study: str) -> None:
        """Forget which cells a study trains."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM in_flight WHERE study = ?", (study,))

    def claimants(self, keys: Iterable[str]) -> list[str]:
        """The studies that claimed some of these cells."""
        owners = dict(self._rows("SELECT key, study FROM in_flight"))
        return sorted({owners[key] for key in keys if key in owners})

    @property
    def identity(self) -> str:
        """What tells this home from every other; made when it is first asked for."""
        with self._transaction() as connection:
            found = connection.execute("SELECT home FROM identity").fetchone()
            if found is None:
                found = (uuid.uuid4().hex,)
                connection.execute("INSERT INTO identity VALUES (?)", found)
        return str(found[0])

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
                [(study, self._places(tracker)[0], key, run_id) for key, run_id in run_ids.items()],
            )

    def forget_runs(self, study: str, tracker: str, keys: Iterable[str]) -> None:
        """Forget runs that the tracker lost."""
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM runs WHERE study = ? AND tracker IN (?, ?) AND key = ?",
                [(study, *self._places(tracker), key) for key in keys],
            )

    def forget_tracker(self, tracker: str, *, keep: str | None = None) -> None:
        """Forget all runs of a tracker, but for those of a study that is to be kept."""
        with self._transaction() as connection:
            connection.execute(
                "DELETE FROM runs WHERE tracker IN (?, ?) AND study IS NOT ?", (*self._places(tracker), keep)
            )

    def runs(self, study: str, tracker: str) -> dict[str, str]:
        """Complete runs of a study in a tracker, by cell key."""
        own, absolute = self._places(tracker)
        return dict(
            self._rows(
                "SELECT key, run_id FROM runs WHERE study = ? AND tracker IN (?, ?) ORDER BY tracker = ?",
                (study, own, absolute, own),
            )
        )

    def shown_elsewhere(self, tracker: str) -> set[str]:
        """Keys of the cells that have a run in another tracker.

        A file of the same name that is no more counts as this one: the home was there before it was moved.
        """
        known = [other for (other,) in self._rows("SELECT DISTINCT tracker FROM runs")]
        own = {*self._places(tracker), *(other for other in known if self._was_here(other, tracker))}
        return {key for key, other in self._rows("SELECT key, tracker FROM runs") if other not in own}

    def _was_here(self, other: str, tracker: str) -> bool:
        """Whether a tracker is a file of the same name that is no more."""
        head, name = "sqlite:///", tracker.rpartition("/")[2]
        same = other.startswith(head) and other.rpartition("/")[2] == name
        return same and not (self.path.parent / other.removeprefix(head)).exists()

    def _places(self, tracker: str) -> tuple[str, str]:
        """A tracker as it is stored, and as it was stored before homes could be moved.

        A tracker inside of the ledger's own folder is stored without that folder, which may be moved.
        """
        tracker = tracker_identity(tracker)
        return tracker.replace(f"{self.path.resolve().parent}/", "./"), tracker


def _code(error: sqlite3.Error) -> int:
    """sqlite's primary result code; 0 where Python's driver itself complains."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
