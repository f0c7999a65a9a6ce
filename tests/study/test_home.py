"""A home is complete in itself, and says what of it is whole."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from study.drawn import NAME, noted
from study.home import Home
from study.run.sync import open_database
from study.spec.read import read_spec
from study.stored import read
from tests.command import answer, runs, study
from tests.conftest import TINY
from tracking import mlflow_file

FEW = (
    TINY.replace("[none, unit_norm]", "[none]")
    .replace("[1e-3, 1e-2, 30]", "[1e-3, 1e-2]")
    .replace("[1e-2, 10]", "[1e-2]")
    .replace("steps: 20", "steps: 5")
)
"""A study of six cells."""


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A study of six cells, and its home."""
    folder = tmp_path_factory.mktemp("launched")
    spec = folder / "few.yaml"
    spec.write_text(FEW)
    assert study("launch", str(spec), "--home", str(folder / "home"), "--here") == 0
    let_go(folder / "home")
    return spec, folder / "home"


@pytest.fixture
def copied(launched: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """The spec, and a copy of its home."""
    spec, home = launched
    return Path(shutil.copy(spec, tmp_path)), Path(shutil.copytree(home, tmp_path / "copy"))


def let_go(home: Path) -> None:
    """Close what MLflow keeps open in this process, so that the database's log goes into its file."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore._engine_map[Home(home).mlflow_uri].dispose()


def content(home: Path) -> dict[str, str]:
    """Every file of a home, by a hash of what is in it."""
    files = [path for path in home.rglob("*") if path.is_file()]
    return {str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def harm(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_a_copied_home_touches_nothing_of_the_original(
    launched: tuple[Path, Path], copied: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The copy knows its runs at once, trains what its spec adds, and the original keeps every byte."""
    (_, original), (spec, home) = launched, copied
    before = content(original)
    assert len(read(read_spec(str(spec)), Home(home)).runs) == 6
    assert answer(capsys, "check", "--home", str(home))[0] == 3  # its addresses lead to the original yet
    spec.write_text(FEW.replace("seeds: 3", "seeds: 4"))
    code, ended = answer(capsys, "launch", str(spec), "--home", str(home), "--here")
    assert isinstance(ended, dict)
    assert (code, ended["trained_now"], len(runs(home))) == (0, 2, 8)
    assert content(original) == before
    code, found = answer(capsys, "check", "--home", str(home))
    assert (code, found["artifacts"]["problems"], found["artifacts"]["files"] > 6) == (0, [], True)


def test_a_moved_home_is_set_right_for_others(
    copied: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before `study ui` hands the database to MLflow's server, its addresses lead into the home again."""
    _, home = copied
    told: list[str] = []
    open_database(Home(home), told.append)
    assert told == []
    code, found = answer(capsys, "check", "--home", str(home))
    assert isinstance(found, dict)
    assert (code, found["whole"]) == (0, True)
    with closing(sqlite3.connect(Home(home).mlflow_database)) as connection:
        addresses = connection.execute("SELECT artifact_location FROM experiments").fetchall()
        addresses += connection.execute("SELECT artifact_uri FROM runs").fetchall()
    assert len(addresses) == 2 + 7
    assert all(address.startswith(Home(home).mlflow_artifacts.as_uri()) for (address,) in addresses)


def test_damaged_records_stop_nothing(copied: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """One that is no JSON and one with another digit are named and left out; a launch trains those two."""
    spec, home = copied
    first, second, *_ = sorted(read(read_spec(str(spec)), Home(home)).stored)
    harm(Home(home).ledger, f"UPDATE cells SET curve = '[[0' WHERE key = '{first}'")
    harm(Home(home).ledger, f"UPDATE cells SET metric_final = metric_final + 0.25 WHERE key = '{second}'")
    code, found = answer(capsys, "check", "--home", str(home))
    assert isinstance(found, dict)
    assert (code, set(found["ledger"]["damaged_records"])) == (3, {first, second})
    capsys.readouterr()
    assert study("analyse", str(spec), "--home", str(home)) == 3
    said = capsys.readouterr().err
    assert all(f"the record of cell {key} is damaged" in said for key in (first, second))
    assert study("launch", str(spec), "--home", str(home), "--here", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["trained_now"] == 2
    assert all(f"the record of cell {key} is damaged" in said.err for key in (first, second))
    code, found = answer(capsys, "check", "--home", str(home))
    assert isinstance(found, dict)
    assert (code, found["whole"], found["ledger"]["records"]) == (0, True, 6)


def test_what_is_not_whole_is_named(copied: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """A cut export, a lost artifact and a lost run are found; after `study sync` all is whole."""
    spec, home = copied
    assert study("sync", str(spec), "--home", str(home)) == 0
    assert answer(capsys, "check", "--home", str(home))[0] == 0
    let_go(home)
    table = Home(home).exports("tiny") / "cells.parquet"
    table.write_bytes(table.read_bytes()[:-100])
    next(Home(home).mlflow_artifacts.rglob("*.png")).unlink()
    harm(
        Home(home).mlflow_database,
        "UPDATE runs SET status = 'RUNNING' WHERE name LIKE '%none s0 lr 1e-3 %'",
    )
    code, found = answer(capsys, "check", "--home", str(home))
    assert isinstance(found, dict)
    assert code == 3
    assert [found[part]["whole"] for part in ("ledger", "mlflow", "artifacts", "exports")] == [
        True,
        False,
        False,
        False,
    ]
    assert "1 cells have no run" in found["mlflow"]["problems"][0]
    assert "cells.parquet missing or cut short" in found["exports"]["problems"][0]
    assert study("sync", str(spec), "--home", str(home)) == 0
    capsys.readouterr()
    assert study("check", "--home", str(home)) == 0
    assert [line.split(" (")[0] for line in capsys.readouterr().out.splitlines()] == [
        "ledger: whole",
        "mlflow: whole",
        "artifacts: whole",
        "exports: whole",
    ]


@pytest.mark.parametrize("name", ["cells.csv", "claims.md", "report.html"])
def test_a_cut_text_is_cut_short(
    name: str, copied: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A table that ends inside of a row is no traceback, and the command that mends it names the home."""
    _, home = copied
    file = Home(home).exports("tiny") / name
    file.write_bytes(file.read_bytes()[:-40])
    code, found = answer(capsys, "check", "--home", str(home))
    assert isinstance(found, dict)
    (problem,) = found["exports"]["problems"]
    assert code == 3
    assert f"{name} missing or cut short; write them with: study sync --home {home}" in problem


def test_figures_are_looked_at(copied: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """A cut picture, lost numbers and another digit are found by the list of what the launch wrote."""
    spec, home = copied
    assert study("sync", str(spec), "--home", str(home)) == 0
    figures = Home(home).exports("tiny") / "figures"
    picture, table, other = min(figures.glob("*.png")), *sorted(figures.glob("*.csv"))
    picture.write_bytes(picture.read_bytes()[:100])
    table.unlink()
    code, found = answer(capsys, "check", "--home", str(home))
    assert isinstance(found, dict)
    (problem,) = found["exports"]["problems"]
    assert (code, picture.name in problem, table.name in problem) == (3, True, True)
    assert study("sync", str(spec), "--home", str(home)) == 0
    other.write_text(other.read_text().replace("0", "1", 1))
    _, found = answer(capsys, "check", "--home", str(home))
    assert isinstance(found, dict)
    (problem,) = found["exports"]["problems"]
    assert problem.startswith(
        f"tiny: figures/{other.name} changed since a launch wrote them; write them with"
    )


def test_a_picture_in_another_look_is_whole(
    copied: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """What a user draws over a picture of the launch is no damage, and a launch draws its own again."""
    spec, home = copied
    assert study("sync", str(spec), "--home", str(home)) == 0
    (picture,) = (Home(home).exports("tiny") / "figures").glob("forest*.png")
    before = picture.read_bytes()
    where = (str(spec), "--home", str(home))
    assert study("figures", *where, "--panel", "forest", "--width", "one") == 0
    assert picture.read_bytes() != before
    assert study("check", "--home", str(home)) == 0
    stamp = noted(Home(home).exports("tiny"))
    assert stamp
    assert not stamp.holds(Home(home).exports("tiny"))
    picture.write_bytes(picture.read_bytes()[:100])
    assert study("check", "--home", str(home)) == 3


def test_an_export_without_a_list_is_known_by_its_ends(
    copied: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the launch's list a cut figure is found all the same, and no hash counts as compared."""
    _, home = copied
    folder = Home(home).exports("tiny")
    (folder / NAME).unlink()
    _, found = answer(capsys, "check", "--home", str(home))
    assert isinstance(found, dict)
    exports = found["exports"]
    assert (exports["whole"], exports["by_hash"], exports["files"]) == (True, 0, 16)
    picture = min((folder / "figures").glob("*.png"))
    picture.write_bytes(picture.read_bytes()[:100])
    assert study("check", "--home", str(home)) == 3
    assert f"tiny: {picture.name} missing or cut short" in capsys.readouterr().out


def left_open(home: Path, elsewhere: Path) -> Path:
    """A copy of a home as processes leave it that die: with rows that only the logs of its databases have."""
    places = Home(home)
    with (
        closing(sqlite3.connect(places.ledger)) as ledger,
        closing(sqlite3.connect(places.mlflow_database)) as mlflow,
    ):
        for connection, statement in (
            (ledger, "UPDATE studies SET launched_at = launched_at + 1"),
            (mlflow, "UPDATE runs SET status = 'RUNNING' WHERE name LIKE '%none s0 lr 1e-3 %'"),
        ):
            connection.execute(statement)
            connection.commit()
        return Path(shutil.copytree(home, elsewhere))


def test_a_check_changes_nothing(
    copied: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No byte and no file, of a home at rest, one whose databases were left open, and one that is damaged."""
    spec, home = copied
    assert study("sync", str(spec), "--home", str(home)) == 0
    let_go(home)
    before = content(home)
    assert answer(capsys, "check", "--home", str(home))[0] == 0
    assert content(home) == before
    left = left_open(home, tmp_path / "left")
    before = content(left)
    assert {"ledger.sqlite-wal", "mlflow.db-wal"} <= set(before)
    code, found = answer(capsys, "check", "--home", str(left))
    assert isinstance(found, dict)
    # What only a log has is seen.
    assert (code, found["ledger"]["whole"], found["mlflow"]["unfinished"]) == (3, True, 1)
    assert content(left) == before


def test_a_home_that_is_always_written_is_checked(
    copied: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where every look meets a change, the last one reads as any reader does."""
    spec, home = copied
    assert study("sync", str(spec), "--home", str(home)) == 0
    looks = iter(range(100))
    monkeypatch.setattr("study.check.state_of", lambda path: [next(looks)])
    assert answer(capsys, "check", "--home", str(home))[0] == 0
    assert next(looks) == 12


def test_without_mlflows_database_nobody_knows_the_artifacts(
    copied: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it is damaged or gone, artifacts are not said to be whole; no byte changes."""
    _, home = copied
    database = Home(home).mlflow_database
    whole = database.read_bytes()
    for harmed in (whole[:8192] + bytes(len(whole) - 8192), b"no database" * 100, None):
        database.unlink()
        if harmed is not None:
            database.write_bytes(harmed)
        before = content(home)
        code, found = answer(capsys, "check", "--home", str(home))
        assert isinstance(found, dict)
        assert (code, found["mlflow"]["whole"], found["artifacts"]["whole"]) == (3, False, False)
        assert "cannot be told without mlflow.db" in found["artifacts"]["problems"][0]
        assert content(home) == before
        database.touch()


def test_a_table_cut_between_rows_is_not_whole(
    copied: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows that are missing are counted, although the file ends as a whole one does."""
    spec, home = copied
    table = Home(home).exports("tiny") / "cells.csv"
    lines = table.read_text().splitlines(keepends=True)
    whole = table.read_text()
    for kept, lacking in ((lines[:-2], 2), (lines[:1], 6), (["nothing,here\n"], 6)):
        table.write_text("".join(kept))
        code, found = answer(capsys, "check", "--home", str(home))
        assert isinstance(found, dict)
        assert (code, f"cells.csv lacks {lacking} cells" in found["exports"]["problems"][0]) == (3, True)
    # As somebody saves it who wants less: without columns at its end or at its beginning, or with short rows.
    rows = list(csv.reader(whole.splitlines()))
    at = rows[0].index("metric_final")
    for columns, said in ((slice(at), "has no column metric_final"), (slice(at, None), "has no column key")):
        table.write_text("".join(f"{','.join(row[columns])}\n" for row in rows))
        code, found = answer(capsys, "check", "--home", str(home))
        assert isinstance(found, dict)
        assert (code, said in found["exports"]["problems"][0]) == (3, True)
    table.write_text("\n".join([lines[0].strip(), *(row[0] for row in rows[1:]), ""]))
    code, found = answer(capsys, "check", "--home", str(home))
    assert isinstance(found, dict)
    assert (code, found["exports"]["whole"]) == (3, False)
    assert study("sync", str(spec), "--home", str(home)) == 0
    assert answer(capsys, "check", "--home", str(home))[0] == 0


def test_the_last_look_may_fail_as_any(
    copied: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that cannot be read is said with exit 2, although the home is written all the time."""
    _, home = copied
    looks = iter(range(100))

    def unreadable(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("study.check.state_of", lambda path: [next(looks)])
    monkeypatch.setattr("study.check._as_readers_do", unreadable)
    assert study("check", "--home", str(home)) == 2
    assert "Permission denied" in capsys.readouterr().err


def test_a_home_that_cannot_be_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No home is wrong input; a ledger that sqlite cannot read is said, with what to do, and exit 1."""
    assert study("check", "--home", str(tmp_path / "none")) == 2
    assert not (tmp_path / "none").exists()
    home = Home(tmp_path / "home")
    home.prepare()
    home.ledger.write_bytes(b"no database " * 1000)
    code, found = answer(capsys, "check", "--home", str(home.root))
    assert isinstance(found, dict)
    assert (code, found["whole"]) == (1, False)
    assert "move it away" in found["ledger"]["problems"][0]


def test_a_launch_whose_own_mlflow_cannot_be_made_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It trains all the same, says why MLflow has nothing, and ends with 3; `study sync` mends it."""
    spec, home, real = tmp_path / "few.yaml", tmp_path / "home", mlflow_file.migrate
    spec.write_text(FEW)

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mlflow_file, "migrate", full)
    assert study("launch", str(spec), "--home", str(home), "--here") == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "MLflow has 0 of 6 cells" in said
    assert "(No space left on device); make room on its disk" in said
    monkeypatch.setattr(mlflow_file, "migrate", real)
    assert study("sync", str(spec), "--home", str(home)) == 0


def test_a_study_may_be_called_ledger(tmp_path: Path) -> None:
    """Its lock is not the ledger's own, for which it would wait for ever."""
    home = Home(tmp_path / "home")
    home.prepare()
    with home.hold("ledger"), closing(home.open_ledger()):
        pass
