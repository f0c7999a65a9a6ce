"""Studies that vary their budget, and studies of problems with known constants, from spec to tracker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from study.home import Home
from tests.command import answer, study
from tests.conftest import TINY

VARIED = (
    TINY.replace("name: tiny", "name: varied")
    .replace("steps: 20", "steps: 20, spike_steps: [10], dynamics: 4")
    .replace("[none, unit_norm]", "[none, gradient_stabilizer]")
    + "conditions: {loss_scale: [100, 1], spike_size: [1, 1e8]}\n"
)
CONVERGENCE = """
name: converging
workload: [{name: quadratic, noise: 1.0, examples: 64}, {name: quadratic, offset: 1.0, examples: 64}]
model: {name: linear, bias: false}
optimizer: sgd
transforms: [none, autoscale, {name: autoscale, cap: 1.0}]
lr: [0.1, 1.0]
weight_decay: [0]
seeds: 3
budget: {steps: 80, batch_size: 16, precision: float64, points: 80, dynamics: 1}
"""


def launched(folder: Path, text: str) -> tuple[Path, Path, list[dict[str, Any]]]:
    """A spec's file, its home after a launch in this process, and its claims."""
    spec, home = folder / "spec.yaml", folder / "home"
    spec.write_text(text)
    assert study("launch", str(spec), "--home", str(home), "--here") == 0
    (claims,) = (home / "exports").glob("*/claims.json")
    return spec, home, json.loads(claims.read_text())


def test_conditions_from_the_spec_to_the_tracker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each condition has its cells, column, regions, picture and Optuna studies.

    Verdicts have their runs, and claims that compare conditions use them.
    """
    import optuna
    import pandas as pd
    from mlflow.tracking import MlflowClient

    spec, home, claims = launched(tmp_path, VARIED)
    folder = home / "exports" / "varied"
    cells = pd.read_parquet(folder / "cells.parquet")
    assert len(cells) == 4 * 36
    assert sorted(cells.groupby(["loss_scale", "spike_size"]).size().items()) == [
        ((c, k), 36) for c in (1.0, 100.0) for k in (1.0, 1e8)
    ]
    labels = [f"loss_scale={c}, spike_size={k}" for c in ("100", "1") for k in ("1", "1e+08")]
    assert [entry["condition"] for entry in json.loads((folder / "regions.json").read_text())] == [
        label for label in labels for _ in range(2)
    ]
    assert len(list((folder / "heatmaps").glob("*.png"))) == 4
    assert len(optuna.get_all_study_names(f"sqlite:///{Home(home).optuna('varied')}")) == 8
    by_id = {claim["id"]: claim for claim in claims}
    assert len(claims) == len(by_id)
    spiked = by_id["stabilizer-bounded-on-spikes"]
    assert (spiked["verdict"], spiked["against"], len(spiked["cells"])) == (
        "inconclusive",
        "at spikes of size 1e+08",
        18,
    )
    assert len(set(spiked["runs"])) == 18
    assert by_id["stabilizer-keeps-direction"]["setting"] == "digits/mlp · adamw · loss_scale=1, spike_size=1"
    client = MlflowClient(Home(home).mlflow_uri)
    experiment = client.get_experiment_by_name("varied")
    assert experiment is not None
    page = (folder / "claims.md").read_text()
    search = f"tags.cell_key = '{spiked['cells'][0]}'"
    assert search in page
    assert [run.info.run_id for run in client.search_runs([experiment.experiment_id], search)] == [
        spiked["runs"][0]
    ]
    (shown,) = client.search_runs([experiment.experiment_id], search)
    assert (shown.data.params["spike_size"], "spike_size 1e8" in (shown.info.run_name or "")) == (
        "100000000.0",
        True,
    )
    (parent,) = client.search_runs([experiment.experiment_id], "tags.stability_study = 'parent'")
    assert parent.data.tags["claim.stabilizer-bounded-on-spikes"] == "inconclusive"
    code, found = answer(capsys, "analyse", str(spec), "--home", str(home))
    assert code == 0
    assert isinstance(found, dict)
    assert found["claims"] == claims


@pytest.mark.long
def test_convergence_where_the_premise_holds_and_where_it_does_not(tmp_path: Path) -> None:
    """A scale that is capped at 1 fulfils the premise, and the bound holds.

    Uncapped it breaks the premise, which does not refute the bound. Started off centre the bound breaks.
    """
    from mlflow.tracking import MlflowClient

    _, home, claims = launched(tmp_path, CONVERGENCE)
    found, premise = (
        {claim["setting"]: claim for claim in claims if claim["id"] == name}
        for name in ("autoscale-converges", "autoscale-converges-premise")
    )
    name = "quadratic(examples=64, noise=1.0)/linear(bias=False) · sgd · autoscale"
    assert premise[name]["verdict"] == "refuted"
    assert (
        "the premise fails in 3 of 6 cells" in premise[name]["reason"]
        or "the premise fails in 6 of 6 cells" in premise[name]["reason"]
    )
    # Where the premise fails nothing is promised, so that the bound is not refuted by it.
    assert found[name]["verdict"] != "refuted"
    assert premise[f"{name}(cap=1.0)"]["verdict"] == "inconclusive"
    assert "the premise fails in 0 of 6 cells" in premise[f"{name}(cap=1.0)"]["reason"]
    assert found[f"{name}(cap=1.0)"]["verdict"] == "supported"
    assert "above it at 0 seeds" in found[f"{name}(cap=1.0)"]["reason"]
    off = found["quadratic(examples=64, offset=1.0)/linear(bias=False) · sgd · autoscale(cap=1.0)"]
    assert (off["verdict"], off["against"][:5]) == ("refuted", "at lr")
    client = MlflowClient(Home(home).mlflow_uri)
    experiment = client.get_experiment_by_name("converging")
    assert experiment is not None
    (parent,) = client.search_runs([experiment.experiment_id], "tags.stability_study = 'parent'")
    tags = {
        key: value for key, value in parent.data.tags.items() if key.startswith("claim.autoscale-converges.")
    }
    assert len(tags) == 4
    assert "supported" in tags.values()
    assert "refuted" in tags.values()
    assert any(key.endswith("linear_bias_False_.sgd.autoscale_cap_1.0") for key in tags)
