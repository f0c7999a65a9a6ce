"""Zooms: a fine window trained from coarse to fine, drawn, measured, and kept apart from studies."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from study.home import Home
from study.plan.cells import make_plan
from study.plan.window import levels, window_of, zoom_plan
from study.run import pool
from study.run.zoom import zooms_of
from study.spec.read import read_spec
from tests.command import answer, study
from tests.conftest import TINY
from tests.making import RECORD, every_format
from tests.study.report.pictures import inked
from tracking import CellRecord, Ledger
from tracking.record import IDENTITY

WINDOW = ("--transform", "none", "--lr", "0.01", "10", "--weight-decay", "0.01", "10")


def diverges(lr: float, weight_decay: float) -> bool:
    """Beyond a curve with a hole in it."""
    x, y = np.log10(lr), np.log10(weight_decay)
    return bool(x > 0.2 * np.sin(3 * y) - 0.5 and (x - 0.3) ** 2 + y**2 > 0.02)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A study whose tiles need no measuring."""
    path = tmp_path / "tiny.yaml"
    path.write_text(f"{TINY}workers: {{tile: 256}}\n")
    return path


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The keys of all cells that are trained, in their order; their numbers are planted."""
    seen: list[str] = []

    def run_job(job: Any, **_: Any) -> list[CellRecord]:
        found = []
        for cell in job.tile.cells:
            seen.append(cell.key)
            gone = diverges(cell.lr, cell.weight_decay)
            facts = {name: getattr(cell, name) for name in IDENTITY} | {"constants": "{}"}
            facts |= {
                name: getattr(RECORD, name) for name in CellRecord.__dataclass_fields__ if name not in facts
            }
            facts |= {"outcome": "diverged", "diverged_step": 3} if gone else {}
            facts["curve"] = ((0, 2.3, 0.1), (10, 2.3 * (cell.lr if gone else 0.1), 0.9))
            found.append(CellRecord(**facts))
        return found

    monkeypatch.setattr(pool, "run_job", run_job)
    return seen


def zoom(spec: Path, home: Path, points: int, *more: str) -> int:
    return study("zoom", str(spec), *WINDOW, "--points", str(points), "--home", str(home), "--here", *more)


def pictures(home: Path, kind: str) -> list[Path]:
    return sorted(Home(home).exports("tiny").glob(f"zooms/*.{kind}"))


def test_rounds_go_from_coarse_to_fine(tiny: Path) -> None:
    """Each round is whole at its stride, no cell is in two, and the first is 16 × 16."""
    spec = read_spec(str(tiny))
    window = window_of(spec, "none", (0.01, 10), (0.01, 10), 64)
    plan = zoom_plan(spec, window, {})
    seen: list[str] = []
    for stride, part in levels(plan, window):
        seen += part.keys
        assert len(seen) == (64 // stride) ** 2
    assert Counter(seen) == Counter(plan.keys)


def test_cells_are_the_studys_own(tiny: Path) -> None:
    """At a learning rate and a weight decay of the study the key is that of the study's cell."""
    spec = read_spec(str(tiny))
    window = window_of(spec, "unit_norm", (1e-3, 1), (1e-2, 1), 16, seed=2)
    own = {(one.transform, one.lr, one.weight_decay, one.seed): one.key for one in make_plan(spec, {}).cells}
    assert zoom_plan(spec, window, {}).cells[0].key == own["unit_norm", 1e-3, 1e-2, 2]


def test_a_coarse_picture_is_a_part_of_a_finer_one(tiny: Path) -> None:
    """The points of 16 are to the last bit among those of 64, so that nothing is trained again for it."""
    spec = read_spec(str(tiny))
    few, many = (zoom_plan(spec, window_of(spec, "none", (0.013, 7), (0.1, 3), n), {}) for n in (16, 64))
    assert set(few.keys) < set(many.keys)


