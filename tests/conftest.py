"""A tighter world: one thread, no network trackers, homes of the tests' own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
for name in ("STABILITY_STUDY_HOME", "RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
    os.environ.pop(name, None)
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # a shell's background jobs ignore it, and so would every command that the tests interrupt
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


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A spec file of 36 cells."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path
