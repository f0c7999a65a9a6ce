"""Which runs MLflow's own database has, read without MLflow and without changing anything."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from tracking.mlflow_file import MlflowFileError
from tracking.mlflow_page import CELLS, VIEW
from tracking.mlflow_runs import CELL_KEY, STUDY

WAIT = 20.0
"""How long a statement waits for another process's [s]."""


@dataclass(frozen=True)
class StoredRun:
    """A run of a cell, as it stands in the database."""

    study: str
    key: str
    finished: bool


def stored_runs(at: str) -> list[StoredRun]:
    """Every run of a cell that was not deleted.

    Args:
        at: address of the database for sqlite.

    Raises:
        MlflowFileError: it cannot be read.
    """
    return [
        StoredRun(study, key, status != "RUNNING")
        for study, key, status in _read(
            at,
            "SELECT e.name, cell.value, r.status FROM runs r "
            "JOIN experiments e ON e.experiment_id = r.experiment_id "
            "JOIN tags kind ON kind.run_uuid = r.run_uuid AND kind.key = ? AND kind.value = 'cell' "
            "JOIN tags cell ON cell.run_uuid = r.run_uuid AND cell.key = ? "
            "WHERE r.lifecycle_stage = 'active'",
            (STUDY, CELL_KEY),
        )
    ]


def parents(at: str) -> list[tuple[str, str, str]]:
    """(study, run id, address of its files) of every study's parent run.

    Raises:
        MlflowFileError: the database cannot be read.
    """
    return _read(
        at,
        "SELECT e.name, r.run_uuid, r.artifact_uri FROM runs r "
        "JOIN experiments e ON e.experiment_id = r.experiment_id "
        "JOIN tags kind ON kind.run_uuid = r.run_uuid AND kind.key = ? AND kind.value = 'parent' "
        "WHERE r.lifecycle_stage = 'active'",
        (STUDY,),
    )


def pages(at: str) -> list[tuple[str, str, bool]]:
    """(study, its experiment's id, whether it has a view of its runs) of every study, the latest first.

    Raises:
        MlflowFileError: the database cannot be read.
    """
    found = _read(
        at,
        "SELECT e.name, e.experiment_id, MAX(view.key IS NOT NULL), MAX(r.start_time) FROM runs r "
        "JOIN experiments e ON e.experiment_id = r.experiment_id AND e.lifecycle_stage = 'active' "
        "JOIN tags kind ON kind.run_uuid = r.run_uuid AND kind.key = ? AND kind.value = 'parent' "
        "LEFT JOIN experiment_tags view ON view.experiment_id = e.experiment_id AND view.key = ? "
        "WHERE r.lifecycle_stage = 'active' GROUP BY e.experiment_id ORDER BY MAX(r.start_time) DESC",
        (STUDY, f"{VIEW}{CELLS}"),
    )
    return [(name, str(experiment), bool(view)) for name, experiment, view, _ in found]


def _read(at: str, query: str, values: tuple[str, ...]) -> list[Any]:
    try:
        with closing(sqlite3.connect(at, uri=True, timeout=WAIT)) as connection:
            return connection.execute(query, values).fetchall()
    except sqlite3.DatabaseError as error:
        raise MlflowFileError(f"its runs cannot be listed ({error})") from error
