"""The promises that the mirror relies on, of every kind of tracker."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from tests.making import RECORD, records
from tests.postgres import Postgres, postgres_server
from tests.tools.faults.drills import served
from tracking.mlflow_page import CELLS, NOTE, VIEW, Page, Place, View, column
from tracking.mlflow_store import MlflowStore


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("server")) as running:
        yield running.uri


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as running:
        yield running


class TestRunStores:
    """One set of promises that every store passes.

    MLflow's embedded database, a real server, and PostgreSQL opened without a server by either driver.
    """

    @pytest.fixture(params=["embedded", "server", "psycopg2", "psycopg"])
    def uri(self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        # Without a server MLflow puts the files of such a database into the current folder.
        monkeypatch.chdir(tmp_path)
        if request.param == "embedded":
            return f"sqlite:///{tmp_path / 'mlflow.db'}"
        if request.param == "server":
            return str(request.getfixturevalue("server"))
        running: Postgres = request.getfixturevalue("postgres")
        return running.address("runs", request.param)

    def test_what_is_written_is_complete(self, uri: str) -> None:
        """A written cell is known by its key to whoever opens the tracker next; only writing adds runs."""
        store = MlflowStore(uri, "written")
        assert store.complete_runs() == {}
        ids = dict(store.write(records(3)))
        assert store.complete_runs() == ids
        assert MlflowStore(uri, "written").complete_runs() == ids

    def test_half_written_and_doubled_runs_go(self, uri: str) -> None:
        """A run that a crash left open, and the second run of a cell, are deleted; complete ones stay."""
        store = MlflowStore(uri, "torn")
        for _ in range(2):
            list(store.write([RECORD]))
        client = MlflowClient(uri)
        client.create_run(store.experiment_id, tags={"stability_study": "cell", "cell_key": "open"})
        done = store.complete_runs()
        assert set(done) == {"k0"}
        assert len(client.search_runs([store.experiment_id], "tags.stability_study = 'cell'")) == 1

    def test_studies_do_not_mix(self, uri: str) -> None:
        """Two studies of one tracker have their own runs."""
        one, other = MlflowStore(uri, "one"), MlflowStore(uri, "other")
        list(one.write([RECORD]))
        assert other.complete_runs() == {}

    def test_homes_do_not_mix(self, uri: str) -> None:
        """Two homes with a study of one name: each settles and lists its own runs, under its own parent."""
        one, other = MlflowStore(uri, "shared", home="a"), MlflowStore(uri, "shared", home="b")
        assert one.parent_id != other.parent_id
        client = MlflowClient(uri)
        tags = {"stability_study": "cell", "cell_key": "k0", "stability_study_home": "a"}
        hand = client.create_run(one.experiment_id, tags=tags).info.run_id
        ids = dict(other.write(records(2)))
        assert other.complete_runs() == ids
        assert client.get_run(hand).info.lifecycle_stage == "active", "a run in the other home's hand is gone"
        assert one.complete_runs() == {}
        mine = dict(one.write(records(2)))
        for store, own in ((one, mine), (other, ids)):
            assert store.complete_runs() == own
            assert MlflowStore(uri, "shared", home=store._home).parent_id == store.parent_id
        assert client.get_run(str(mine["k0"])).data.tags["stability_study_home"] == "a"

    def test_runs_that_name_no_home_are_taken_over(self, uri: str) -> None:
        """What an older version wrote is complete, and its parent run stays the study's only one."""
        old = MlflowStore(uri, "older")
        ids = dict(old.write(records(2)))
        new = MlflowStore(uri, "older", home="a")
        assert (new.parent_id, new.complete_runs()) == (old.parent_id, ids)
        assert MlflowStore(uri, "older", home="b").parent_id != old.parent_id

    def test_one_that_is_refused_is_told_apart(self, uri: str) -> None:
        """Of cells written together, a refused one comes back with its error, and the others are complete."""
        store = MlflowStore(uri, "refused")
        sent = records(3)
        found = dict(store.write([sent[0], replace(sent[1], metric_name="no/name?"), sent[2]]))
        assert isinstance(found["k1"], Exception)
        assert "no/name?" in str(found["k1"])
        assert (
            len(MlflowClient(uri).search_runs([store.experiment_id], "tags.stability_study = 'cell'")) == 2
        ), "a run was left open"
        assert (
            set(store.complete_runs())
            == {"k0", "k2"}
            == {key for key, run in found.items() if isinstance(run, str)}
        )

    def test_a_character_that_some_databases_lack_stops_nothing(self, uri: str) -> None:
        """A reason with a character 0 is shown with an escape in its place, and no other run is lost."""
        store = MlflowStore(uri, "zero")
        ids = dict(store.write([replace(one, reason="torn \0 off") for one in records(2)]))
        assert store.complete_runs() == ids
        store.finish({}, {"claim.x": "\0"}, [])
        client = MlflowClient(uri)
        assert client.get_run(str(ids["k0"])).data.tags["reason"] == "torn \\0 off"
        assert client.get_run(store.parent_id).data.tags["claim.x"] == "\\0"

    def test_numbers_that_are_none_are_kept(self, uri: str) -> None:
        """Infinities and NaN of a diverged cell are stored: booleans are the database's own."""
        store = MlflowStore(uri, "wild")
        curve = [(1, float("inf"), 0.5), (2, float("nan"), 0.5)]
        ((_, run),) = store.write([replace(RECORD, curve=curve)])
        history = MlflowClient(uri).get_metric_history(str(run), "loss")
        assert [str(point.value) for point in history] == ["1.7976931348623157e+308", "nan"]

    def test_mlflow_goes_on_after_it(self, uri: str) -> None:
        """MLflow itself makes experiments and runs after a study: no numbers were taken behind its back."""
        list(MlflowStore(uri, "before").write(records(2)))
        client = MlflowClient(uri)
        numbers = {client.create_experiment(f"after {index}") for index in range(2)}
        assert len(numbers) == 2
        assert client.create_run(numbers.pop()).info.status == "RUNNING"

    def test_the_end_can_be_told_again(self, uri: str, tmp_path: Path) -> None:
        """The study's figures, tags and files are on one finished parent run, however often they are sent."""
        (tmp_path / "page.md").write_text("page")
        store = MlflowStore(uri, "ended", tmp_path / "artifacts")
        for verdict in ("inconclusive", "supported"):
            store.finish({"cells": 3.0}, {"claim.x": verdict}, [tmp_path / "page.md"])
        client = MlflowClient(uri)
        (parent,) = client.search_runs([store.experiment_id], "tags.stability_study = 'parent'")
        assert (parent.info.status, parent.data.tags["claim.x"], parent.data.metrics["cells"]) == (
            "FINISHED",
            "supported",
            3.0,
        )
        assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["page.md"]

    def test_a_study_has_a_page(self, uri: str) -> None:
        """Description and figures are on run and experiment, and the views on the experiment.

        Telling the same again writes nothing. A verdict that is no longer given goes, and a figure that is
        gone has the value NaN; what others noted there stays.
        """
        store, client = MlflowStore(uri, "page"), MlflowClient(uri)
        views = {CELLS: View("cells", {column("params", "lr"): 100}, column("metrics", "accuracy_final"))}

        def page(place: Place) -> Page:
            assert (place.experiment, place.run, place.alone) == (store.experiment_id, store.parent_id, True)
            return Page(
                f"**1 supported** [report]({place.artifact('report.html')})", views, {"verdicts": "1"}
            )

        first = {"cells_finished": 3.0, "score/none": 0.5, "score/clip": 0.25}
        store.finish(first, {"claim.a": "supported", "claim.b": "refuted"}, [], page)
        client.log_metric(store.parent_id, "others", 1.0)
        client.set_tag(store.parent_id, "claims_read_by", "somebody")
        for _ in range(2):
            store.finish({"cells_finished": 3.0, "score/none": 0.5}, {"claim.a": "supported"}, [], page)
        run, experiment = client.get_run(store.parent_id), client.get_experiment(store.experiment_id)
        note = f"#/experiments/{store.experiment_id}/runs/{store.parent_id}/artifacts/report.html"
        assert note in run.data.tags[NOTE] == experiment.tags[NOTE]
        assert json.loads(experiment.tags[f"{VIEW}{CELLS}"])["name"] == "cells"
        assert experiment.tags["verdicts"] == "1"
        kept = {name: text for name, text in run.data.tags.items() if name.startswith("claim")}
        assert kept == {"claim.a": "supported", "claims_read_by": "somebody"}
        assert run.data.metrics["others"] == 1.0
        told = {name: client.get_metric_history(store.parent_id, name) for name in first}
        values = {name: [str(point.value) for point in points] for name, points in told.items()}
        assert values == {
            "cells_finished": ["3.0"],
            "score/none": ["0.5"],
            "score/clip": ["0.25", "nan"],
        }

    def test_a_page_knows_of_other_homes(self, uri: str) -> None:
        """Where several homes have the study, its one description can say whose it is."""
        one, other = MlflowStore(uri, "both", home="a"), MlflowStore(uri, "both", home="b")
        places: list[Place] = []

        def page(place: Place) -> Page:
            places.append(place)
            return Page(f"of {place.run}", {})

        for store in (one, other):
            store.finish({}, {}, [], page)
        client = MlflowClient(uri)
        assert [place.alone for place in places] == [False, False]
        assert client.get_experiment(one.experiment_id).tags[NOTE] == f"of {other.parent_id}"
        assert client.get_run(one.parent_id).data.tags[NOTE] == f"of {one.parent_id}"

    def test_the_filters_of_the_readme_are_understood(self, uri: str) -> None:
        """Each finds the cells that it speaks of, and no others, in the language of every server."""
        page = (Path(__file__).resolve().parents[2] / "tracking" / "README.md").read_text(encoding="utf-8")
        block = page.partition("<!-- filters: begin -->")[2].partition("<!-- filters: end -->")[0]
        filters = [line for line in block.splitlines() if line and not line.startswith("```")]
        lost = replace(RECORD, key="lost", transform="autoscale", outcome="diverged", metric_final=None)
        high = replace(RECORD, key="high", metric_final=0.95, weight_decay=0.1)
        point = [replace(RECORD, key=f"p{seed}", lr=0.01, weight_decay=0.1, seed=seed) for seed in range(2)]
        store = MlflowStore(uri, "filters")
        others = [replace(high, key="low", metric_final=0.2), replace(point[0], key="wd", weight_decay=0.0)]
        list(store.write([lost, high, *point, *others]))
        found = []
        for one in filters:
            runs = MlflowClient(uri).search_runs([store.experiment_id], one)
            found.append(sorted(run.data.tags["cell_key"] for run in runs))
        assert found == [["lost"], ["high"], ["p0", "p1"]]

    def test_names_of_an_older_version_stay(self, uri: str) -> None:
        """A run that was stored under a longer name is complete, and keeps it: a cell is known by its key."""
        store, client = MlflowStore(uri, "named"), MlflowClient(uri)
        ids = dict(store.write(records(2)))
        assert client.get_run(str(ids["k0"])).info.run_name == "t s0 lr 1e-1 wd 0"
        client.update_run(str(ids["k0"]), name="t lr=0.1 wd=0 seed=0")
        again = MlflowStore(uri, "named")
        assert again.complete_runs() == ids
        again.finish({}, {}, [])
        assert client.get_run(str(ids["k0"])).info.run_name == "t lr=0.1 wd=0 seed=0"


