"""The main road, for real: train, store, show, analyse, go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from study.analysis import Analysis
from study.errors import UserError
from study.home import Home
from study.run.launch import launch
from study.run.launch_options import LaunchOptions
from study.spec.read import parse_spec
from tests.command import answer, runs, stored, study
from tests.conftest import ONE_CELL, TINY
from tests.listening import addresses
from tests.making import every_format
from tracking import Ledger

FILES = (
    *("cells.parquet", "cells.csv", "regions.json", "claims.json", "claims.md"),
    *("report.html", "provenance.json"),
)


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny study that was trained in this process: its spec and its home."""
    folder = tmp_path_factory.mktemp("launched")
    spec = folder / "tiny.yaml"
    spec.write_text(TINY)
    with every_format():
        assert study("launch", str(spec), "--home", str(folder / "home"), "--here") == 0
    return spec, folder / "home"


def test_everything_is_stored_and_shown(
    launched: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """36 cells are in the ledger and in MLflow, pictures on the parent run, an Optuna study per transform."""
    import optuna
    from mlflow.tracking import MlflowClient

    spec, home = launched
    code, status = answer(capsys, "status", str(spec), "--home", str(home))
    assert code == 0
    assert isinstance(status, dict)
    assert status["cells"] == 36
    assert status["complete"]
    assert status["diverged"] > 0
    assert set(runs(home).values()) == {"FINISHED"}
    assert len(runs(home)) == 36
    client = MlflowClient(Home(home).mlflow_uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    (parent,) = client.search_runs([experiment.experiment_id], "tags.stability_study = 'parent'")
    assert parent.info.status == "FINISHED"
    assert {Path(file.path).suffix for file in client.list_artifacts(parent.info.run_id, "heatmaps")} == {
        ".png",
        ".svg",
        ".pdf",
        ".csv",
    }
    assert parent.data.tags["claim.stabilizer-widens-lr"] == "not decidable"
    names = optuna.get_all_study_names(f"sqlite:///{Home(home).optuna('tiny')}")
    assert sorted(names) == ["digits/mlp · adamw · none", "digits/mlp · adamw · unit_norm"]


def test_launching_again_trains_nothing(
    launched: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command on a finished study trains no cell and adds no run."""
    spec, home = launched
    before = runs(home)
    code, ended = answer(capsys, "launch", str(spec), "--home", str(home), "--here")
    assert code == 0
    assert isinstance(ended, dict)
    assert ended["trained_now"] == 0
    assert ended["mlflow_runs"] == 36
    assert runs(home) == before
    assert [one["transform"] for one in ended["best"]] == ["none", "unit_norm"]
    assert list(ended)[-1] == "best"


def test_launching_again_draws_nothing_that_is_there(
    launched: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A finished study keeps its files and MLflow its copies; what somebody changed is drawn again."""
    spec, home = launched
    again = ("launch", str(spec), "--home", str(home), "--here")
    folder = Home(home).exports("tiny")
    picture = next((folder / "heatmaps").glob("*.png"))
    (copy,) = Home(home).mlflow_artifacts.glob(f"*/artifacts/heatmaps/{picture.name}")

    def files() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (picture, copy, folder / "cells.csv")}

    before = files()
    capsys.readouterr()
    assert study(*again) == 0
    said = capsys.readouterr().out
    in_order(said, "36 stored, nothing to train", "of 36 cells are there, and are not drawn again")
    assert "writing files to MLflow" not in said
    assert files() == before
    # Its copy in MLflow alone: that is put there again, and nothing is drawn.
    copy.write_bytes(b"cut short")
    assert study(*again) == 0
    assert copy.read_bytes() == picture.read_bytes()
    assert files() | {copy: 0} == before | {copy: 0}
    picture.unlink()
    assert study(*again) == 0
    assert all(new > before[path] for path, new in files().items())


def test_claims_are_told_before_files_are_drawn_which_need_no_reader(tmp_path: Path) -> None:
    """Whoever is told may be gone (`| head`): the error is theirs, and the files are there."""
    told: list[bool] = []

    def gone(analysis: Analysis) -> None:
        told.append((tmp_path / "home" / "exports" / "one").exists())
        assert analysis.claims
        raise BrokenPipeError

    spec = parse_spec(ONE_CELL.replace("name: tiny", "name: one"))
    with pytest.raises(BrokenPipeError):
        launch(spec, Home(tmp_path / "home"), Console(quiet=True), LaunchOptions(here=True), judged=gone)
    assert told == [False]
    assert (tmp_path / "home" / "exports" / "one" / "report.html").is_file()


def test_export_and_analyse(
    launched: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every file is there, has the agreed columns and fields, and the heatmap is a picture with ink in it."""
    import numpy as np
    import pandas as pd
    from matplotlib.image import imread

    spec, home = launched
    out = tmp_path / "out"
    code, written = answer(capsys, "export", str(spec), "--home", str(home), "--out", str(out))
    assert code == 0
    assert isinstance(written, list)
    assert all(Path(path).stat().st_size > 0 for path in written)
    assert all((out / name).exists() for name in FILES)
    cells = pd.read_parquet(out / "cells.parquet")
    wanted = (
        "key workload optimizer transform constants lr weight_decay seed outcome reason diverged_step steps "
        "loss_initial loss_final metric_name metric_initial metric_final metric_best seconds"
    )
    assert list(cells.columns) == wanted.split()
    assert len(cells) == 36
    assert set(cells.outcome) == {"finished", "diverged"}
    assert cells.key.is_unique
    claims = json.loads((out / "claims.json").read_text())
    assert {
        "id",
        "claim",
        "source",
        "measure",
        "unit",
        "estimate",
        "interval",
        "confidence",
        "n_seeds",
        "threshold",
        "verdict",
        "reason",
        "cells",
    } <= set(claims[0])
    regions = json.loads((out / "regions.json").read_text())
    assert [entry["transform"] for entry in regions] == ["none", "unit_norm"]
    picture = imread(next((out / "heatmaps").glob("*.png")))
    assert np.unique(picture.reshape(-1, picture.shape[-1]), axis=0).shape[0] > 20
    code, analysed = answer(capsys, "analyse", str(spec), "--home", str(home))
    assert code == 0
    assert isinstance(analysed, dict)
    assert analysed["claims"] == claims
    assert analysed["best"][0]["lr"] in set(cells.lr)
    assert list(analysed)[-1] == "best"


def test_dynamics_reach_the_table(tmp_path: Path) -> None:
    """A budget that records dynamics adds their columns to the exported cells, and their curves to MLflow."""
    import pandas as pd
    from mlflow.tracking import MlflowClient

    spec, home = tmp_path / "dynamics.yaml", tmp_path / "home"
    spec.write_text(
        TINY.replace("steps: 20", "steps: 20, dynamics: 5").replace("[none, unit_norm]", "[none, autoscale]")
    )
    assert study("launch", str(spec), "--home", str(home), "--here") == 0
    cells = pd.read_parquet(Home(home).exports("tiny") / "cells.parquet")
    seen = cells[cells.outcome == "finished"]
    assert (seen[seen["transform"] == "none"].scale_max == 1).all()
    assert (seen[seen["transform"] == "autoscale"].scale_max != 1).all()
    assert seen.scale_above_one.between(0, 1).all()
    # A cell that finished has the whole curve.
    run_id = Ledger(Home(home).ledger).runs("tiny", Home(home).mlflow_uri)[seen.key.iloc[0]]
    assert [m.step for m in MlflowClient(Home(home).mlflow_uri).get_metric_history(run_id, "grad_std")][
        :2
    ] == [1, 6]


def test_one_lr_from_the_spec_to_the_picture(
    launched: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The cell at lr 0.01 has the same number in the ledger, in MLflow and in the landscape that is drawn."""
    from mlflow.tracking import MlflowClient

    from study.spec.read import read_spec
    from study.stored import read

    spec, home = launched
    analysis = read(read_spec(str(spec)), Home(home))
    cell = next(
        c
        for c in analysis.plan.cells
        if c.lr == 0.01 and c.weight_decay == 0.01 and c.seed == 1 and c.transform == "unit_norm"
    )
    value = analysis.stored[cell.key].metric_final
    ledger = Ledger(Home(home).ledger, create=False)
    client = MlflowClient(Home(home).mlflow_uri)
    assert (
        client.get_run(ledger.runs("tiny", Home(home).mlflow_uri)[cell.key]).data.metrics["accuracy_final"]
        == value
    )
    landscape = analysis.landscapes[1]
    assert landscape.metric_SWL[1, landscape.weight_decay.index(0.01), landscape.lr.index(0.01)] == value


def test_a_new_seed_trains_only_itself(
    launched: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Adding a transform to a spec trains that transform's cells alone."""
    spec, home = launched
    wider = tmp_path / "wider.yaml"
    wider.write_text(
        spec.read_text()
        .replace("[none, unit_norm]", "[none, unit_norm, zscore]")
        .replace("name: tiny", "name: wider")
    )
    code, planned = answer(capsys, "plan", str(wider), "--home", str(home))
    assert isinstance(planned, dict)
    assert (code, planned["cells"], planned["stored"], planned["to_train"]) == (0, 54, 36, 18)
    assert planned["estimate_is_measured"]


@pytest.mark.timeout(600)
def test_through_ray(
    tiny: Path, tmp_path: Path, launched: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Ray's workers give bitwise the numbers of this process, and listen on the loopback interface alone.

    Progress goes to standard error all the while.
    """
    home = tmp_path / "home"
    command = [sys.executable, "-m", "study.cli", "launch", str(tiny), "--home", str(home), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    listening: set[str] = set()
    deadline = time.monotonic() + 400
    while process.poll() is None and time.monotonic() < deadline:
        listening |= addresses(process.pid)
        time.sleep(0.5)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 0, err
    assert listening, "Ray was never seen to listen, so that the next line says nothing"
    assert all(address.endswith("127.0.0.1") or address == "::1" for address in listening), listening
    assert json.loads(out)["trained_now"] == 36
    in_order(
        err,
        f"reading {tiny}",
        "starting Ray",
        "loading digits/mlp",
        "tiny: 36 cells, 0 stored, 36 to train",
        "measuring how many cells of digits/mlp are best trained together",
        "training 36 cells in 6 tiles",
        "/36 cells done",
        "analysing 36 cells",
        "writing files to MLflow",
    )
    here, there = Ledger(Home(launched[1]).ledger, create=False), Ledger(Home(home).ledger, create=False)
    from study.plan.cells import make_plan
    from study.spec.read import read_spec

    keys = make_plan(read_spec(str(tiny)), there.fingerprints("tiny")).keys
    a, b = here.get(keys), there.get(keys)
    assert len(a) == len(b) == 36
    assert all(a[key].curve == b[key].curve and a[key].outcome == b[key].outcome for key in keys)


def in_order(said: str, *words: str) -> None:
    """Fail where one of these is not said after the one before it."""
    for one in words:
        assert one in said, one
        said = said.partition(one)[2]


@pytest.mark.timeout(600)
def test_interrupt_keeps_what_finished(tmp_path: Path) -> None:
    """Ctrl-C during a launch says how to go on and exits with 3; what finished is stored."""
    spec, home = tmp_path / "long.yaml", tmp_path / "home"
    spec.write_text(TINY.replace("steps: 20", "steps: 100").replace("budget:", "workers: {tile: 2}\nbudget:"))
    command = [sys.executable, "-m", "study.cli", "launch", str(spec), "--home", str(home), "--here"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not stored(home):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    in_order(out, "stopping: what finished is kept; a tile in training begins again", "cells trained, in")
    assert out.count("stopping") == 1
    assert out.strip().endswith(f"-m study.cli launch {spec} --home {home} --here")
    assert 0 < stored(home) < 36


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        TINY.replace("unit_norm", "unitnorm"),
        TINY.replace("1e-3", "-1e-3"),
        TINY.replace("[1e-2, 10]", "[]"),
        TINY.replace("unit_norm", "none"),
        TINY.replace("steps: 20", "steps: 0"),
        TINY.replace("batch_size: 32", "batch_size: 5000"),
        TINY.replace("model: mlp", "model: {name: mlp, hidden: wide}"),
    ],
)
def test_bad_input_writes_nothing(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong spec ends with exit code 2 and one clear message, without a traceback and without a home."""
    spec = tmp_path / "bad.yaml"
    spec.write_text(text)
    assert study("launch", str(spec), "--home", str(tmp_path / "home"), "--here") == 2
    captured = capsys.readouterr()
    assert "error" in captured.err
    assert "Traceback" not in captured.err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


def test_missing_file_and_home(tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No such spec is wrong input; a study without a home is incomplete, and reading makes no home."""
    assert study("launch", str(tmp_path / "none.yaml")) == 2
    home, out = tmp_path / "home", tmp_path / "out"
    capsys.readouterr()
    for verb in ("status", "analyse"):
        assert study(verb, str(tiny), "--home", str(home)) == 3
        assert f"home {home}: there is no ledger" in capsys.readouterr().out
    assert study("export", str(tiny), "--home", str(home), "--out", str(out)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"home {home}: there is no ledger" in said.err
    assert said.err.strip().endswith(f"start with: study launch {tiny} --home {home}")
    assert study("ui", "--home", str(home)) == 2
    assert not home.exists()
    assert not out.exists()


@pytest.mark.parametrize(("verb", "code"), [("status", 3), ("analyse", 3), ("export", 2)])
def test_a_home_without_cells_of_the_study(
    verb: str, code: int, tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """That nothing is stored is said in words, and how to begin; no file is made."""
    home, out = Home(tmp_path / "home"), tmp_path / "out"
    home.prepare()
    home.open_ledger().close()
    options = ["--out", str(out)] if verb == "export" else []
    assert study(verb, str(tiny), "--home", str(home.root), *options) == code
    said = capsys.readouterr()
    words = f"nothing is stored of tiny; start with: study launch {tiny} --home {home.root}"
    assert words in (said.err if code == 2 else said.out)
    assert not out.exists()


def test_a_home_that_is_a_file_is_refused(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A home that cannot be a folder is refused before anything is trained."""
    assert study("launch", str(tiny), "--home", str(tiny), "--here") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_two_launches_at_once(tmp_path: Path) -> None:
    """The error of a second holder names the first; the lock of a process that died is free."""
    home = Home(tmp_path / "home")
    home.prepare()
    with (
        home.hold("s"),
        pytest.raises(UserError, match=f"process {os.getpid()}"),
        Home(tmp_path / "home").hold("s"),
    ):
        pass
    code = (
        "import os, pathlib, sys; from study.home import Home; "
        "held = Home(pathlib.Path(sys.argv[1])).hold('s'); held.__enter__(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(home.root)], check=True)
    with home.hold("s"):
        pass


def test_mlflow_away(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With an unreachable server the study is trained and analysed; the next launch sends every run."""
    home = tmp_path / "home"
    code, ended = answer(
        capsys, "launch", str(tiny), "--home", str(home), "--here", "--tracking-uri", "http://127.0.0.1:9"
    )
    assert code == 0
    assert isinstance(ended, dict)
    assert ended["trained_now"] == 36
    assert ended["mlflow_runs"] == 0
    assert ended["mlflow_trouble"]
    code, ended = answer(capsys, "launch", str(tiny), "--home", str(home), "--here")
    assert isinstance(ended, dict)
    assert (ended["trained_now"], ended["mlflow_runs"]) == (0, 36)


def test_specs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """`study specs` names what ships, with its size."""
    code, listed = answer(capsys, "specs")
    assert code == 0
    assert {"name": "quickstart", "cells": 1764} in [
        {"name": one["name"], "cells": one["cells"]} for one in listed
    ]  # type: ignore[attr-defined]
