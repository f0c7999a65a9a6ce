"""The ledger and MLflow: nothing lost, nothing twice."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from tests.making import RECORD
from tests.tools.faults.drills import served
from tracking import CellRecord, Ledger, LedgerError, Mirror
from tracking.mlflow_database import DatabaseRuns
from tracking.mlflow_runs import ClientRuns, Written
from tracking.mlflow_store import MlflowStore


def records(n: int, **changes: object) -> list[CellRecord]:
    return [replace(RECORD, key=f"k{k}", lr=0.1 * (k + 1), **changes) for k in range(n)]  # type: ignore[arg-type]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite")


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


def test_mlflow_shows_every_cell_once(tmp_path: Path, ledger: Ledger) -> None:
    """Params, metrics, curve and outcome arrive; a second mirror adds no run; a run left open by a crash is replaced."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"

    def mirrored(what: list[CellRecord]) -> None:
        mirror = Mirror(lambda: MlflowStore(uri, "s", tmp_path / "artifacts"), ledger.path, "s", "t")
        ledger.add(what)
        mirror.add(record.key for record in what)
        mirror.finish()
        assert mirror.trouble is None

    mirrored(
        [
            *records(2),
            replace(
                RECORD,
                key="d",
                outcome="diverged",
                reason="nonfinite_loss",
                diverged_step=7,
                metric_final=None,
            ),
        ]
    )
    store = MlflowStore(uri, "s")
    client = MlflowClient(uri)
    client.create_run(store.experiment_id, tags={"stability_study": "cell", "cell_key": "k2"})
    mirrored(records(3))
    runs = client.search_runs([store.experiment_id], "tags.stability_study = 'cell'")
    assert sorted(run.data.tags["cell_key"] for run in runs) == ["d", "k0", "k1", "k2"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {store.parent_id}
    assert set(ledger.runs("s", "t")) == {"d", "k0", "k1", "k2"}
    diverged = next(run for run in runs if run.data.tags["cell_key"] == "d")
    assert diverged.data.tags["outcome"] == "diverged"
    assert diverged.data.tags["reason"] == "nonfinite_loss"
    assert diverged.data.metrics["diverged_step"] == 7
    assert "accuracy_final" not in diverged.data.metrics
    assert diverged.data.params["lr"] == "0.1"
    assert [(m.step, m.value) for m in client.get_metric_history(diverged.info.run_id, "accuracy")] == [
        (0, 0.1),
        (10, 0.9),
    ]


DYNAMICS = '{"step": [0, 5, 10], "grad_std": [0.5, null, 0.25], "scale": [1.0, 1.5, 2.0]}'


def left_behind(path: Path, names: dict[str, str]) -> dict[str, list[str]]:
    """Every row that belongs to a run, by table, without what differs from run to run: ids (named instead) and times of day."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        start = {
            row["run_uuid"]: row["start_time"]
            for row in connection.execute("SELECT run_uuid, start_time FROM runs")
        }

        def plain(row: sqlite3.Row) -> str:
            values = dict(row)
            values |= {
                key: values[key] - start[row["run_uuid"]]
                for key in ("start_time", "end_time", "timestamp")
                if values.get(key) is not None
            }
            text = json.dumps(values, sort_keys=True)
            for run_id, name in names.items():
                text = text.replace(run_id, name)
            return text

        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        content = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}
    return {
        name: sorted(map(plain, rows))
        for name, rows in content.items()
        if rows and "run_uuid" in rows[0].keys()  # noqa: SIM118  # a row is no mapping
    }


def test_both_roads_leave_the_same(tmp_path: Path) -> None:
    """What a batch leaves in each table of MLflow's database is what MLflow's own client leaves there."""
    kinds = [
        RECORD,
        replace(
            RECORD,
            key="d",
            outcome="diverged",
            reason="nonfinite_loss",
            diverged_step=7,
            loss_final=None,
            metric_final=None,
            constants='{"numerator": 2}',
        ),
        replace(RECORD, key="c", dynamics=DYNAMICS, curve=((0, 2.3, 0.1), (5, 1.0, 0.1), (10, 0.5, None))),
    ]
    left = {}
    for road in ("batch", "client"):
        path = tmp_path / road / "mlflow.db"
        path.parent.mkdir()
        store = MlflowStore(
            f"sqlite:///{path}", "s", tmp_path / "artifacts", {"s": {"batch_size": 64, "loss_scale": 0.1}}
        )
        assert isinstance(store._runs, DatabaseRuns)
        if road == "client":
            store._runs = ClientRuns(store._client, store.experiment_id)
        else:
            store._runs._one_by_one = None  # type: ignore[assignment]  # must not be needed
        found = dict(store.write(kinds))
        assert store.complete_runs() == found
        left[road] = left_behind(
            path, {str(run_id): key for key, run_id in found.items()} | {store.parent_id: "parent"}
        )
    assert left["batch"] == left["client"]
    assert set(left["batch"]) == {"runs", "tags", "params", "metrics", "latest_metrics"}
    assert sum("loss_scale" in row for row in left["batch"]["params"]) == len(kinds)


def test_a_tracker_that_is_away_stops_nothing(ledger: Ledger) -> None:
    """The mirror says what is wrong and ends; the ledger remembers no run."""

    def away() -> MlflowStore:
        raise ConnectionError("nobody there")

    mirror = Mirror(away, ledger.path, "s", "t")
    ledger.add(records(2))
    mirror.add(["k0", "k1"])
    mirror.finish()
    assert mirror.trouble == "ConnectionError: nobody there"
    assert ledger.runs("s", "t") == {}


def test_a_cell_that_is_refused_stops_no_other(ledger: Ledger) -> None:
    """It goes behind the others, is tried again, and is told at the end."""
    written: list[str] = []

    class Strict:
        def complete_runs(self) -> dict[str, str]:
            return {key: f"run of {key}" for key in written}

        def write(self, records: Sequence[CellRecord], stop: Callable[[], bool]) -> Written:
            for record in records:
                if record.key in ("k0", "k2"):
                    yield record.key, ValueError(f"{record.key} is not to my taste")
                else:
                    written.append(record.key)
                    yield record.key, f"run of {record.key}"

    ledger.add(records(5))
    mirror = Mirror(Strict, ledger.path, "s", "t")
    mirror.add([f"k{k}" for k in range(5)])
    mirror.finish()
    assert written == ["k1", "k3", "k4"]
    assert ledger.runs("s", "t") == {key: f"run of {key}" for key in written}
    assert (mirror.waiting, mirror.trouble) == (2, "ValueError: k2 is not to my taste")


def test_a_refused_cell_alone_ends_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells that are stored while the mirror pauses after it are written at the end."""
    monkeypatch.setattr("tracking.mirror.PATIENCE", 0.05)
    tries, twice, written = list[str](), threading.Event(), list[str]()

    class Strict:
        def complete_runs(self) -> dict[str, str]:
            return {key: f"run of {key}" for key in written}

        def write(self, records: Sequence[CellRecord], stop: Callable[[], bool]) -> Written:
            for record in records:
                if record.key == "k0":
                    tries.append(record.key)
                    if len(tries) == 2:
                        monkeypatch.setattr("tracking.mirror.PATIENCE", 60.0)
                        twice.set()
                    yield record.key, ValueError("k0 is not to my taste")
                else:
                    written.append(record.key)
                    yield record.key, f"run of {record.key}"

    ledger.add(records(4))
    mirror = Mirror(Strict, ledger.path, "s", "t")
    mirror.add(["k0"])
    assert twice.wait(20)
    mirror.add(["k1", "k2", "k3"])
    mirror.finish()
    assert written == ["k1", "k2", "k3"]
    assert mirror.waiting == 1


def test_a_record_that_cannot_be_shown_stops_no_other(tmp_path: Path, ledger: Ledger) -> None:
    """One that another version wrote, say, waits behind the others, and is told."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    cells = records(5)
    ledger.add([*cells[:2], replace(cells[2], dynamics='{"step": [0]}'), *cells[3:]])
    mirror = Mirror(lambda: MlflowStore(uri, "s"), ledger.path, "s", "t")
    mirror.add(f"k{k}" for k in range(5))
    mirror.finish()
    assert (mirror.waiting, mirror.trouble) == (1, "KeyError: 'grad_std'")
    assert (
        set(ledger.runs("s", "t")) == set(MlflowStore(uri, "s").complete_runs()) == {"k0", "k1", "k3", "k4"}
    )


def test_a_tracker_that_takes_nothing_is_not_asked_cell_by_cell(ledger: Ledger) -> None:
    """A database that stays locked, or a full disk of the tracker's, ends the last attempt at once."""
    asked: list[int] = []

    class Full:
        def complete_runs(self) -> dict[str, str]:
            return {}

        def write(self, records: Sequence[CellRecord], stop: Callable[[], bool]) -> Written:
            asked.append(len(records))
            raise OSError("no space")
            yield

    ledger.add(records(20))
    mirror = Mirror(Full, ledger.path, "s", "t")
    mirror.add(f"k{k}" for k in range(20))
    mirror.finish()
    assert asked == [20] * len(asked)
    assert len(asked) <= 2
    assert (mirror.waiting, mirror.trouble) == (20, "OSError: no space")


@pytest.mark.parametrize("kind", [DatabaseRuns, ClientRuns])
def test_giving_up_notes_what_was_written(tmp_path: Path, ledger: Ledger, kind: type) -> None:
    """Left in haste, the mirror writes no more than what is on its way, and the ledger knows of every run there is."""
    store = MlflowStore(f"sqlite:///{tmp_path / 'mlflow.db'}", "s")
    store._runs = (
        store._runs if kind is DatabaseRuns else ClientRuns(store._client, store.experiment_id, threads=2)
    )
    begun = threading.Event()

    class Watched:
        complete_runs = store.complete_runs

        def write(self, records: Sequence[CellRecord], stop: Callable[[], bool]) -> Written:
            for written in store.write(records, stop):
                begun.set()
                yield written

    ledger.add(records(400))
    mirror = Mirror(Watched, ledger.path, "s", "t")
    mirror.add(f"k{k}" for k in range(400))
    assert begun.wait(60)
    mirror.finish(give_up=True)
    assert ledger.runs("s", "t") == store.complete_runs()
    assert 400 - mirror.waiting == len(store.complete_runs()) < 400


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("server")) as running:
        yield running.uri


