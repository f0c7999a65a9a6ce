"""The tables of the ledger, and the statement that stores a record."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from functools import cache

from tracking.record import COLUMNS, FAILED, FIELDS, LATER, CellRecord, Column
from tracking.rows import checksum, to_row


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


DEFINITIONS = ", ".join(_definition(name, column) for name, column in COLUMNS.items() if not column.later)
ADDED = {"checksum": "checksum TEXT"} | {name: _definition(name, COLUMNS[name]) for name in LATER}
"""Columns of cells that came later, in their order. Ledgers of older versions lack them."""
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS cells ({DEFINITIONS}, stored_at REAL NOT NULL, {", ".join(ADDED.values())})
WITHOUT ROWID;
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
CREATE TABLE IF NOT EXISTS looks (
    study TEXT NOT NULL, seeds INTEGER NOT NULL, noted_at REAL NOT NULL, PRIMARY KEY (study, seeds)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS verdict_rules (
    study TEXT NOT NULL, rules TEXT NOT NULL, seeds INTEGER NOT NULL, noted_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS in_flight (key TEXT PRIMARY KEY, study TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS identity (home TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS damaged (
    key TEXT NOT NULL, why TEXT NOT NULL, content TEXT NOT NULL, noted_at REAL NOT NULL
);
"""
TABLES = frozenset({"cells", "studies", "meanings", "prints", "widths", "runs"})
"""Tables that a ledger must have to be read; the others came later."""
_STORED = (*FIELDS, "stored_at", "checksum")
INSERT = (
    f"INSERT INTO cells ({', '.join(_STORED)}) VALUES ({', '.join('?' for _ in _STORED)}) "
    f"ON CONFLICT (key) DO UPDATE SET {', '.join(f'{name}=excluded.{name}' for name in _STORED)} "
    f"WHERE cells.outcome='{FAILED}'"
)
"""Only a failed cell gives way to another record of it."""


def values_of(record: CellRecord) -> tuple[object, ...]:
    """What `INSERT` takes."""
    row = to_row(record)
    # None for a failed record: a version without checksums may replace it, and would leave the old one's.
    return (*row, time.time(), None if record.failed else checksum(row))


def sample(outcome: str) -> tuple[object, ...]:
    """The values of a record that no cell has."""
    kinds = {"TEXT": "", "REAL": 0.0, "INTEGER": 0}
    row = [kinds[column.type] for column in COLUMNS.values()]
    row[FIELDS.index("key")], row[FIELDS.index("outcome")] = f"sample {outcome}", outcome
    return (*row, 0.0, checksum(row))


@cache
def layout() -> dict[str, set[str]]:
    """The columns of every table."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        return {
            table: {name for (_, name, *_) in connection.execute(f"PRAGMA table_info({table})")}
            for table in tables
        }
