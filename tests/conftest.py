"""A tighter world: one thread, no network trackers, homes of the tests' own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests import database
from tracking import mlflow_file

# Commands that the tests start inherit it. Threads spin while they wait for each other. On a busy machine of
# two cores a launch of 36 cells took 120 seconds of processor time, instead of 12.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
for name in ("STABILITY_STUDY_HOME", "STABILITY_STUDY_CLUSTER", "RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
    os.environ.pop(name, None)
# A shell's background jobs ignore SIGINT, and so would every command that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TINY = """
name: tiny
description: a study of seconds
workload: digits
model: mlp
optimizer: adamw
transforms: [none, unit_norm]
lr: [1e-3, 1e-2, 30]
weight_decay: [1e-2, 10]
seeds: 3
budget: {steps: 20, batch_size: 32, points: 2}
"""

ONE_CELL = (
    TINY.replace("[none, unit_norm]", "[none]")
    .replace("[1e-3, 1e-2, 30]", "[1e-3]")
    .replace("[1e-2, 10]", "[1e-2]")
    .replace("seeds: 3", "seeds: 1")
)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _one_migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """New databases of MLflow begin as copies of one, but for those of commands in processes of their own."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    os.environ["STABILITY_STUDY_CACHE"] = str(shared / "programs")

    def migrate(path: Path) -> None:
        if path.exists():
            database.migrate(path)  # one of another version
        else:
            database.begin(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "template", shared / "mlflow-template.db")
        patch.setattr(mlflow_file, "migrate", migrate)
        yield


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A spec file of 36 cells."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path
