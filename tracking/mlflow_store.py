"""A study in MLflow: one parent run per study, one nested run per cell."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tracking.mlflow_database import DatabaseRuns, write_ahead
from tracking.mlflow_runs import CELL_KEY, STUDY, ClientRuns, RunContent, Written
from tracking.record import CellRecord, tracked_as

MOST_POINTS = 200
"""Moments of recorded dynamics that a run shows; the ledger has them all."""
SERIES = ("grad_std", "scale")
"""The recorded dynamics that a run shows."""
EMBEDDED = "sqlite:///"
Point = tuple[str, float | None, int]
"""(metric, value, step)."""


class MlflowStore:
    """The runs of one study: a parent run, and a nested run for each cell.

    It promises what `RunStore` asks for: a run that is listed is complete, what a crash left open or doubled
    is deleted, and a cell that MLflow refuses is told apart from an MLflow that cannot be reached.

    Args:
        uri: `sqlite:///…` for the embedded database, `http://…` for a server.
        study: name of the experiment and of the parent run.
        artifacts: folder for artifacts where the embedded database makes the experiment; a server has its
            own.
        varied: further parameters of runs, by `CellRecord.setting`: what the study varies of the budget.

    Raises:
        Exception: MLflow is unreachable, or its database cannot be opened.
    """

    def __init__(
        self,
        uri: str,
        study: str,
        artifacts: Path | None = None,
        varied: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        quiet()
        from mlflow.tracking import MlflowClient

        if uri.startswith(EMBEDDED):
            write_ahead(Path(uri.removeprefix(EMBEDDED)))

        self.study = study
        self._varied = varied or {}
        self._client = MlflowClient(uri)
        experiment = self._client.get_experiment_by_name(study)
        if experiment is None:
            location = artifacts.resolve().as_uri() if artifacts and uri.startswith(EMBEDDED) else None
            self.experiment_id = self._client.create_experiment(study, artifact_location=location)
        else:
            self.experiment_id = experiment.experiment_id
            if experiment.lifecycle_stage == "deleted":
                self._client.restore_experiment(self.experiment_id)
        self._runs = self._opened()
        self.parent_id = self._parent()

    def _opened(self) -> DatabaseRuns | ClientRuns:
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        store = self._client._tracking_client.store
        if isinstance(store, SqlAlchemyStore):
            return DatabaseRuns(
                store,
                self._client.get_experiment(self.experiment_id),
                ClientRuns(self._client, self.experiment_id, threads=1),
            )
        return ClientRuns(self._client, self.experiment_id)

    def _parent(self) -> str:
        found = self._client.search_runs([self.experiment_id], f"tags.{STUDY} = 'parent'", max_results=1)
        if found:
            return str(found[0].info.run_id)
        return str(
            self._client.create_run(
                self.experiment_id, run_name=self.study, tags={STUDY: "parent"}
            ).info.run_id
        )

    def complete_runs(self) -> dict[str, str]:
        """Run ids of all complete cells, by cell key; runs that a crash left open or doubled are deleted."""
        complete: dict[str, str] = {}
        surplus: list[str] = []
        for key, run_id, finished in self._runs.listed():
            if finished and key not in complete:
                complete[key] = run_id
            else:
                surplus.append(run_id)
        for run_id in surplus:
            self._client.delete_run(run_id)
        return complete

    def write(self, records: Sequence[CellRecord], stop: Callable[[], bool] = lambda: False) -> Written:
        """Create the complete runs of these cells.

        Args:
            stop: once it is true, no other run is begun.

        Yields:
            Each cell's key, with the id of its run once that is complete, or with why this cell is refused.

        Raises:
            Exception: MLflow is unreachable, or writes nothing.
        """
        contents = []
        for record in records:
            try:
                contents.append(self._content(record))
            except Exception as error:  # a record that some other version wrote
                yield record.key, error
        yield from self._runs.write(contents, stop)

    def _content(self, record: CellRecord) -> RunContent:
        """What the run of a cell shows."""
        varied = self._varied.get(record.setting, {})
        tags = {"mlflow.parentRunId": self.parent_id, STUDY: "cell", CELL_KEY: record.key}
        tags |= {name: str(value) for name, value in json.loads(record.provenance).items()}
        tags |= {name: value for name in tracked_as("tag") if (value := getattr(record, name))}
        params = {name: getattr(record, name) for name in tracked_as("param")} | dict(varied)
        single = {name: getattr(record, name) for name in tracked_as("metric")}
        single |= {_score_name(name, record): getattr(record, name) for name in tracked_as("score")}
        metrics: list[Point] = [(name, value, 0) for name, value in single.items()]
        for step, loss, metric in record.curve:
            metrics += [("loss", loss, step), (record.metric_name, metric, step)]
        metrics += _thinned(json.loads(record.dynamics))
        start = round(1000 * time.time())
        return RunContent(
            name=run_name(record, varied),
            tags=tags,
            params={name: str(value) for name, value in params.items()},
            metrics=[(name, float(value), step) for name, value, step in metrics if value is not None],
            start=start,
            end=start + round(1000 * record.seconds),
        )

    def finish(
        self, summary: Mapping[str, float], tags: Mapping[str, str], artifacts: Iterable[Path]
    ) -> None:
        """Put the study's figures, tags and files on its parent run, and folders with all they hold."""
        for name, value in summary.items():
            self._client.log_metric(self.parent_id, name, value)
        for name, text in tags.items():
            self._client.set_tag(self.parent_id, name, text)
        for path in artifacts:
            if path.is_dir():
                self._client.log_artifacts(self.parent_id, str(path), path.name)
            else:
                self._client.log_artifact(self.parent_id, str(path))
        self._client.set_terminated(self.parent_id)


def _score_name(field: str, record: CellRecord) -> str:
    """`metric_final` as `accuracy_final`: people look for the metric's own name."""
    return f"{record.metric_name}{field.removeprefix('metric')}"


def _thinned(dynamics: Mapping[str, list[Any]]) -> list[Point]:
    """At most `MOST_POINTS` finite points of each series of the dynamics; none where nothing was recorded."""
    found: list[Point] = []
    for name in SERIES if dynamics else ():
        series = zip(dynamics["step"], dynamics[name], strict=True)
        # MLflow's database would replace an infinity by the largest float.
        points = [(name, value, step) for step, value in series if value is not None and math.isfinite(value)]
        every = -(-len(points) // MOST_POINTS) or 1
        found += points[::every]
    return found


def run_name(record: CellRecord, varied: Mapping[str, Any]) -> str:
    """What the run is called in the UI."""
    condition = ""
    for name, value in varied.items():
        shown = f"{value:g}" if isinstance(value, int | float) else str(value)
        condition += f" {name}={shown}"
    return f"{record.transform} lr={record.lr:.3g} wd={record.weight_decay:.3g}{condition} seed={record.seed}"


def quiet() -> None:
    """Set MLflow to send no telemetry, log nothing to a terminal, and give up on a dead server in seconds."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    # A POST that is repeated after its answer got lost would make a second run. The mirror tries again, and
    # first looks which runs there are.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
