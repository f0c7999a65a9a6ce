"""The command line, run inside of the tests' own process."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from study.cli import main
from study.home import Home


def study(*words: str, capsys: pytest.CaptureFixture[str] | None = None) -> int:
    """Run a command of the command line in this process and return its exit code."""
    old, sys.argv = sys.argv, ["study", *words]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = old
    return 0


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, object]:
    capsys.readouterr()
    code = study(*words, "--json")
    return code, json.loads(capsys.readouterr().out)


def runs(home: Path) -> dict[str, str]:
    """Status of every MLflow run of a cell, by key; fails when a cell has two."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(Home(home).mlflow_uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], "tags.stability_study = 'cell'")
    keys = [run.data.tags["cell_key"] for run in found]
    assert len(keys) == len(set(keys))
    return {run.data.tags["cell_key"]: run.info.status for run in found}


def stored(home: Path) -> int:
    """Cells in the ledger of a home."""
    import sqlite3

    if not Home(home).ledger.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{Home(home).ledger}?mode=ro", uri=True) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM cells").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
