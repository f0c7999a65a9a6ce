"""The ledger: nothing is lost, nothing is stored twice, and its errors say what to do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.making import RECORD, records
from tracking import Ledger, LedgerError


def test_what_is_stored_comes_back(ledger: Ledger) -> None:
    """A record survives a new connection unchanged, curve and missing numbers included."""
    assert ledger.add(records(3)) == 3
    assert Ledger(ledger.path).get(["k0", "k2", "unknown"]) == {r.key: r for r in records(3) if r.key != "k1"}


def test_a_finished_cell_never_changes(ledger: Ledger) -> None:
    """Storing a cell again, with other numbers, changes nothing and counts as nothing new."""
    ledger.add([RECORD])
    assert ledger.add([replace(RECORD, metric_final=0.0)]) == 0
    assert ledger.get(["k0"])["k0"] == RECORD


def test_a_failed_cell_is_replaced(ledger: Ledger) -> None:
    """A cell whose infrastructure failed gives way to its result, not the other way round."""
    ledger.add([replace(RECORD, outcome="failed")])
    assert ledger.add([RECORD]) == 1
    assert ledger.add([replace(RECORD, outcome="failed")]) == 0
    assert ledger.outcomes(["s"]) == {"k0": "finished"}


def test_a_batch_is_stored_whole_or_not_at_all(ledger: Ledger) -> None:
    """One bad record of a batch leaves nothing behind."""
    with pytest.raises(sqlite3.IntegrityError):
        ledger.add([*records(2), replace(RECORD, key="bad", outcome="maybe")])
    assert ledger.outcomes(["s"]) == {}


def test_reading_creates_nothing(tmp_path: Path) -> None:
    """A ledger that is only read is not made."""
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(tmp_path / "none.sqlite", create=False)
    assert not any(tmp_path.iterdir())


def test_a_damaged_ledger_is_said(tmp_path: Path) -> None:
    """Bytes that are no database, or a torn one, are an error in words, when opened as when read."""
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerError, match=r"is not a ledger .*; move it away, or choose another home"):
        Ledger(path)
    torn = Ledger(tmp_path / "torn.sqlite")
    torn.add(records(400))
    torn.close()
    content = bytearray((tmp_path / "torn.sqlite").read_bytes())
    content[8192:] = b"x" * (len(content) - 8192)
    (tmp_path / "torn.sqlite").write_bytes(content)
    with pytest.raises(LedgerError, match="is damaged"):
        Ledger(tmp_path / "torn.sqlite", create=False).get([f"k{k}" for k in range(400)])


def test_fingerprints_are_each_studys_own(ledger: Ledger) -> None:
    """Another study's data under the same name do not hide this one's; a new study sees the latest."""
    ledger.note_fingerprints("a", {"w": "1"})
    ledger.note_fingerprints("b", {"w": "2"})
    assert [ledger.fingerprints(study) for study in ("a", "b", "new")] == [{"w": "1"}, {"w": "2"}, {"w": "2"}]


def test_an_older_ledger_says_what_to_do(tmp_path: Path) -> None:
    """Launching adds the tables that a version did not have; cells of another shape ask for another home."""
    path = tmp_path / "ledger.sqlite"
    with closing(Ledger(path)) as made:
        made.add(records(2))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE prints")
    with pytest.raises(LedgerError, match="without the tables prints; launch a study in this home"):
        Ledger(path, create=False)
    with closing(Ledger(path)) as mended:
        assert mended.outcomes(["s"]) == {"k0": "finished", "k1": "finished"}
    Ledger(path, create=False).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE cells DROP COLUMN dynamics")
    for create in (True, False):
        with pytest.raises(LedgerError, match="cells have no dynamics; move it away, or choose another home"):
            Ledger(path, create=create)


def test_another_programs_database_is_no_ledger(tmp_path: Path) -> None:
    """It is named when it is read, and left alone."""
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="is not a ledger"):
        Ledger(path, create=False)
    assert path.read_bytes() == before


def test_a_failed_write_says_what_helps(ledger: Ledger) -> None:
    """Without room a batch leaves nothing behind, what was stored stays, and the advice fits the reason."""
    ledger.add(records(2))
    pages = ledger._rows("PRAGMA page_count")[0][0]
    ledger._rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(
        LedgerError, match=r"cannot be written .*what it holds is whole; make room on its disk"
    ):
        ledger.add(replace(RECORD, key=f"big{k}", reason="x" * 4000) for k in range(50))
    assert set(ledger.outcomes(["s"])) == {"k0", "k1"}
    with closing(Ledger(ledger.path, create=False)) as reader, pytest.raises(LedgerError, match="writable"):
        reader.add(records(3))


def test_widths_are_remembered_while_they_hold(ledger: Ledger) -> None:
    """A width that was the most at its measurement does not count where more cells fit now."""
    ledger.note_width("s", "here", 64, 64)
    assert [ledger.width("s", "here", most) for most in (32, 64, 128)] == [64, 64, None]
    ledger.note_width("s", "here", 32, 64)
    assert ledger.width("s", "here", 128) == 32
    assert ledger.width("s", "elsewhere", 64) is None
    assert ledger.any_width("s") == 32
