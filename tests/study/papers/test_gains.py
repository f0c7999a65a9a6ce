"""The paper's gains on corrupted inputs stand beside a study's, and are never called comparable here."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from search_spaces import Cell
from study.home import Home
from study.papers.agreement import NOT_COMPARABLE, NOT_RUN
from study.plan.cells import make_plan, settings
from study.spec.read import parse_spec
from tests.command import answer, study
from tests.fabricated import record_of

FORECAST = """
name: forecast
workload: [{name: series, file: series/ETTh1.csv, context: 96, test_examples: 512}]
model: [dlinear, {name: patchtst, layers: 1}]
optimizer: adamw
transforms: [none, clip_norm, gradient_stabilizer]
lr: [1e-3, 1e-2]
weight_decay: [0, 0.01]
seeds: 3
budget: {steps: 200, batch_size: 16}
conditions: {corruption: [0, 1, 2]}
"""


def error_of(cell: Cell, level: float) -> float:
    """MSE 0.5 and a little by seed, less 0.02 · level with the stabilizer; lr 1e-2 is worse by 0.1."""
    gain = 0.02 * level * (cell.transform == "gradient_stabilizer")
    return 0.5 + 0.001 * cell.seed - gain + 0.1 * (cell.lr > 5e-3) + 0.01 * (cell.weight_decay > 0)


def stored(folder: Path, text: str, *, some: bool = False) -> list[str]:
    """A home in which every cell is made up, and the arguments of a command that reads it."""
    file, home = folder / "spec.yaml", folder / "home"
    file.write_text(text, encoding="utf-8")
    spec, place = parse_spec(text, "spec"), Home(home)
    place.prepare()
    with closing(place.open_ledger()) as ledger:
        prints = {setting.name: "made up" for setting in settings(spec)}
        ledger.note_fingerprints(spec.name, prints)
        plan = make_plan(spec, prints)
        for cell in plan.cells[: len(plan.cells) // 2 if some else None]:
            error = error_of(cell, plan.settings[cell.setting].condition.budget.corruption)
            made = record_of(cell, error)
            ledger.add([replace(made, metric_name="mse", metric_direction="min", metric_initial=1.4)])
    return [str(file), "--home", str(home)]


def test_gains_beside_the_papers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A gain is the base's error less the stabilizer's, and the reasons say what is not the same."""
    where = stored(tmp_path, FORECAST)
    code, found = answer(capsys, "table", *where)
    assert code == 0
    assert isinstance(found, dict)
    (table,) = found["tables"]
    rows = {(row["model"], row["level"]): row for row in table["rows"]}
    assert len(rows) == 7
    for level, printed in ((0.0, None), (1.0, 0.008), (2.0, 0.018)):
        row = rows["dlinear", level]
        assert row["published"] == printed
        assert row["gain"]["estimate"] == pytest.approx(0.02 * level, abs=1e-9)
        assert row["base"]["estimate"] == pytest.approx(0.501, abs=1e-9)
        assert row["n_seeds"] == 3
    assert rows["dlinear", 0.0]["agreement"] == ""
    for word in (
        "not the same data: ETTh1 instead of weather",
        "dlinear instead of patchtst",
        "512 of the test",
    ):
        assert word in rows["dlinear", 1.0]["reason"]
    assert rows["patchtst(layers=1)", 1.0]["agreement"] == NOT_COMPARABLE
    assert "instead of its settings for weather" in rows["patchtst(layers=1)", 1.0]["reason"]
    assert (rows["", 3.0]["agreement"], rows["", 3.0]["published"]) == (NOT_RUN, 0.025)
    assert study("table", *where) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "not the same data" in said
    assert "0.040 [0.039, 0.041] 0.018 3" in said


def test_a_study_that_is_not_done_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half of the cells give no gain."""
    code, found = answer(capsys, "table", *stored(tmp_path, FORECAST, some=True))
    assert code == 3
    assert isinstance(found, dict)
    assert {row["agreement"] for row in found["tables"][0]["rows"]} == {NOT_RUN}
    assert any("not trained to the end yet" in row["reason"] for row in found["tables"][0]["rows"])


def test_without_the_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A gain needs the plain optimizer."""
    code, found = answer(capsys, "table", *stored(tmp_path, FORECAST.replace("none, ", "")))
    assert code == 0
    assert isinstance(found, dict)
    assert any(row["reason"] == "none is not in the spec" for row in found["tables"][0]["rows"])
