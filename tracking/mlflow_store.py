"""A study in MLflow: one parent run per study, one nested run per cell."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tracking.mirror import ReplacedError
from tracking.mlflow_addresses import relocate
from tracking.mlflow_database import DatabaseRuns, write_ahead
from tracking.mlflow_file import Replaced, make_whole, replace_if_damaged
from tracking.mlflow_page import Page, Place
from tracking.mlflow_parent import Parent
from tracking.mlflow_runs import CELL_KEY, HOME, STUDY, ClientRuns, RunContent, Written
from tracking.record import CellRecord, tracked_as
from tracking.run_names import run_name

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
        replaced: called with what to tell the user when the embedded database could not be opened, was set
            aside, and another was made. Without it such a database is an error.
        home: whose runs these are in a tracker that several homes may share: its own parent run, its own
            cells, and runs that name no home. None takes all runs of the study for one home's.

    Raises:
        ReplacedError: the embedded database was found damaged later, and replaced; from any method.
        Exception: MLflow is unreachable, or its database cannot be opened.
    """

    def __init__(
        self,
        uri: str,
        study: str,
        artifacts: Path | None = None,
        varied: Mapping[str, Mapping[str, Any]] | None = None,
        replaced: Replaced | None = None,
        home: str | None = None,
    ) -> None:
        quiet()
        self._home = home
        self.study = study
        self._varied = varied or {}
        # An address with a query says more than a path: MLflow opens that, and this package looks away.
        self._file = Path(uri.removeprefix(EMBEDDED)) if uri.startswith(EMBEDDED) and "?" not in uri else None
        self._replaced = replaced
        if self._file:
            write_ahead(self._file)
            make_whole(self._file, replaced)
        with self._watched():
            self._open(uri, artifacts)

    def _open(self, uri: str, artifacts: Path | None) -> None:
        from mlflow.tracking import MlflowClient

        # A database elsewhere may be another home's, whose artifacts lie there and not here.
        if self._file and artifacts and self._file.resolve().parent == artifacts.resolve().parent:
            relocate(self._file, artifacts)
        self.client = MlflowClient(uri)
        experiment = self.client.get_experiment_by_name(self.study)
        if experiment is None:
            location = artifacts.resolve().as_uri() if artifacts and uri.startswith(EMBEDDED) else None
            self.experiment_id = self.client.create_experiment(self.study, artifact_location=location)
        else:
            self.experiment_id = experiment.experiment_id
            if experiment.lifecycle_stage == "deleted":
                self.client.restore_experiment(self.experiment_id)
        self._runs = self._opened()
        self.parent_id = self._parent()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Find out after a fault whether it comes from a damaged database, and replace that."""
        try:
            yield
        except Exception as error:
            # MLflow wraps sqlite's errors in several ways. The file itself says best whether it is damaged.
            if self._file and replace_if_damaged(self._file, self._replaced):
                raise ReplacedError(f"{self._file} was damaged, and replaced") from error
            raise

    def _opened(self) -> DatabaseRuns | ClientRuns:
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        store = self.client._tracking_client.store
        if isinstance(store, SqlAlchemyStore):
            return DatabaseRuns(
                store,
                self.client.get_experiment(self.experiment_id),
                ClientRuns(self.client, self.experiment_id, threads=1, home=self._home),
                self._home,
            )
        return ClientRuns(self.client, self.experiment_id, home=self._home)

    def _parent(self) -> str:
        tags = {STUDY: "parent"} | ({HOME: self._home} if self._home else {})
        found = self.client.search_runs([self.experiment_id], f"tags.{STUDY} = 'parent'")
        whose = {run.data.tags.get(HOME): str(run.info.run_id) for run in reversed(found)}
        if self._home is None and found:
            return str(found[0].info.run_id)
        if self._home in whose:
            return whose[self._home]
        if None in whose:  # of a version that named no home: the first that comes has it
            self.client.set_tag(whose[None], HOME, self._home)
            return whose[None]
        return str(self.client.create_run(self.experiment_id, run_name=self.study, tags=tags).info.run_id)

    def complete_runs(self) -> dict[str, str]:
        """Run ids of all complete cells, by cell key; runs that a crash left open or doubled are deleted."""
        complete: dict[str, str] = {}
        surplus: list[str] = []
        with self._watched():
            for key, run_id, finished in self._runs.listed():
                if finished and key not in complete:
                    complete[key] = run_id
                else:
                    surplus.append(run_id)
            for run_id in surplus:
                self.client.delete_run(run_id)
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
        with self._watched():
            yield from self._runs.write(contents, stop)

    def _content(self, record: CellRecord) -> RunContent:
        """What the run of a cell shows."""
        varied = self._varied.get(record.setting, {})
        tags = {"mlflow.parentRunId": self.parent_id, STUDY: "cell", CELL_KEY: record.key}
        if self._home:
            tags[HOME] = self._home
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
            name=storable(run_name(record, varied)),
            tags={name: storable(value) for name, value in tags.items()},
            params={name: storable(str(value)) for name, value in params.items()},
            metrics=[(name, float(value), step) for name, value, step in metrics if value is not None],
            start=start,
            end=start + round(1000 * record.seconds),
        )

    def finish(
        self,
        summary: Mapping[str, float],
        tags: Mapping[str, str],
        artifacts: Iterable[Path],
        page: Callable[[Place], Page] | None = None,
    ) -> None:
        """Put the study's figures, tags and files on its parent run, and folders with all they hold.

        Args:
            page: makes what the study shows of itself. It is written last, so that no link leads to a file
                that is not there.
        """
        with self._watched():
            parent = Parent(self.client, self.experiment_id, self.parent_id)
            parent.tell(summary, {name: storable(text) for name, text in tags.items()})
            self.put(artifacts)
            if page is not None:
                parent.describe(page)
            self.client.set_terminated(self.parent_id)

    def put(self, artifacts: Iterable[Path], run_id: str | None = None) -> None:
        """Put files on a run; None stands for the parent run."""
        run_id = run_id or self.parent_id
        if self._file:
            from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

            # MLflow's client remembers where a run's files are by its id alone, for all databases of a
            # process. After a home was copied, it would write the copy's files into the original.
            place = get_artifact_repository(self.client.get_run(run_id).info.artifact_uri)
            one, many = place.log_artifact, place.log_artifacts
        else:
            one = partial(self.client.log_artifact, run_id)
            many = partial(self.client.log_artifacts, run_id)
        for path in artifacts:
            if path.is_dir():
                many(str(path), path.name)
            else:
                one(str(path))


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


def storable(text: str) -> str:
    """A text that every database takes: PostgreSQL has no character 0, which a traceback may hold.

    Example:
        >>> storable("found \\0")
        'found \\\\0'
    """
    return text.replace("\0", "\\0")


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