def test_a_zoom_is_drawn_measured_and_kept_apart(
    trained: list[str], tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pictures, tables and one MLflow run come out; the study has no cell, and its ledger none."""
    import pandas as pd
    from mlflow.tracking import MlflowClient

    home = tmp_path / "home"
    with every_format():
        code, said = answer(
            capsys, "zoom", str(tiny), *WINDOW, "--points", "16", "--home", str(home), "--here"
        )
    assert isinstance(said, dict)
    assert code == 0, said
    assert len(trained) == len(set(trained)) == 256
    assert [Path(file).suffix for file in said["files"]] == [
        ".png",
        ".svg",
        ".pdf",
        ".parquet",
        ".csv",
        ".json",
    ]
    cells = pd.read_parquet(pictures(home, "parquet")[0])
    wanted = [diverges(*pair) for pair in zip(cells.lr, cells.weight_decay, strict=True)]
    assert (cells.outcome == "diverged").tolist() == wanted
    assert json.loads(pictures(home, "json")[0].read_text())["cells"]["diverged"] == sum(wanted)
    assert said["dimension"]["boxes"] == {
        "value": None,
        "reason": "needs 128 points along each axis, found 16",
    }
    assert not list(Home(home).exports("tiny").glob("zooms/.*"))
    # In a study's own counts there is nothing.
    _, status = answer(capsys, "status", str(tiny), "--home", str(home))
    assert isinstance(status, dict)
    assert (status["pending"], status["not_asked"]) == (36, 0)
    client = MlflowClient(Home(home).mlflow_uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.tags["stability_study"] for run in runs) == ["parent", "zoom"]
    (shown,) = (run for run in runs if run.data.tags["stability_study"] == "zoom")
    assert shown.data.metrics["cells_diverged"] == sum(wanted)
    assert len(client.list_artifacts(shown.info.run_id)) == 6
    # A second time nothing is trained, and the run is the same.
    assert zoom(tiny, home, 16) == 0
    assert len(trained) == 256
    assert len(client.search_runs([experiment.experiment_id])) == 2


def test_it_goes_on_after_an_interruption(
    trained: list[str], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C leaves what finished and a picture of it, exit 3; the same command trains the rest alone."""
    home, add = tmp_path / "home", Ledger.add

    def interrupted(self: Ledger, records: Any) -> int:
        done = add(self, records)
        if len(trained) > 300:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "add", interrupted)
        assert zoom(tiny, home, 32) == 3
    assert 300 < len(trained) < 1024
    assert inked(*pictures(home, "png"))
    assert not pictures(home, "json")
    assert zoom(tiny, home, 32) == 0
    assert len(trained) == len(set(trained)) == 1024
    with closing(Ledger(zooms_of(Home(home)).ledger, create=False)) as ledger:
        assert ledger.outcomes().keys() == set(trained)


def test_ctrl_c_on_a_full_disk_is_told(
    trained: list[str],
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where the picture so far cannot be written one line says so, and what finished is stored."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    home = tmp_path / "home"
    monkeypatch.setattr("study.run.zoom.progress_picture", full)
    with monkeypatch.context() as patch:
        patch.setattr("study.run.zoom.ZoomDisplay.add", interrupted)
        assert zoom(tiny, home, 32) == 1
    said = capsys.readouterr().err
    assert "cannot be written (No space left on device); what finished is stored: make room" in said
    assert "Traceback" not in said
    with closing(Ledger(zooms_of(Home(home)).ledger, create=False)) as ledger:
        assert ledger.outcomes().keys() == set(trained)


def test_a_damaged_record_is_told_and_trained_again(
    trained: list[str],
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As a launch does, a zoom names what it sets aside."""
    home = tmp_path / "home"
    for name in ("zoom_files", "progress_picture", "_shown"):
        monkeypatch.setattr(f"study.run.zoom.{name}", lambda *_: ())
    assert zoom(tiny, home, 16) == 0
    with sqlite3.connect(zooms_of(Home(home)).ledger) as connection:
        connection.execute("UPDATE cells SET seconds = seconds + 1 WHERE key = ?", trained[:1])
    capsys.readouterr()
    assert zoom(tiny, home, 16) == 0
    said = capsys.readouterr().out
    assert f"the record of cell {trained[0]} is damaged" in said
    assert "they were set aside, and these cells are trained again" in said
    assert trained[256:] == trained[:1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"--lr": ("1", "0.1")}, "low end first"),
        ({"--lr": ("1", "1")}, "low end first"),
        ({"--lr": ("nan", "1")}, "finite"),
        ({"--weight-decay": ("0", "1")}, "above 0"),
        ({"--weight-decay": ("-1", "1")}, "above 0"),
        ({"--weight-decay": ("1", "inf")}, "finite"),
        ({"--lr": ("1", "1.0000000000000004")}, "too near"),
        ({"--points": ("100",)}, "a power of two: 16, 32, 64, 128, 256, 512, 1024"),
        ({"--points": ("8",)}, "a power of two"),
        ({"--transform": ("non",)}, "it has: none, unit_norm; did you mean 'none'?"),
        ({"--setting": ("vision",)}, "digits/mlp · adamw"),
        ({"--seed": ("-1",)}, "from 0 on"),
    ],
)
def test_wrong_windows(
    words: dict[str, tuple[str, ...]],
    said: str,
    tiny: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each is one sentence and exit 2, and nothing is left behind."""
    asked = {
        "--transform": ("none",),
        "--lr": ("0.1", "1"),
        "--weight-decay": ("0.1", "1"),
        "--points": ("16",),
        **words,
    }
    options = [part for option, values in asked.items() for part in (option, *values)]
    home = tmp_path / "home"
    assert study("zoom", str(tiny), *options, "--home", str(home), "--here") == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not home.exists()
