"""The record's columns: one place, from which the ledger, exports and MLflow derive."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.making import RECORD
from tracking import EVIDENCE, EXPORT_TYPES, EXPORTED, FAILED, FIELDS, OUTCOMES, CellRecord, Ledger
from tracking.ledger_schema import SCHEMA
from tracking.record import LATER, tracked_as
from tracking.rows import checksum, to_row

# The literal text, never derived: ledgers that were made with it are on people's disks.
LITERAL = """
CREATE TABLE IF NOT EXISTS cells (
    key TEXT PRIMARY KEY, workload TEXT NOT NULL, optimizer TEXT NOT NULL, transform TEXT NOT NULL,
    constants TEXT NOT NULL, lr REAL NOT NULL, weight_decay REAL NOT NULL, seed INTEGER NOT NULL,
    setting TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('finished', 'diverged', 'failed')), reason TEXT,
    diverged_step INTEGER, steps INTEGER NOT NULL, loss_initial REAL, loss_final REAL,
    metric_name TEXT NOT NULL, metric_direction TEXT NOT NULL, metric_initial REAL, metric_final REAL,
    metric_best REAL, seconds REAL NOT NULL, curve TEXT NOT NULL, dynamics TEXT NOT NULL,
    provenance TEXT NOT NULL, stored_at REAL NOT NULL
) WITHOUT ROWID;
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
ADDED = """
ALTER TABLE cells ADD COLUMN checksum TEXT;
ALTER TABLE cells ADD COLUMN skipped_steps INTEGER;
CREATE TABLE in_flight (key TEXT PRIMARY KEY, study TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE identity (home TEXT NOT NULL);
CREATE TABLE damaged (
    key TEXT NOT NULL, why TEXT NOT NULL, content TEXT NOT NULL, noted_at REAL NOT NULL
);
CREATE TABLE looks (
    study TEXT NOT NULL, seeds INTEGER NOT NULL, noted_at REAL NOT NULL, PRIMARY KEY (study, seeds)
) WITHOUT ROWID;
CREATE TABLE verdict_rules (
    study TEXT NOT NULL, rules TEXT NOT NULL, seeds INTEGER NOT NULL, noted_at REAL NOT NULL
);
"""
"""What came later. Older ledgers get it when they are opened to be written, and keep all else."""


def columns_of(connection: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """By table, what sqlite says of each column: place, name, type, NOT NULL, default, place in the key."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return {
        name: connection.execute(f"PRAGMA table_info({name})").fetchall() for (name,) in tables.fetchall()
    }


def statements(connection: sqlite3.Connection) -> dict[str, str]:
    """By table or index, the statement that made it, without the spaces and line ends that mean nothing."""
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
    return {
        name: " ".join(sql.split()).replace("( ", "(").replace(" )", ")").replace(" ,", ",")
        for name, sql in found.fetchall()
    }


def test_the_ledgers_tables_are_what_they_always_were() -> None:
    """The derived schema makes the tables that the literal ones make, with the same check and index."""
    with closing(sqlite3.connect(":memory:")) as derived, closing(sqlite3.connect(":memory:")) as literal:
        derived.executescript(SCHEMA)
        literal.executescript(LITERAL + ADDED)
        assert columns_of(derived) == columns_of(literal)
        assert statements(derived) == statements(literal)


def test_a_ledger_made_before_goes_on(tmp_path: Path) -> None:
    """A file with the literal schema is read unchanged; one that is written gets what came later."""
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(LITERAL)
        before = statements(connection)
        older = replace(RECORD, key="older")
        with connection:
            row = to_row(older)[: -len(LATER)]
            marks = ", ".join("?" for _ in (*row, "stored_at"))
            connection.execute(f"INSERT INTO cells VALUES ({marks})", (*row, 0.0))
    with closing(Ledger(path, create=False)) as ledger:
        assert ledger.get(["older"]) == {"older": older}
        assert ledger.look_at() == (1, 1)
    with closing(sqlite3.connect(path)) as connection:
        assert statements(connection) == before
    with closing(sqlite3.connect(":memory:")) as literal:
        literal.executescript(LITERAL + ADDED)
        after = statements(literal)
    with closing(Ledger(path)) as ledger:
        assert ledger.add([RECORD]) == 1
    with closing(Ledger(path, create=False)) as ledger:
        assert ledger.get([RECORD.key, "older"]) == {RECORD.key: RECORD, "older": older}
        assert ledger.look_at() == (2, 1)
    with closing(sqlite3.connect(path)) as connection:
        assert statements(connection) == after


def test_exports_have_the_columns_they_always_had() -> None:
    """Names, order and types of the exported columns are a promise to whoever reads `cells.parquet`."""
    assert EXPORTED == (
        "key", "workload", "optimizer", "transform", "constants", "lr", "weight_decay", "seed", "outcome",
        "reason", "diverged_step", "steps", "loss_initial", "loss_final", "metric_name", "metric_initial",
        "metric_final", "metric_best", "seconds",
    )  # fmt: skip
    assert EXPORT_TYPES == {
        "diverged_step": "Int64",
        "steps": "Int64",
        "loss_initial": "float64",
        "loss_final": "float64",
        "metric_initial": "float64",
        "metric_final": "float64",
        "metric_best": "float64",
        "seconds": "float64",
    }


def test_mlflow_shows_what_it_always_showed() -> None:
    """Params, metrics, scores and tags of a run keep their names, by which people search and compare."""
    assert tracked_as("param") == (
        "workload", "optimizer", "transform", "constants", "lr", "weight_decay", "seed", "steps",
    )  # fmt: skip
    assert tracked_as("metric") == (
        "diverged_step", "loss_initial", "loss_final", "seconds", "skipped_steps",
    )  # fmt: skip
    assert tracked_as("score") == ("metric_initial", "metric_final", "metric_best")
    assert tracked_as("tag") == ("outcome", "reason")


def test_outcomes_are_evidence_or_failures() -> None:
    """Nothing lies between: what is not shown as evidence is trained again."""
    assert set(OUTCOMES) - set(EVIDENCE) == {FAILED}


def test_a_forgotten_field_is_an_error() -> None:
    """No field has a default, but for later ones: a record is whole, or it is not made."""
    values = {name: getattr(RECORD, name) for name in FIELDS}
    assert CellRecord(**values) == RECORD
    del values["provenance"]
    with pytest.raises(TypeError, match="provenance"):
        CellRecord(**values)


def test_a_later_field_changes_no_older_checksum(tmp_path: Path) -> None:
    """A record without it has the checksum that it had before; one with it has another one, and is whole."""
    assert checksum(to_row(RECORD)) == "326a664f7616bcfb2499ea1c14b31a4f"
    skipping = replace(RECORD, key="skipping", skipped_steps=0)
    assert checksum(to_row(replace(RECORD, skipped_steps=0))) != checksum(to_row(RECORD))
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        ledger.add([RECORD, skipping])
        assert ledger.get([RECORD.key, "skipping"]) == {RECORD.key: RECORD, "skipping": skipping}
        assert ledger.look_at() == (2, 0)
