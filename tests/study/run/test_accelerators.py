"""Workers with different accelerators: tiles are cut for the largest, and trained in parts by the others."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from search_spaces import Tile
from study.errors import PoolError
from study.home import Home
from study.plan.cells import Plan, make_plan
from study.plan.job import Job
from study.run import ray_pool
from study.run.launch import fingerprints_of_data
from study.run.machines import accelerator_of
from study.run.pool import Done, Failure, LocalPool
from study.run.ray_pool import TileTrainable
from study.run.tile import Checkpoints, run_job
from study.spec.read import parse_spec
from tests.command import answer
from tests.conftest import TINY
from tracking import CellRecord


def planned() -> Plan:
    spec = parse_spec(TINY)
    return make_plan(spec, fingerprints_of_data(spec))


def test_the_accelerator_is_rays_own_name() -> None:
    """Ray names each kind as a resource; a machine without one is like every other."""
    assert accelerator_of({"CPU": 8.0, "GPU": 1.0, "accelerator_type:A100-40G": 1.0}) == "A100-40G"
    assert accelerator_of({"CPU": 8.0, "memory": 1e9}) == ""
    assert accelerator_of({"accelerator_type:T4": 1.0, "accelerator_type:L4": 1.0}) == "L4+T4"


def test_parts_are_the_whole() -> None:
    """The parts of a tile have its cells, in order, and no part is wider than asked."""
    plan = planned()
    (job, *_) = plan.jobs(plan.cells, dict.fromkeys(plan.settings, 6))
    parts = job.parts(4)
    assert [len(part.tile.cells) for part in parts] == [4, 2]
    assert [cell for part in parts for cell in part.tile.cells] == list(job.tile.cells)


def test_a_tile_in_parts_has_the_records_of_its_parts(tmp_path: Path) -> None:
    """The same numbers to the bit as tiles of that width, in the tile's order; nothing is left of it."""
    plan = planned()
    (job, *_) = plan.jobs(plan.cells, dict.fromkeys(plan.settings, 6))
    checkpoints = Checkpoints(tmp_path / "checkpoints", 0.0)
    found = run_job(job, "cpu", checkpoints, width=2)
    alone = [record for part in job.parts(2) for record in run_job(part, "cpu")]
    assert [one.key for one in found] == [cell.key for cell in job.tile.cells]
    assert [numbers(one) for one in found] == [numbers(one) for one in alone]
    left = list(checkpoints.folder.iterdir())
    assert left
    assert all(file.name.lstrip(".").startswith(job.tile.key) for file in left)
    checkpoints.clear(found)
    assert not list(checkpoints.folder.iterdir())


def numbers(record: CellRecord) -> list[object]:
    """What was measured of a cell, without times."""
    return [record.key, record.outcome, record.loss_final, record.metric_final, record.curve]


def trainable(job: Job) -> TileTrainable:
    found = TileTrainable.__new__(TileTrainable)
    found._job, found._device, found._measured = job, "cpu", {}
    return found


def test_a_worker_trains_as_many_as_fit_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own accelerator; one that was not there when widths were measured measures its own, once."""
    plan = planned()
    (job, *_) = plan.jobs(plan.cells, dict.fromkeys(plan.settings, 6))
    worker = trainable(replace(job, widths={"BIG": 6, "SMALL": 2}))
    asked: list[Tile] = []
    monkeypatch.setattr(ray_pool, "measure_width", lambda job, device: asked.append(job.tile) or 3)
    found = {}
    for kind in ("BIG", "SMALL", "NEW", "NEW"):
        monkeypatch.setattr(ray_pool, "own_accelerator", lambda kind=kind: kind)
        found[kind] = worker._width()
    assert found == {"BIG": 6, "SMALL": 2, "NEW": 3}
    assert asked == [job.tile]
    assert trainable(job)._width() is None


class TwoKinds(LocalPool):
    """A pool of two kinds of workers, of which each tile meets the smaller."""

    sent: list[Job] = []  # noqa: RUF012  # emptied by the test

    @property
    def workers(self) -> Mapping[str, str]:
        return {"BIG": "there, BIG", "SMALL": "there, SMALL"}

    def width(self, job: Job, accelerator: str) -> int:
        return {"BIG": 6, "SMALL": 2}[accelerator]

    def train(self, jobs: list[Job], done: Done) -> list[Failure]:
        self.sent += jobs
        for job in jobs:
            done(run_job(job, "cpu", self._checkpoints, width=job.widths["SMALL"]))
        return []


def test_tiles_are_cut_for_the_largest_and_widths_are_remembered(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each kind's width is measured once and noted under its name; every cell is stored."""
    monkeypatch.setattr("study.run.driver.in_this_process", lambda *given: closing_pool(*given))
    TwoKinds.sent.clear()
    home = tmp_path / "home"
    code, ended = answer(capsys, "launch", str(tiny), "--home", str(home), "--here")
    assert isinstance(ended, dict)
    assert (code, ended["trained_now"]) == (0, 36)
    assert max(len(job.tile.cells) for job in TwoKinds.sent) == 6
    assert all(job.widths == {"BIG": 6, "SMALL": 2} for job in TwoKinds.sent)
    plan = planned()
    (setting,) = plan.settings
    with closing(Home(home).open_ledger()) as ledger:
        assert [ledger.width(setting, f"there, {kind}", 6) for kind in ("BIG", "SMALL")] == [6, 2]


def closing_pool(checkpoints: Checkpoints, logs: object) -> object:
    """What `in_this_process` gives, with two kinds."""
    from contextlib import nullcontext

    return nullcontext(TwoKinds(checkpoints, logs))  # type: ignore[arg-type]


def test_a_cluster_without_workers_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that was started before its workers has no cpus; what is waited for is said once."""
    found = [[{"memory": 1e9}], [{"memory": 1e9}], [{"memory": 1e9}, {"CPU": 2.0}]]
    monkeypatch.setattr(ray_pool, "machines", lambda: found.pop(0))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    said: list[str] = []
    ray_pool.wait_for_workers(said.append)
    assert said == ["waiting for a worker to join the cluster"]
    assert found == []


def test_a_cluster_that_gets_no_worker_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while it is said, and what to do."""
    monkeypatch.setattr(ray_pool, "machines", lambda: [{"memory": 1e9}])
    monkeypatch.setattr(ray_pool, "JOINING", -1.0)
    with pytest.raises(PoolError, match=r"no worker joined the Ray cluster in .* start one"):
        ray_pool.wait_for_workers()
