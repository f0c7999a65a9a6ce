"""`study sync`: MLflow brought up to the ledger, without training."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from study.home import Home
from study.plan.cells import make_plan
from study.spec.read import read_spec
from tests.command import answer, runs, stored, study
from tests.conftest import TINY
from tracking import Ledger


def test_sync_mends_what_mlflow_lacks(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs that were deleted, left open or doubled: each stored cell has one finished run again."""
    from mlflow.tracking import MlflowClient

    home = tmp_path / "home"
    assert (
        study("launch", str(tiny), "--home", str(home), "--here", "--tracking-uri", "http://127.0.0.1:9") == 0
    )
    code, (synced,) = answer(capsys, "sync", str(tiny), "--home", str(home))
    assert code == 0
    assert synced == {
        "study": "tiny",
        "stored": 36,
        "mlflow_runs": 36,
        "mlflow_trouble": None,
        "complete": True,
    }
    client, before = MlflowClient(Home(home).mlflow_uri), runs(home)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    (parent,) = client.search_runs([experiment.experiment_id], "tags.stability_study = 'parent'")
    artifacts = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"claims.md", "report.html"} <= artifacts
    first, second, third = client.search_runs(
        [experiment.experiment_id], "tags.stability_study = 'cell'", max_results=3
    )
    client.delete_run(first.info.run_id)
    client.create_run(
        experiment.experiment_id, tags={"stability_study": "cell", "cell_key": second.data.tags["cell_key"]}
    )
    double = client.create_run(
        experiment.experiment_id, tags={"stability_study": "cell", "cell_key": third.data.tags["cell_key"]}
    )
    client.set_terminated(double.info.run_id)
    code, found = answer(capsys, "sync", "--home", str(home))
    assert (code, len(found)) == (0, 1)
    assert set(runs(home)) == set(before)
    assert set(runs(home).values()) == {"FINISHED"}
    assert stored(home) == 36


def test_sync_of_several_studies(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a spec every study of the home is brought up, as it was last launched."""
    home, other = tmp_path / "home", tmp_path / "other.yaml"
    other.write_text(
        TINY.replace("name: tiny", "name: other").replace(
            "[none, unit_norm]", "[none, {name: clip_norm, max_norm: 0.5}]"
        )
    )
    for spec in (tiny, other):
        assert (
            study("launch", str(spec), "--home", str(home), "--here", "--tracking-uri", "http://127.0.0.1:9")
            == 0
        )
    code, found = answer(capsys, "sync", "--home", str(home))
    assert code == 0
    assert [(one["study"], one["mlflow_runs"]) for one in found] == [("tiny", 36), ("other", 36)]


def test_sync_without_a_tracker_or_a_home(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unreachable tracker is named, with exit 3; a missing home is wrong input, and is not made."""
    home = tmp_path / "home"
    assert study("sync", str(tiny), "--home", str(home)) == 2
    assert "launch a study first" in capsys.readouterr().err
    assert not home.exists()
    assert (
        study("launch", str(tiny), "--home", str(home), "--here", "--tracking-uri", "http://127.0.0.1:9") == 0
    )
    code, (synced,) = answer(
        capsys, "sync", str(tiny), "--home", str(home), "--tracking-uri", "http://127.0.0.1:9"
    )
    assert (code, synced["mlflow_runs"], synced["complete"]) == (3, 0, False)
    assert synced["mlflow_trouble"]


TERM, TERM_HERE, KILL = (signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGKILL, True)
"""What stops a launch, and whether it trains without Ray."""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "stops",
    [
        pytest.param((TERM_HERE, KILL), id="SIGTERM"),
        # Each start of Ray takes the gate a minute.
        pytest.param(((signal.SIGINT, False), TERM, KILL), id="all", marks=pytest.mark.long),
    ],
)
def test_a_stopped_launch_goes_on(
    stops: tuple[tuple[signal.Signals, bool], ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C, SIGTERM as schedulers send it, and SIGKILL: what finished is kept, and the rest is trained.

    The others end with exit code 3. Numbers are those of a launch that nothing disturbed.
    """
    spec, home, calm = tmp_path / "long.yaml", tmp_path / "home", tmp_path / "calm"
    # Long enough that a busy machine stops it before its last cell.
    text = TINY.replace("steps: 20", "steps: 400").replace("budget:", "workers: {tile: 2}\nbudget:")
    spec.write_text(text)
    words = ["launch", str(spec), "--home", str(home), "--json"]
    for number, here in stops:
        before = stored(home)
        process = subprocess.Popen(
            [sys.executable, "-m", "study.cli", *words, *(["--here"] if here else [])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and stored(home) == before:
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert before < stored(home) < 36
        if number is not signal.SIGKILL:
            assert process.returncode == 3, err
            assert json.loads(out)["interrupted"]
    kept = stored(home)
    _, ended = answer(capsys, *words[:-1], "--here")
    assert isinstance(ended, dict)
    assert ended["trained_now"] == 36 - kept
    assert len(runs(home)) == 36
    assert study("launch", str(spec), "--home", str(calm), "--here") == 0
    assert cells(home) == cells(calm)


def cells(home: Path) -> dict[str, object]:
    """The curve of each stored cell of the study, by key."""
    ledger = Ledger(Home(home).ledger, create=False)
    keys = make_plan(read_spec(str(home.parent / "long.yaml")), ledger.fingerprints("tiny")).keys
    return {key: record.curve for key, record in ledger.get(keys).items()}
