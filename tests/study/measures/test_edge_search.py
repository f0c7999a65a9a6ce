"""Edge-seeking studies: the road of grids, with fewer cells, and inferred cells apart from trained ones."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from study.analysis import Analysis
from study.errors import UserError
from study.home import Home
from study.measures.landscape import INFERRED
from study.plan.cells import make_plan
from study.plan.job import Job
from study.run.launch import Launch, fingerprints_of_data, launch
from study.run.launch_options import LaunchOptions
from study.run.records import failed_records
from study.run.rounds import Rounds
from study.run.tile import run_job
from study.spec.read import parse_spec
from study.stored import read, status
from tests.command import study
from tests.conftest import TINY
from tests.making import every_format
from tracking import CellRecord

CELLS = 2 * 2 * 27 * 6
SPEC = (
    TINY.replace("lr: [1e-3, 1e-2, 30]", "lr: {low: 1e-5, high: 31.6227766, points_per_decade: 4}")
    .replace("weight_decay: [1e-2, 10]", "weight_decay: {low: 1e-4, high: 10, points_per_decade: 1}")
    .replace("seeds: 3", "seeds: 2")
    .replace("steps: 20", "steps: 30")
    .replace("name: tiny", "name: seeking")
    + "design: edges\nworkers: {tile: 300}\n"
)


@pytest.fixture(scope="module")
def sought(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Launch]:
    """A study of 2 transforms x 2 seeds x 27 learning rates x 6 weight decays, trained in this process."""
    home = Home(tmp_path_factory.mktemp("sought") / "home")
    with every_format():
        return home, launch(parse_spec(SPEC), home, Console(quiet=True), LaunchOptions(here=True))


def test_spec_has_a_design() -> None:
    """A spec trains its grid unless it says otherwise; an unknown design is named with what is known."""
    assert parse_spec(TINY).design == "grid"
    assert parse_spec(parse_spec(SPEC).canonical()).design == "edges"
    with pytest.raises(UserError, match=r"design.*grid.*edges"):
        parse_spec(SPEC.replace("design: edges", "design: edge"))


def test_edges_need_fewer_cells_and_everything_is_shown(sought: tuple[Home, Launch]) -> None:
    """At most two thirds of a small grid's cells are trained, and the rest are inferred.

    All trained ones are in the ledger and in MLflow. Status does not count the others as pending.
    """
    home, ended = sought
    counts = ended.analysis.counts
    assert ended.trained == counts["finished"] + counts["diverged"] <= CELLS * 2 / 3
    assert ended.mlflow_runs == ended.trained
    assert counts["pending"] == counts["failed"] == 0
    assert counts["inferred"] == CELLS - ended.trained
    assert ended.analysis.complete
    assert status(parse_spec(SPEC), home).counts == counts


def test_launching_again_trains_nothing(sought: tuple[Home, Launch]) -> None:
    """The design leads to the same cells again, so a finished study is recognised as finished."""
    home, ended = sought
    again = launch(parse_spec(SPEC), home, Console(quiet=True), LaunchOptions(here=True))
    assert again.trained == 0
    assert again.analysis.counts == ended.analysis.counts


def test_classes_are_those_of_the_whole_grid(sought: tuple[Home, Launch]) -> None:
    """The design gives nineteen cells in twenty the class that the whole grid gives them.

    The missing cells are trained for it.
    """
    _, ended = sought
    spec = SPEC.replace("design: edges", "design: grid")
    (meaning,) = ended.analysis.plan.meanings.values()
    prints = {"digits/mlp": json.loads(meaning)["fingerprint"]}
    plan = make_plan(parse_spec(spec), prints)
    stored = dict(ended.analysis.stored)
    for job in plan.jobs(plan.missing(stored.keys()), dict.fromkeys(plan.settings, 300)):
        stored |= {record.key: record for record in run_job(job)}
    assert len(stored) == CELLS
    truth = Analysis(plan, stored).evidence[0].regions
    for name, landscape in ended.analysis.evidence[0].landscapes.items():
        assert landscape.class_SWL is not None
        alike = (landscape.class_SWL == 1) == truth[name, "competitive", "own"].inside_SWL
        assert alike.mean() > 0.95


def test_exports_tell_trained_from_inferred(sought: tuple[Home, Launch]) -> None:
    """Tables hold trained cells alone.

    Regions say how many cells the design needed and what its audit found, and null for what it cannot know.
    """
    import pandas as pd

    _, ended = sought
    cells = pd.read_parquet(ended.exports / "cells.parquet")
    assert len(cells) == ended.trained
    assert set(cells.outcome) <= {"finished", "diverged"}
    for region in json.loads((ended.exports / "regions.json").read_text()):
        assert region["design"]["done"]
        assert region["design"]["trained_cells"] < region["design"]["grid_cells"] == CELLS // 2
        assert region["design"]["audit"]["away_from_edges"] >= 8
        assert region["divergence_share"] is None
        assert [found["kind"] for found in region["regions"]] == ["competitive"]
    picture = next((ended.exports / "heatmaps").glob("*.svg")).read_text()
    assert "inferred outside" in picture


def test_claims_say_what_is_missing(sought: tuple[Home, Launch]) -> None:
    """Claims that need every cell's score are not decided from a part of them."""
    _, ended = sought
    assert {claim.verdict for claim in ended.analysis.claims} == {"inconclusive"}
    assert any("edge-seeking" in claim.reason for claim in ended.analysis.claims) or all(
        "no transform" in claim.reason for claim in ended.analysis.claims
    )


