"""Links into MLflow's UI, the views that it keeps, and the names of runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from tests.making import RECORD
from tracking.mlflow_page import CELLS, Page, Place, View, column, table
from tracking.run_names import run_name, short


def test_a_view_is_stored_as_the_ui_stores_its_own() -> None:
    """The envelope of a saved view, with the columns in their order, and the state as a text inside."""
    lr, score = column("params", "lr"), column("metrics", "accuracy_final")
    view = View("best first", {lr: 100, score: 90}, order=score, search="tags.outcome = 'finished'")
    (tag,) = [text for name, text in Page("", {CELLS: view}).of_experiment(5).items() if CELLS in name]
    envelope = json.loads(tag)
    state = json.loads(envelope.pop("state"))
    assert envelope == {"name": "best first", "createdAt": 5, "updatedAt": 5}
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`accuracy_final`", False)
    assert state["selectedColumns"] == ["params.`lr`", "metrics.`accuracy_final`"]
    assert state["columnOrder"] == [*list(state["columnWidths"])]
    places = [state["columnOrder"].index(name) for name in (lr, score, "duration")]
    assert places == sorted(places)


def test_the_installed_ui_reads_what_is_written() -> None:
    """Every key of a view, and what a link says, is a word of the UI that is installed."""
    scripts = Path(mlflow.__file__).parent / "server" / "js" / "build" / "static" / "js"
    if not scripts.is_dir():
        pytest.skip("this MLflow has no UI")
    words = {"workflowType", "machine_learning", "viewStateShareKey", "mlflow.sharedViewState."}
    words |= {"searchFilter", "orderByKey", "orderByAsc", "selectedColumns", "columnOrder", "columnWidths"}
    words |= {"runDateAndNestInfo", "Run Name", "createdAt", "updatedAt"}
    for script in scripts.glob("*.js"):
        text = script.read_text(encoding="utf-8")
        words -= {word for word in words if word in text}
    assert words == set()


def test_links_lead_into_the_view_of_training() -> None:
    """Each says which mode of the UI it means, and a file's name cannot end the link or add to it."""
    place = Place("7", "abc")
    start = "#/experiments/7/runs"
    assert table("7") == f"{start}?workflowType=machine_learning&viewStateShareKey={CELLS}"
    assert place.own == f"{start}/abc?workflowType=machine_learning"
    name = "heatmaps/a b)&x=1.png"
    assert place.artifact(name).startswith(f"{start}/abc/artifacts/heatmaps/a%20b%29%26x%3D1.png?")


def test_names_of_runs_are_short() -> None:
    """Transform, seed, lr, weight decay and what is varied; a diverged cell is marked in front."""
    record = replace(RECORD, transform="autoscale", seed=2, lr=0.01, weight_decay=0.1)
    assert run_name(record, {}) == "autoscale s2 lr 1e-2 wd 1e-1"
    varied = {"spike_size": 1e8, "precision": "bfloat16"}
    lost = replace(record, outcome="diverged", lr=31.6227766)
    assert run_name(lost, varied) == "✗ autoscale s2 lr 31.6 wd 1e-1 spike_size 1e8 precision bfloat16"


@pytest.mark.parametrize(
    "value", [0.1, 1e-5, 3.16e-5, 0.0, 1.0, 999.0, 1000.0, 31.6, 0.0999, 1e300, 9.999e-5]
)
def test_short_numbers_are_the_number(value: float) -> None:
    """Up to three digits, what is shown is what was meant."""
    assert float(short(value)) == pytest.approx(value, rel=5e-3, abs=0)
    assert len(short(value)) < 9
