"""The file of MLflow's own database: whole or not there, told when replaced, at home wherever it is moved."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking import MlflowClient
from sqlalchemy import Engine, event

from tests import database
from tests.making import records
from tracking import Ledger, Mirror, mlflow_file
from tracking.mlflow_file import MlflowFileError
from tracking.mlflow_listing import parents, stored_runs
from tracking.mlflow_store import MlflowStore

SECONDS = 40.0
"""MLflow alone tried for more than a hundred."""


class Killed(BaseException):
    """What a process that is killed would not live to see."""


@contextmanager
def killed_at(statement: int) -> Iterator[None]:
    """End whatever works on a database at its n-th statement from now on."""
    seen = 0

    def count(*rest: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == statement:
            raise Killed

    event.listen(Engine, "before_cursor_execute", count)
    try:
        with pytest.raises(Killed):
            yield
    finally:
        event.remove(Engine, "before_cursor_execute", count)


def shown(folder: Path, ledger: Ledger) -> tuple[dict[str, str], list[str], str | None]:
    """Mirror all cells of a ledger; the runs there are then, what was told, and what was wrong."""
    uri, told = f"sqlite:///{folder / 'mlflow.db'}", list[str]()
    mirror = Mirror(
        lambda: MlflowStore(uri, "s", folder / "mlflow-artifacts", replaced=told.append),
        ledger.path,
        "s",
        uri,
    )
    mirror.add(set(ledger.outcomes(["s"])) - set(ledger.runs("s", uri)))
    mirror.finish()
    return ledger.runs("s", uri), told, mirror.trouble


def test_a_database_that_was_being_made_when_its_process_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ledger: Ledger
) -> None:
    """The next process opens MLflow as if nothing had been there, and has nothing to tell."""
    monkeypatch.setattr(mlflow_file, "migrate", database.migrate)
    # Of 1,714. One of those between which a table has a passing name, "_alembic_tmp_experiments".
    with killed_at(900):
        MlflowStore(f"sqlite:///{tmp_path / 'mlflow.db'}", "s")
    ledger.add(records(3))
    runs, told, trouble = shown(tmp_path, ledger)
    assert (set(runs), told, trouble) == ({"k0", "k1", "k2"}, [], None)


def half_made(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE latest_metrics")


def of_another_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from the future'")


def no_database(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "mine").touch()


def overwritten(path: Path) -> None:
    """Pages in the middle; the first ones, which say what the database holds, are whole."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 10)
        file.write(os.urandom(path.stat().st_size * 8 // 10))


@pytest.mark.parametrize("harm", [half_made, of_another_version, no_database, a_folder, overwritten])
def test_what_cannot_be_opened_is_written_again(
    harm: Callable[[Path], None], tmp_path: Path, ledger: Ledger
) -> None:
    """In seconds: it is set aside under a name that the user sees, and the ledger gives every run again."""
    path = tmp_path / "mlflow.db"
    ledger.add(records(40))
    before, _, _ = shown(tmp_path, ledger)
    SqlAlchemyStore._engine_map[f"sqlite:///{path}"].dispose()  # its log goes into the file
    harm(path)
    started = time.monotonic()
    runs, told, trouble = shown(tmp_path, ledger)
    assert time.monotonic() - started < SECONDS
    assert trouble is None
    assert set(runs) == set(before)
    assert MlflowStore(f"sqlite:///{path}", "s").complete_runs() == runs
    (said,) = told
    (aside,) = tmp_path.glob("mlflow.db.set-aside-*")
    assert f"was set aside as {aside.name}" in said
    assert not list(tmp_path.glob(".mlflow.db.new*"))


def test_a_database_elsewhere_is_left_alone(tmp_path: Path) -> None:
    """One that is no home's own is named in the error, and keeps its name and content."""
    path = tmp_path / "shared.db"
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(MlflowFileError, match=r"shared.db is damaged .* move it away, or name another"):
        MlflowStore(f"sqlite:///{path}", "s")
    assert path.read_bytes() == b"no database " * 1000


def test_a_database_that_cannot_be_made_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without room nothing is left behind that could be taken for a database, and with room it is made."""
    path, real = tmp_path / "mlflow.db", mlflow_file.migrate

    def full(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA max_page_count = 2")
            connection.execute("CREATE TABLE a (b)")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mlflow_file, "migrate", full)
    with pytest.raises(MlflowFileError, match=r"cannot be made \(No space left on device\); make room"):
        MlflowStore(f"sqlite:///{path}", "s")
    assert not path.exists()
    monkeypatch.setattr(mlflow_file, "migrate", real)
    assert MlflowStore(f"sqlite:///{path}", "s").complete_runs() == {}


def test_a_copy_has_its_own_artifacts(tmp_path: Path, ledger: Ledger) -> None:
    """What is put on a run in a copied folder lies in the copy; the original's files stay as they were."""
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    (tmp_path / "page.md").write_text("before")
    store = MlflowStore(f"sqlite:///{original / 'mlflow.db'}", "s", original / "mlflow-artifacts")
    ids = dict(store.write(records(2)))
    store.finish({}, {}, [tmp_path / "page.md"])
    shutil.copytree(original, copy)
    (tmp_path / "page.md").write_text("after")
    again = MlflowStore(f"sqlite:///{copy / 'mlflow.db'}", "s", copy / "mlflow-artifacts")
    assert again.complete_runs() == ids
    again.finish({}, {}, [tmp_path / "page.md"])
    assert [file.read_text() for file in original.rglob("page.md")] == ["before"]
    assert [file.read_text() for file in copy.rglob("page.md")] == ["after"]
    client = MlflowClient(f"sqlite:///{copy / 'mlflow.db'}")
    runs = client.search_runs([again.experiment_id])
    assert len(runs) == 3
    assert all(run.info.artifact_uri.startswith((copy / "mlflow-artifacts").as_uri()) for run in runs)
    written = dict(again.write(records(3)[2:]))
    new = client.get_run(str(written["k2"])).info.artifact_uri
    assert new.startswith((copy / "mlflow-artifacts").as_uri())


def test_runs_that_cannot_be_listed_are_said(tmp_path: Path) -> None:
    """A database that changed while it was read is named as such, without sqlite's error."""
    (tmp_path / "mlflow.db").write_bytes(b"torn " * 1000)
    for listed in (stored_runs, parents):
        with pytest.raises(MlflowFileError, match="cannot be listed"):
            listed(f"{(tmp_path / 'mlflow.db').as_uri()}?mode=ro")
