"""What MLflow shows of a study, and that both ways of writing its runs leave the same."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from mlflow.tracking import MlflowClient

from tests.making import RECORD, records
from tracking import CellRecord, Ledger, Mirror
from tracking.mlflow_database import DatabaseRuns
from tracking.mlflow_runs import ClientRuns
from tracking.mlflow_store import MlflowStore


def test_mlflow_shows_every_cell_once(tmp_path: Path, ledger: Ledger) -> None:
    """Params, metrics, curve and outcome arrive; a second mirror adds no run, and replaces one left open."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"

    def mirrored(what: list[CellRecord]) -> None:
        mirror = Mirror(lambda: MlflowStore(uri, "s", tmp_path / "artifacts"), ledger.path, "s", "t")
        ledger.add(what)
        mirror.add(record.key for record in what)
        mirror.finish()
        assert mirror.trouble is None

    diverged = replace(RECORD, key="d", outcome="diverged", reason="nonfinite_loss", diverged_step=7)
    mirrored([*records(2), replace(diverged, metric_final=None)])
    store = MlflowStore(uri, "s")
    client = MlflowClient(uri)
    client.create_run(store.experiment_id, tags={"stability_study": "cell", "cell_key": "k2"})
    mirrored(records(3))
    runs = client.search_runs([store.experiment_id], "tags.stability_study = 'cell'")
    assert sorted(run.data.tags["cell_key"] for run in runs) == ["d", "k0", "k1", "k2"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {store.parent_id}
    assert set(ledger.runs("s", "t")) == {"d", "k0", "k1", "k2"}
    shown = next(run for run in runs if run.data.tags["cell_key"] == "d")
    assert shown.data.tags["outcome"] == "diverged"
    assert shown.data.tags["reason"] == "nonfinite_loss"
    assert shown.data.metrics["diverged_step"] == 7
    assert "accuracy_final" not in shown.data.metrics
    assert shown.data.params["lr"] == "0.1"
    history = client.get_metric_history(shown.info.run_id, "accuracy")
    assert [(point.step, point.value) for point in history] == [(0, 0.1), (10, 0.9)]


DYNAMICS = (
    '{"step": [0, 5, 10, 15, 20], "grad_std": [0.5, null, 0.25, Infinity, NaN], '
    '"scale": [1.0, 1.5, 2.0, NaN, -Infinity]}'
)


def left_behind(path: Path, names: dict[str, str]) -> dict[str, list[str]]:
    """Every row that belongs to a run, by table, with names for ids, and times since the run's start."""
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


def test_both_ways_leave_the_same(tmp_path: Path) -> None:
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
    for way in ("batch", "client"):
        path = tmp_path / way / "mlflow.db"
        path.parent.mkdir()
        store = MlflowStore(
            f"sqlite:///{path}", "s", tmp_path / "artifacts", {"s": {"batch_size": 64, "loss_scale": 0.1}}
        )
        assert isinstance(store._runs, DatabaseRuns)
        if way == "client":
            store._runs = ClientRuns(store.client, store.experiment_id)
        else:
            store._runs._one_by_one = None  # type: ignore[assignment]  # must not be needed
        found = dict(store.write(kinds))
        assert store.complete_runs() == found
        left[way] = left_behind(
            path, {str(run_id): key for key, run_id in found.items()} | {store.parent_id: "parent"}
        )
    assert left["batch"] == left["client"]
    assert set(left["batch"]) == {"runs", "tags", "params", "metrics", "latest_metrics"}
    assert sum("loss_scale" in row for row in left["batch"]["params"]) == len(kinds)
    # Neither what is missing nor what is not finite is a point.
    assert sum('"grad_std"' in row for row in left["batch"]["metrics"]) == 2
    assert sum('"scale"' in row for row in left["batch"]["metrics"]) == 3
