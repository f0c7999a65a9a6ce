"""A study in MLflow: one parent run per study, one nested run per cell. The only file that imports MLflow."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracking.record import CellRecord

if TYPE_CHECKING:
    from mlflow.entities import Metric, Param

CELL_KEY = "cell_key"
STUDY = "stability_study"
MOST_POINTS = 200
"""Moments of recorded dynamics that a run shows; the ledger has them all."""
EMBEDDED = "sqlite:///"
_written_ahead: set[str] = set()
PAGE = 1000
"""Runs per page of a search: MLflow's limit for one page is higher, its advice is not."""


class MlflowStore:
    """Runs of one study. Idempotent: a cell whose complete run exists is not written again, a half-written run is replaced.

    Args:
        uri: `sqlite:///…` for the embedded database, `http://…` for a server.
        study: name of the experiment and of the parent run.
        artifacts: folder for artifacts when the embedded database creates the experiment; a server decides for itself.
        varied: by `CellRecord.setting`, further parameters of the setting's runs: what the study varies of the budget.
    """

    def __init__(self, uri: str, study: str, artifacts: Path | None = None, varied: Mapping[str, Mapping[str, Any]] | None = None) -> None:
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
        self.parent_id = self._parent()

    def _parent(self) -> str:
        found = self._client.search_runs([self.experiment_id], f"tags.{STUDY} = 'parent'", max_results=1)
        if found:
            return str(found[0].info.run_id)
        return str(self._client.create_run(self.experiment_id, run_name=self.study, tags={STUDY: "parent"}).info.run_id)

    def complete_runs(self) -> dict[str, str]:
        """Run ids of all complete cells, by cell key. Runs that were left open or doubled by a crash are deleted."""
        from mlflow.entities import Run

        complete: dict[str, str] = {}
        token = None
        surplus: list[str] = []
        while True:
            page = self._client.search_runs([self.experiment_id], f"tags.{STUDY} = 'cell'", max_results=PAGE, page_token=token)
            run: Run
            for run in page:
                key = run.data.tags[CELL_KEY]
                if run.info.status == "RUNNING" or key in complete:
                    surplus.append(run.info.run_id)
                else:
                    complete[key] = run.info.run_id
            token = page.token
            if not token:
                break
        for run_id in surplus:
            self._client.delete_run(run_id)
        return complete

    def write(self, record: CellRecord) -> str:
        """Create the complete run of one cell and return its id."""
        run = self._client.create_run(self.experiment_id, tags=self._tags(record), run_name=run_name(record, self._varied.get(record.setting, {})))
        run_id = str(run.info.run_id)
        metrics, params = self._content(record, run.info.start_time)
        self._client.log_batch(run_id, metrics=metrics, params=params)
        self._client.set_terminated(run_id, "FINISHED", run.info.start_time + round(1000 * record.seconds))
        return run_id

    def _tags(self, record: CellRecord) -> dict[str, str]:
        tags = {"mlflow.parentRunId": self.parent_id, STUDY: "cell", CELL_KEY: record.key, "outcome": record.outcome}
        behind = {name: str(value) for name, value in json.loads(record.provenance).items()}  # given here, MLflow writes all tags at once
        return tags | behind | ({"reason": record.reason} if record.reason else {})

    def _content(self, record: CellRecord, time: int) -> tuple[list[Metric], list[Param]]:
        from mlflow.entities import Metric, Param

        params = {name: getattr(record, name) for name in ("workload", "optimizer", "transform", "constants", "lr", "weight_decay", "seed", "steps")}
        params |= self._varied.get(record.setting, {})
        single = {name: getattr(record, name) for name in ("loss_initial", "loss_final", "diverged_step", "seconds")}
        single |= {f"{record.metric_name}_{which}": getattr(record, f"metric_{which}") for which in ("initial", "final", "best")}
        metrics = [Metric(name, float(value), time, 0) for name, value in single.items() if value is not None]
        for step, loss, metric in record.curve:
            metrics += [Metric(name, value, time, step) for name, value in (("loss", loss), (record.metric_name, metric)) if value is not None]
        seen = json.loads(record.dynamics)
        for name in ("grad_std", "scale") if seen else ():
            points = [(step, value) for step, value in zip(seen["step"], seen[name], strict=True) if value is not None]
            metrics += [Metric(name, value, time, step) for step, value in points[:: -(-len(points) // MOST_POINTS) or 1]]
        return metrics, [Param(name, str(value)) for name, value in params.items()]

    def finish(self, summary: Mapping[str, float], tags: Mapping[str, str], artifacts: Iterable[Path]) -> None:
        """Put the study's figures, tags and files on its parent run; folders are taken whole."""
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


def run_name(record: CellRecord, varied: Mapping[str, Any]) -> str:
    """What the run is called in the UI."""
    condition = "".join(f" {name}={value:g}" if isinstance(value, (int, float)) else f" {name}={value}" for name, value in varied.items())
    return f"{record.transform} lr={record.lr:.3g} wd={record.weight_decay:.3g}{condition} seed={record.seed}"


def write_ahead(path: Path) -> None:
    """Make MLflow's own database one that is written several times faster, by a write-ahead log that is not forced to disk run by run.

    A power cut may cost the last runs, never the database; the ledger has them, and the next launch or sync writes them again.
    """
    from sqlalchemy import Engine, event

    _written_ahead.add(str(path.resolve()))
    if not event.contains(Engine, "connect", _opened):
        event.listen(Engine, "connect", _opened)


def _opened(connection: Any, record: Any) -> None:
    if type(connection).__module__ == "sqlite3":
        (_, _, file), *_ = connection.execute("PRAGMA database_list").fetchall()
        if file in _written_ahead:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")


def quiet() -> None:
    """No telemetry, no log on a user's terminal (errors are raised, and told by the mirror), and patience of seconds instead of minutes with a dead server."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # a repeated POST would make a second run; the mirror tries again, and looks first
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
