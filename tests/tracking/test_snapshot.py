"""A database is read as it is now, and no byte of it or beside it changes."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tracking.snapshot import state_of, untouched


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """One row in the file and, as a process leaves it that died, one in its log alone."""
    path = tmp_path / "lively" / "a.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("INSERT INTO t VALUES (2)")
        shutil.copytree(path.parent, tmp_path / "left")
    return tmp_path / "left" / path.name


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows(at: str) -> list[tuple[int]]:
    with closing(sqlite3.connect(at, uri=True)) as connection:
        return connection.execute("SELECT x FROM t ORDER BY x").fetchall()


def test_what_only_the_log_has_is_read(database: Path) -> None:
    """Of a database that a process left open, whose log has a row; log and index keep every byte."""
    before = content(database.parent)
    assert set(before) == {"a.db", "a.db-wal", "a.db-shm"}
    with untouched(database) as at:
        assert rows(at) == [(1,), (2,)]
    assert content(database.parent) == before


def test_a_settled_database_gets_no_files_beside_it(database: Path) -> None:
    """Not even those that every reader makes."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("SELECT * FROM t").fetchall()
    before = content(database.parent)
    assert set(before) == {"a.db"}
    with untouched(database) as at:
        assert rows(at) == [(1,), (2,)]
    assert content(database.parent) == before


def test_its_state_tells_of_writing(database: Path) -> None:
    """A row more changes it, and reading a snapshot does not."""
    before = state_of(database)
    with untouched(database) as at:
        rows(at)
    assert state_of(database) == before
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO t VALUES (3)")
        connection.commit()
        assert state_of(database) != before