class TestRunStores:
    """What the mirror relies on, of every kind of tracker."""

    @pytest.fixture(params=["embedded", "server"])
    def uri(self, request: pytest.FixtureRequest, tmp_path: Path) -> str:
        return (
            f"sqlite:///{tmp_path / 'mlflow.db'}"
            if request.param == "embedded"
            else str(request.getfixturevalue("server"))
        )

    def test_what_is_written_is_complete(self, uri: str) -> None:
        """A written cell is known by its key to whoever opens the tracker next; writing is the only thing that adds runs."""
        store = MlflowStore(uri, "written")
        assert store.complete_runs() == {}
        ids = dict(store.write(records(3)))
        assert store.complete_runs() == ids
        assert MlflowStore(uri, "written").complete_runs() == ids

    def test_half_written_and_doubled_runs_go(self, uri: str) -> None:
        """A run that a crash left open, and the second run of a cell, are not there afterwards; complete ones stay."""
        store = MlflowStore(uri, "torn")
        for _ in range(2):
            list(store.write([RECORD]))
        client = MlflowClient(uri)
        client.create_run(store.experiment_id, tags={"stability_study": "cell", "cell_key": "open"})
        done = store.complete_runs()
        assert set(done) == {"k0"}
        assert len(client.search_runs([store.experiment_id], "tags.stability_study = 'cell'")) == 1

    def test_studies_do_not_mix(self, uri: str) -> None:
        """Two studies of one tracker have their own runs."""
        one, other = MlflowStore(uri, "one"), MlflowStore(uri, "other")
        list(one.write([RECORD]))
        assert other.complete_runs() == {}

    def test_one_that_is_refused_is_told_apart(self, uri: str) -> None:
        """Of cells sent together, the one that the tracker cannot take comes back with its error, and the others are there."""
        store = MlflowStore(uri, "refused")
        sent = records(3)
        found = dict(store.write([sent[0], replace(sent[1], metric_name="no/name?"), sent[2]]))
        assert isinstance(found["k1"], Exception)
        assert "no/name?" in str(found["k1"])
        assert (
            len(MlflowClient(uri).search_runs([store.experiment_id], "tags.stability_study = 'cell'")) == 2
        ), "a run was left open"
        assert (
            set(store.complete_runs())
            == {"k0", "k2"}
            == {key for key, run in found.items() if isinstance(run, str)}
        )

    def test_the_end_can_be_told_again(self, uri: str, tmp_path: Path) -> None:
        """Figures, tags and files of the study are on one finished parent run, however often they are sent."""
        (tmp_path / "page.md").write_text("page")
        store = MlflowStore(uri, "ended", tmp_path / "artifacts")
        for verdict in ("inconclusive", "supported"):
            store.finish({"cells": 3.0}, {"claim.x": verdict}, [tmp_path / "page.md"])
        client = MlflowClient(uri)
        (parent,) = client.search_runs([store.experiment_id], "tags.stability_study = 'parent'")
        assert (parent.info.status, parent.data.tags["claim.x"], parent.data.metrics["cells"]) == (
            "FINISHED",
            "supported",
            3.0,
        )
        assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["page.md"]


def test_a_damaged_ledger_is_said(tmp_path: Path) -> None:
    """Bytes that are no database, or a torn one, are an error in words, whether they are met when it is opened or when it is read."""
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerError, match="not a ledger"):
        Ledger(path)
    torn = Ledger(tmp_path / "torn.sqlite")
    torn.add(records(400))
    torn.close()
    content = bytearray((tmp_path / "torn.sqlite").read_bytes())
    content[8192:] = b"x" * (len(content) - 8192)
    (tmp_path / "torn.sqlite").write_bytes(content)
    with pytest.raises(LedgerError):
        Ledger(tmp_path / "torn.sqlite", create=False).get([f"k{k}" for k in range(400)])


def test_fingerprints_are_each_studys_own(ledger: Ledger) -> None:
    """Another study's data under the same name do not hide this one's; a study that was never launched sees the latest."""
    ledger.note_fingerprints("a", {"w": "1"})
    ledger.note_fingerprints("b", {"w": "2"})
    assert [ledger.fingerprints(study) for study in ("a", "b", "new")] == [{"w": "1"}, {"w": "2"}, {"w": "2"}]
