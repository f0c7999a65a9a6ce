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


def harm(path: Path, statement: str, *values: object) -> None:
    """Change rows behind the ledger's back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


@pytest.mark.parametrize(
    "change",
    [
        "curve = '[[0, 2.3'",
        "metric_final = 0.90000000000000002",
        "seed = 'x'",
        "reason = CAST(x'ff' AS TEXT)",
    ],
)
def test_a_damaged_record_is_left_out_and_trained_again(change: str, ledger: Ledger) -> None:
    """No JSON, or a changed digit: the record is named, all others are there, and it can be stored again."""
    cells = [replace(record, metric_final=0.9 + 1e-15) for record in records(3)]
    ledger.add(cells)
    harm(ledger.path, f"UPDATE cells SET {change} WHERE key = 'k1'")
    with closing(Ledger(ledger.path, create=False)) as reader:
        assert set(reader.get(["k0", "k1", "k2"])) == {"k0", "k2"}
        assert reader.damaged == {"k1": "its checksum is another one than when it was stored"}
        assert reader.look_at() == (2, 0)
    assert set(ledger.set_aside_damaged(["k0", "k1", "k2"])) == {"k1"}
    assert set(ledger.outcomes(["s"])) == {"k0", "k2"}
    assert ledger.add([cells[1]]) == 1
    assert ledger.get(["k1"]) == {"k1": cells[1]}
    assert ledger._rows("SELECT key FROM damaged") == [("k1",)]
    assert ledger.set_aside_damaged(["k0", "k1", "k2"]) == {}


def test_only_the_asked_cells_are_set_aside(ledger: Ledger) -> None:
    """Damage of other cells that was seen before is no matter of these, and stays known."""
    ledger.add(records(4))
    harm(ledger.path, "UPDATE cells SET metric_final = 0.1 WHERE key IN ('k1', 'k3')")
    ledger.look_at()
    assert set(ledger.damaged) == {"k1", "k3"}
    assert set(ledger.set_aside_damaged(["k0", "k1"])) == {"k1"}
    assert set(ledger.damaged) == {"k3"}
    assert set(ledger.outcomes()) == {"k0", "k2", "k3"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("curve = '[[0, 2.3'", "its curve is no JSON"),
        ("curve = '[[0]]'", "its curve has points that are none"),
        ("dynamics = '7'", "its dynamics is no JSON"),
        ("seed = 'x'", "its seed is no INTEGER"),
        ("reason = CAST(x'ff' AS TEXT)", "its reason is no text"),
    ],
)
def test_a_record_without_a_checksum_is_looked_at(change: str, why: str, ledger: Ledger) -> None:
    """Records of versions that stored no checksum are taken, unless they hold what no record can have."""
    ledger.add(records(2))
    harm(ledger.path, "UPDATE cells SET checksum = NULL")
    harm(ledger.path, f"UPDATE cells SET {change} WHERE key = 'k1'")
    assert set(ledger.get(["k0", "k1"])) == {"k0"}
    assert ledger.damaged == {"k1": why}
    assert ledger.look_at() == (1, 1)


def test_every_number_keeps_its_checksum(ledger: Ledger) -> None:
    """A record is whole after sqlite, which keeps neither integers in columns of reals nor the sign of 0."""
    odd = replace(
        RECORD, lr=1, weight_decay=-0.0, loss_final=float("inf"), metric_best=float("nan"), seed=True
    )
    ledger.add([odd])
    (found,) = ledger.get(["k0"]).values()
    assert ledger.damaged == {}
    assert (found.lr, found.weight_decay, found.loss_final, found.metric_best) == (
        1.0,
        0.0,
        float("inf"),
        None,
    )


def test_a_failed_record_that_an_older_version_replaced(ledger: Ledger) -> None:
    """It wrote no checksum, and the failed record has none that could stay behind."""
    ledger.add([replace(RECORD, outcome="failed")])
    harm(ledger.path, "UPDATE cells SET outcome = 'finished', metric_final = 0.5")
    assert ledger.get(["k0"])["k0"].metric_final == 0.5


@pytest.mark.parametrize(
    "schema",
    [
        "CREATE TABLE notes (text TEXT)",
        "CREATE TABLE cells (x INTEGER, y INTEGER)",
        "{cells}; ALTER TABLE cells ADD COLUMN owner TEXT NOT NULL DEFAULT NULL",
        "{cells}; CREATE TABLE runs (id INTEGER)",
        "{strict}",
    ],
)
def test_a_foreign_schema_is_found_out_at_once(schema: str, tmp_path: Path) -> None:
    """Tables that would not take a record are named when the ledger is opened, before anything is trained."""
    path = tmp_path / "ledger.sqlite"
    with closing(Ledger(tmp_path / "made.sqlite")) as made:
        ((cells,),) = made._rows("SELECT sql FROM sqlite_master WHERE name = 'cells'")
    strict = cells.replace("'finished', 'diverged', 'failed'", "'good', 'bad'")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(schema.format(cells=cells, strict=strict))
    with pytest.raises(
        LedgerError, match=r"(another|older|not a ledger).*move it away, or choose another home"
    ):
        Ledger(path)


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


@pytest.mark.parametrize("column", ["key", "setting", "outcome"])
def test_a_flipped_bit_beside_an_index_costs_one_record(column: str, tmp_path: Path) -> None:
    """The index still tells what the row told before. That one record is set aside, and its key is free."""
    path, lost = tmp_path / "ledger.sqlite", records(40)[39]
    with closing(Ledger(path)) as ledger:
        ledger.add(records(40))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'cells'").fetchone()
        (index,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'cells_by_setting'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    data = bytearray(path.read_bytes())
    row = f"{lost.key}{lost.workload}".encode()
    at = next(at for at in places(data, row) if at // size + 1 != index)
    assert page != index
    word = str(getattr(lost, column)).encode()
    # The last letter, by so much that the rows stay in the order of their keys.
    data[data.index(word, at) + len(word) - 1] ^= 4
    path.write_bytes(data)
    keys = [record.key for record in records(40)]
    with closing(Ledger(path)) as ledger:
        assert len(ledger.set_aside_damaged(keys)) == 1
        assert ledger.problems() == []
        assert set(ledger.outcomes()) == set(keys) - {lost.key}
        assert ledger.add([lost]) == 1
        assert ledger.look_at() == (40, 0)


def places(data: bytearray, what: bytes) -> list[int]:
    """Where those bytes stand."""
    found, at = [], data.find(what)
    while at >= 0:
        found.append(at)
        at = data.find(what, at + 1)
    return found


def test_another_tracker_of_the_same_file_name_is_another(ledger: Ledger, tmp_path: Path) -> None:
    """Only a database that is no more was the home's own before it was moved."""
    other = tmp_path / "shared" / "mlflow.db"
    other.parent.mkdir()
    ledger.note_runs("s", f"sqlite:///{other}", {"k0": "r"})
    own = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert ledger.shown_elsewhere(own) == set()
    other.touch()
    assert ledger.shown_elsewhere(own) == {"k0"}
