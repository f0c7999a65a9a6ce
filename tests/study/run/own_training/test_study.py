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

from study.errors import UserError
from study.plan.cells import make_plan
from study.run.data import fingerprints_of_data
from study.run.pool import in_this_process
from study.run.tile import Checkpoints
from study.run.tile_log import TileLogs
from study.spec.read import read_spec
from tests.command import study
from tests.pages import ROOT
from tracking import CellRecord

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


@pytest.mark.long  # two launches; the test below trains through the same pool
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


def test_a_pool_trains_cells_and_hands_failed_ones_on(tmp_path: Path) -> None:
    """A launch's pool gives one record per cell, failed ones too, and what a cell prints is in its log."""
    (tmp_path / "counts.py").write_text(COUNTS.replace("os._exit(0)", 'raise ValueError(print("seen"))'))
    (tmp_path / "own.yaml").write_text(SPEC)
    spec = read_spec(str(tmp_path / "own.yaml"), runs=True)
    plan = make_plan(spec, fingerprints_of_data(spec))
    jobs, found = plan.jobs(plan.cells, dict.fromkeys(plan.settings, 1)), list[CellRecord]()
    logs = TileLogs(tmp_path / "logs")
    with in_this_process(Checkpoints(tmp_path, 60.0), logs) as pool:
        assert pool.train(jobs, found.extend) == []
    assert Counter(record.outcome for record in found) == {"finished": 10, "failed": 2}
    failed = [job for job, record in zip(jobs, found, strict=True) if record.failed]
    assert all("seen" in logs.tail(job.tile) for job in failed)
    assert len(calls(tmp_path)) == len(plan.cells) == 12
    assert any("not paired" in line for line in spec.warnings)


def test_a_name_is_printed_as_it_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`counts:train:` in a sentence is no picture of a train, which a terminal's library would make of it."""
    (tmp_path / "counts.py").write_text(COUNTS)
    (tmp_path / "own.yaml").write_text(SPEC)
    assert study("plan", str(tmp_path / "own.yaml"), "--home", str(tmp_path / "home")) == 0
    assert "untrained_loss of counts:train: unless" in capsys.readouterr().out


def test_a_shipped_function_is_found_beside_its_spec() -> None:
    """The module that a shipped spec names is the package's own, and needs no extra until a cell trains."""
    spec = read_spec("stabilizer-half-cheetah", runs=True)
    assert spec.workload[0].source
    assert list(fingerprints_of_data(spec)) == ["half_cheetah:train"]


def test_a_module_that_trains_or_ends_when_imported_is_refused(tmp_path: Path) -> None:
    """It is imported in a process of its own, before anything is written, and the reason is one sentence."""
    trains = (
        "import torch\nw = torch.nn.Parameter(torch.zeros(1)); w.grad = w.data\n"
        "torch.optim.SGD([w], lr=1.0).step()\ndef train(cell): pass\n"
    )
    modules = {
        "trains": (trains, "it trains while it is imported"),
        "ends": ("import os\nos._exit(0)\ndef train(cell): pass\n", "exit status"),
        "raises": ("import nothing_of_that_name\ndef train(cell): pass\n", "No module named"),
        "takes": ("def train(cell, more): pass\n", "cannot be called with one argument"),
    }
    for name, (text, why) in modules.items():
        (tmp_path / f"{name}.py").write_text(text)
        (tmp_path / "own.yaml").write_text(SPEC.replace("counts:train", f"{name}:train"))
        with pytest.raises(UserError) as error:
            fingerprints_of_data(read_spec(str(tmp_path / "own.yaml"), runs=True))
        (line,) = str(error.value).splitlines()
        assert why in line
