"""The file of a ledger: opened, recognised, read and written in transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tracking.ledger_errors import MOVE, LedgerError, code, not_opened, not_read, not_written
from tracking.ledger_schema import ADDED, INSERT, SCHEMA, TABLES, layout, sample
from tracking.record import FIELDS, OUTCOMES

WAIT = 60.0
"""How long a write waits for another process's [s]."""
FOREIGN = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH)
"""How sqlite refuses a record where the tables are other ones than ours."""


class LedgerFile:
    """One sqlite file with the tables of a ledger, of this version or an older one.

    Args:
        path: of the file.
        create: make the file and tables that are not there; without it the file is only read.
        at: the address of a snapshot (`tracking.snapshot`) that is read in place of the file.

    Raises:
        LedgerError: the file cannot be opened, read or written, or is no ledger.
    """

    def __init__(self, path: Path, *, create: bool = True, at: str | None = None) -> None:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        address = at or f"{path.resolve().as_uri()}?mode={'rwc' if create else 'ro'}"
        try:
            # isolation_level=None: transactions begin where `_transaction` says, not at the first INSERT.
            self._connection = sqlite3.connect(address, uri=True, timeout=WAIT, isolation_level=None)
        except sqlite3.Error as error:
            raise not_opened(path, error) from None
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
                self._add_columns()
            self._check_tables()
            if create:
                self._check_that_it_takes_records()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise (not_written if create else not_read)(path, error) from None
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
        if lacking := [name for name in FIELDS if name not in columns | ADDED.keys()]:
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
            if found and (lacking := sorted(wanted - found - ADDED.keys())):
                raise LedgerError(
                    f"{self.path} is of another version or program: its table {table} has no "
                    f"{', '.join(lacking)}; {MOVE}"
                )
        there = self._columns("cells")
        self._wanted = ", ".join(name if name in there else "NULL" for name in (*FIELDS, "checksum"))

    def _add_columns(self) -> None:
        """Give a ledger of an older version the columns that came later; its records have null there."""
        if ADDED.keys() <= self._columns("cells"):
            return
        with self._transaction() as connection:
            there = self._columns("cells")  # another process may have been faster
            for name, definition in ADDED.items():
                if name not in there:
                    connection.execute(f"ALTER TABLE cells ADD COLUMN {definition}")

    def _check_that_it_takes_records(self) -> None:
        """Store a record of each kind, and take it back: what is wrong must show before cells are trained."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany(INSERT, [sample(outcome) for outcome in OUTCOMES])
        except sqlite3.DatabaseError as error:
            if code(error) in FOREIGN:
                raise LedgerError(
                    f"{self.path} takes no records ({error}): its tables are another version's or "
                    f"program's; {MOVE}"
                ) from None
            raise
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise not_read(self.path, error) from error

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
            raise not_written(self.path, error) from error