def test_a_database_elsewhere_keeps_its_addresses(tmp_path: Path) -> None:
    """Two homes may write into one file. Neither takes the other's artifacts for its own."""
    uri = f"sqlite:///{tmp_path / 'shared' / 'mlflow.db'}"
    (tmp_path / "shared").mkdir()
    first = MlflowStore(uri, "one", tmp_path / "a" / "mlflow-artifacts")
    MlflowStore(uri, "two", tmp_path / "b" / "mlflow-artifacts")
    client = MlflowClient(uri)
    assert client.get_run(first.parent_id).info.artifact_uri.startswith((tmp_path / "a").as_uri())


def test_files_go_into_the_home_whatever_its_database_says(tmp_path: Path) -> None:
    """A run's address that leads out of the home is set right before anything is written there."""
    uri, artifacts = f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "mlflow-artifacts"
    run = MlflowStore(uri, "one", artifacts).parent_id
    outside = (tmp_path / "victim").as_uri()
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE runs SET artifact_uri = ?", (outside,))
        connection.execute("UPDATE experiments SET artifact_location = ? WHERE name = 'one'", (outside,))
    store = MlflowStore(uri, "one", artifacts)
    assert MlflowClient(uri).get_run(run).info.artifact_uri == f"{artifacts.as_uri()}/{run}/artifacts"
    (tmp_path / "claims.json").write_text("[]")
    store.finish({}, {}, [tmp_path / "claims.json"])
    assert not (tmp_path / "victim").exists()
    assert (artifacts / run / "artifacts" / "claims.json").exists()


def test_an_address_with_a_query_is_mlflows_to_open(tmp_path: Path) -> None:
    """`sqlite:///file?timeout=30` is a database, and not a file of that whole name."""
    store = MlflowStore(f"sqlite:///{tmp_path / 'mlflow.db'}?timeout=30", "asked", tmp_path / "artifacts")
    ids = dict(store.write(records(2)))
    assert store.complete_runs() == ids
    assert sorted(path.name for path in tmp_path.iterdir() if "db" in path.name) == ["mlflow.db"]