@pytest.mark.parametrize("verb", ["plan", "status", "analyse", "compare"])
@pytest.mark.parametrize("as_json", [True, False])
def test_every_reading_verb_answers(
    verb: str, as_json: bool, sought: tuple[Home, Launch], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line reads an edge-seeking study as it reads a grid.

    The exit code is 0, words and JSON have no NaN, and inferred cells are named.
    """
    home, _ = sought
    (tmp_path / "seeking.yaml").write_text(SPEC)
    more = ["none", "unit_norm", "--out", str(tmp_path / "out")] if verb == "compare" else []
    if as_json:
        more.append("--json")
    assert study(verb, str(tmp_path / "seeking.yaml"), *more, "--home", str(home.root)) == 0
    said = capsys.readouterr().out
    assert "nan" not in said.lower()
    if as_json:
        json.loads(said)
    word = {"plan": "edges", "status": "inferred", "analyse": "competitive", "compare": "edge-seeking"}[verb]
    assert word in said


def rounds(spec: str, fail: str = "") -> tuple[dict[str, CellRecord], int]:
    """Train the rounds of a spec without a store; cells of one transform can be made to fail.

    Returns the records, and how many rounds there were.
    """
    plan = make_plan(parse_spec(spec), fingerprints_of_data(parse_spec(spec)))
    stored: dict[str, CellRecord] = {}
    count = 0

    def known(keys: Iterable[str]) -> dict[str, CellRecord]:
        return {key: stored[key] for key in keys if key in stored}

    for part in Rounds(plan, known):
        count += 1
        missing = part.missing(stored.keys())
        for job in part.jobs(missing, dict.fromkeys(plan.settings, 300)):
            stored.update({record.key: record for record in train(job, fail)})
    return stored, count


def train(job: Job, fail: str) -> list[CellRecord]:
    return failed_records(job, "made to fail") if job.transform.name == fail else run_job(job)


def test_a_transform_that_cannot_be_trained_ends_alone() -> None:
    """Rounds go on for the other transforms, the failed one stays pending, and the rounds come to an end."""
    small = SPEC.replace("seeds: 2", "seeds: 1").replace("steps: 30", "steps: 10")
    stored, count = rounds(small, fail="unit_norm")
    failed = [record for record in stored.values() if record.outcome == "failed"]
    assert count > 2
    assert {record.transform for record in failed} == {"unit_norm"}
    analysis = Analysis(make_plan(parse_spec(small), fingerprints_of_data(parse_spec(small))), stored)
    assert not analysis.complete
    assert [search.design.done for search in analysis.searches] == [True, False]
    assert analysis.counts["failed"] == len(failed)
    assert analysis.counts["pending"] == CELLS // 4 - len(failed)


def test_an_unfinished_search_infers_nothing(sought: tuple[Home, Launch]) -> None:
    """With a part of its cells a design is not done: the others are pending, and no seed is complete."""
    home, _ = sought
    analysis = read(parse_spec(SPEC), home)
    some = dict(list(analysis.stored.items())[::2])
    part = replace(analysis, stored=some)
    assert part.counts["inferred"] == 0
    assert not part.complete
    assert all(piece.n_seeds == 0 for piece in part.evidence)


def test_seeds_have_classes_of_their_own(sought: tuple[Home, Launch]) -> None:
    """Each seed has its own region; inferred cells have no score, and never the best one."""
    _, ended = sought
    for landscape in ended.analysis.landscapes:
        assert landscape.class_SWL is not None
        assert (landscape.class_SWL.sum(axis=(1, 2)) > 0).all()
        assert np.isnan(landscape.metric_SWL[landscape.outcome_SWL == INFERRED]).all()
        assert landscape.score_SN.shape[1] < landscape.class_SWL[0].size
