"""A study of a function of the user's own: launched, killed, launched again, analysed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.command import study
from tests.pages import ROOT

COUNTS = """
import os
import time
from pathlib import Path

HERE = Path(__file__).parent


def train(cell):
    with (HERE / "calls").open("a") as calls:
        calls.write(f"{cell.lr} {cell.seed} {cell.transform} {os.getpid()}\\n")
    if cell.seed == 1 and (HERE / "wait").exists():
        time.sleep(1000)
    if cell.seed == 2 and cell.lr == 0.1:
        os._exit(0)
    cell.report(step=20, loss=1.0)
    return {"accuracy": 0.5 + cell.lr + 0.01 * cell.seed}
"""
SPEC = """
name: counts
workload: {function: "counts:train", metric: accuracy, direction: max, paired: false, untrained: 0.1}
transforms: [none, gradient_stabilizer]
lr: [0.1, 0.2]
weight_decay: [0]
seeds: 3
budget: {steps: 20, batch_size: 32}
"""


def calls(folder: Path) -> list[list[str]]:
    found = folder / "calls"
    return [line.split() for line in found.read_text().splitlines()] if found.exists() else []


def test_a_killed_study_goes_on_without_training_a_cell_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After SIGKILL the cell in training ends too, and the next launch trains what is not stored, once.

    A cell that fails is in the ledger with its reason and its log, and the launch says so. What the function
    does not tell, no claim is decided by.
    """
    (tmp_path / "counts.py").write_text(COUNTS)
    (tmp_path / "own.yaml").write_text(SPEC)
    (tmp_path / "wait").touch()
    spec, home = str(tmp_path / "own.yaml"), str(tmp_path / "home")
    launch = subprocess.Popen(
        [sys.executable, "-m", "study.cli", "launch", spec, "--home", home, "--here"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while len(calls(tmp_path)) < 5 and time.monotonic() < deadline and launch.poll() is None:
        time.sleep(0.05)
    launch.kill()
    launch.wait()
    *_, (_, seed, _, cell) = before = calls(tmp_path)
    assert (len(before), seed) == (5, "1")
    while Path(f"/proc/{cell}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{cell}").exists()
    (tmp_path / "wait").unlink()
    assert study("launch", spec, "--home", home, "--here") == 3
    assert "ended Python by itself" in capsys.readouterr().out
    times = Counter(tuple(call[:3]) for call in calls(tmp_path))
    again = before[-1][:3]
    assert len(times) == 12
    assert {call for call, count in times.items() if count > 1} == {tuple(again)}
    assert study("status", spec, "--home", home) == 3
    shown = capsys.readouterr().out
    assert "10 finished, 0 diverged, 2 failed, 0 pending" in shown
    assert "its output is in" not in shown  # it printed nothing
    measured = json.loads((tmp_path / "home" / "exports" / "counts" / "regions.json").read_text())
    assert "loss before training" in measured[0]["lr_sensitivity"]["reason"]
