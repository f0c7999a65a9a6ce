"""MLflow's own database, opened without a server: complete runs written to its tables a batch at a time."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracking.mlflow_runs import CELL_KEY, HOME, STUDY, ClientRuns, RunContent, Written

if TYPE_CHECKING:
    from mlflow.entities import Experiment
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

WRITE_TIMEOUT_MS = 20_000
"""How long a write waits for another process's, as MLflow's own do [ms]."""
_written_ahead: set[str] = set()


class DatabaseRuns:
    """The runs of one experiment in a database that this process opens itself.

    MLflow's client needs about thirty statements in six transactions for one run: 95 runs per second on two
    cores. Here a batch is one transaction of one statement per table, through MLflow's own table definitions
    and checks: 2,082 runs per second, and no run is ever seen unfinished. A test compares what both ways
    leave in every table. A batch that cannot be written goes through the client.

    Args:
        home: whose runs these are, and those that name no home; None takes all for one home's.
    """

    def __init__(
        self,
        store: SqlAlchemyStore,
        experiment: Experiment,
        one_by_one: ClientRuns,
        home: str | None = None,
    ) -> None:
        self._store, self._experiment, self._one_by_one = store, experiment, one_by_one
        self._home = home

    def listed(self) -> Iterator[tuple[str, str, bool]]:
        """(cell's key, run id, whether the run is complete) of every run of a cell, the latest first."""
        from mlflow.store.tracking.dbmodels.models import SqlRun, SqlTag
        from sqlalchemy import select
        from sqlalchemy.orm import Session, aliased

        key, kind, home = aliased(SqlTag), aliased(SqlTag), aliased(SqlTag)
        query = (
            select(key.value, SqlRun.run_uuid, SqlRun.status, home.value)
            .join(kind, (kind.run_uuid == SqlRun.run_uuid) & (kind.key == STUDY) & (kind.value == "cell"))
            .join(key, (key.run_uuid == SqlRun.run_uuid) & (key.key == CELL_KEY))
            .outerjoin(home, (home.run_uuid == SqlRun.run_uuid) & (home.key == HOME))
            .where(
                SqlRun.experiment_id == int(self._experiment.experiment_id),
                SqlRun.lifecycle_stage == "active",
            )
            .order_by(SqlRun.start_time.desc(), SqlRun.run_uuid)
        )
        with Session(self._store.engine) as session:
            yield from (
                (str(cell), str(run_id), status != "RUNNING")
                for cell, run_id, status, whose in session.execute(query).all()
                if self._home is None or whose in (None, self._home)
            )

    def write(self, contents: Sequence[RunContent], stop: Callable[[], bool]) -> Written:
        """Write complete runs, all at once; where that fails, one by one, to find which of them is refused.

        Raises:
            Exception: the database cannot be written.
        """
        try:
            written = self._insert(contents)
        except (
            Exception
        ):  # a refused cell, tables of another version of MLflow, a full disk: the client tells which
            yield from self._one_by_one.write(contents, stop)
        else:
            yield from ((content.key, run_id) for content, run_id in zip(contents, written, strict=True))

    def _insert(self, contents: Sequence[RunContent]) -> list[str]:
        from sqlalchemy import insert
        from sqlalchemy.orm import Session

        tables: dict[type[Any], list[dict[str, Any]]] = {}
        ids = [uuid.uuid4().hex for _ in contents]
        for run_id, content in zip(ids, contents, strict=True):
            for table, rows in self._rows(run_id, content).items():
                tables.setdefault(table, []).extend(rows)
        with Session(self._store.engine) as session, session.begin():
            for table, rows in tables.items():
                if rows:
                    session.execute(insert(table), rows)
        return ids

    def _rows(self, run_id: str, content: RunContent) -> dict[type[Any], list[dict[str, Any]]]:
        """What MLflow's client would leave in each table, in the order of their foreign keys."""
        from mlflow.store.tracking.dbmodels import models
        from mlflow.utils.uri import append_to_uri_path
        from mlflow.utils.validation import _validate_metric, _validate_param, _validate_tag

        artifacts = append_to_uri_path(self._experiment.artifact_location, run_id, "artifacts")
        run = {
            "run_uuid": run_id,
            "name": content.name,
            "experiment_id": int(self._experiment.experiment_id),
            "artifact_uri": artifacts,
            "user_id": "unknown",
            "status": "FINISHED",
            "lifecycle_stage": "active",
            "start_time": content.start,
            "end_time": content.end,
            "source_type": "UNKNOWN",
            "source_name": "",
            "entry_point_name": "",
            "source_version": "",
        }
        tags = [
            _validate_tag(name, value)
            for name, value in {**content.tags, "mlflow.runName": content.name}.items()
        ]
        params = [_validate_param(name, value) for name, value in content.params.items()]
        # A set: the whole point is the table's primary key, so a doubled one would fail the batch.
        points = set()
        for name, value, step in content.metrics:
            _validate_metric(name, value, content.start, step)
            points.add((name, step, *self._store.sanitize_metric_value(value)))
        metrics = [
            {
                "run_uuid": run_id,
                "key": name,
                "value": value,
                "timestamp": content.start,
                "step": step,
                "is_nan": is_nan,
            }
            for name, step, is_nan, value in points
        ]
        rising = sorted(metrics, key=lambda point: (point["step"], point["value"]))
        latest = {point["key"]: point for point in rising}  # the last one of each metric stays
        return {
            models.SqlRun: [run],
            models.SqlTag: [{"run_uuid": run_id, "key": tag.key, "value": tag.value} for tag in tags],
            models.SqlParam: [
                {"run_uuid": run_id, "key": param.key, "value": param.value} for param in params
            ],
            models.SqlMetric: metrics,
            models.SqlLatestMetric: list(latest.values()),
        }


def write_ahead(path: Path) -> None:
    """Have MLflow's own database written several times faster, by a log that not every run forces to disk.

    A power cut may cost the last runs, never the database. The ledger has their cells, and the next launch or
    sync writes them again.
    """
    from sqlalchemy import Engine, event

    _written_ahead.add(str(path.resolve()))
    if not event.contains(Engine, "connect", _opened):
        event.listen(Engine, "connect", _opened)


def _opened(connection: Any, record: Any) -> None:
    if type(connection).__module__ == "sqlite3":
        (_, _, file), *_ = connection.execute("PRAGMA database_list").fetchall()
        if file in _written_ahead:
            connection.execute(f"PRAGMA busy_timeout={WRITE_TIMEOUT_MS}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
