"""The promises that the mirror relies on, of every kind of tracker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from tests.making import RECORD, records
from tests.tools.faults.drills import served
from tracking.mlflow_store import MlflowStore


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("server")) as running:
        yield running.uri


class TestRunStores:
    """One set of promises that every store passes: MLflow's embedded database, and a real server."""

    @pytest.fixture(params=["embedded", "server"])
    def uri(self, request: pytest.FixtureRequest, tmp_path: Path) -> str:
        return (
            f"sqlite:///{tmp_path / 'mlflow.db'}"
            if request.param == "embedded"
            else str(request.getfixturevalue("server"))
        )

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
