"""What a pool promises when there is no cluster, or not enough memory."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from study.errors import UserError
from study.plan.cells import make_plan
from study.plan.job import Job
from study.run.launch import fingerprints_of_data
from study.run.machines import check_room
from study.run.pool import Done, Failure, LocalPool
from study.run.tile import commit, run_job
from study.spec.read import parse_spec
from study.spec.workers import Workers
from tests.command import answer, study
from tests.conftest import TINY


def test_a_worker_that_no_machine_holds_is_refused() -> None:
    """Ray would wait for it for ever: the error says what was asked for and what there is."""
    check_room(Workers(cpus_per_worker=2), 0.0, [{"CPU": 2.0}])
    with pytest.raises(UserError, match=r"takes 3 cpus .*most cpus: 2"):
        check_room(Workers(cpus_per_worker=3), 0.0, [{"CPU": 2.0}, {"CPU": 1.0}])
    with pytest.raises(UserError, match="1 gpus"):
        check_room(Workers(), 1.0, [{"CPU": 8.0}])


def test_a_tile_that_was_ended_for_memory_is_halved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker that was ended for lack of memory says nothing: its tile is halved, cells are trained once."""
    real, sizes = LocalPool.train, []

    def small(self: LocalPool, jobs: list[Job], done: Done) -> list[Failure]:
        sizes.extend(len(job.tile.cells) for job in jobs)
        large = [job for job in jobs if len(job.tile.cells) > 2]
        return real(self, [job for job in jobs if job not in large], done) + [
            Failure.of(job, RuntimeError("Task was killed due to the node running low on memory"))
            for job in large
        ]

    monkeypatch.setattr(LocalPool, "train", small)
    monkeypatch.setattr(LocalPool, "width", lambda self, job, accelerator: 6)
    code, ended = answer(capsys, "launch", str(tiny), "--home", str(tmp_path / "home"), "--here")
    assert isinstance(ended, dict)
    assert (code, ended["trained_now"], ended["failures"]) == (0, 36, [])
    assert set(sizes) == {6, 3, 2, 1}


def test_halves_are_the_whole() -> None:
    """Both halves of a tile have its cells, in order."""
    plan = make_plan(parse_spec(TINY), {})
    (job, *_) = plan.jobs(plan.cells, dict.fromkeys(plan.settings, 5))
    assert [cell for half in job.halves() for cell in half.tile.cells] == list(job.tile.cells)


def test_other_data_of_the_same_name_are_refused() -> None:
    """A machine whose files are not those of the launch trains nothing for it."""
    spec = parse_spec(TINY)
    plan = make_plan(spec, fingerprints_of_data(spec))
    (job, *_) = plan.jobs(plan.cells, dict.fromkeys(plan.settings, 5))
    assert len(run_job(job)) == len(job.tile.cells)
    with pytest.raises(
        ValueError, match=r"of digits/mlp on .* those of the launch abc; give every machine the same files"
    ):
        run_job(replace(job, fingerprint="abc"))


def test_records_name_the_commit() -> None:
    """The commit behind a number is that of this repository, or `release` where there is none."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        assert commit() == "release"
        return
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
    assert commit() == asked.stdout[:12]


def test_a_width_that_cannot_be_measured_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the measurement breaks, a small width is taken and not remembered."""

    def broken(self: LocalPool, job: Job) -> int:
        raise RuntimeError("the worker died")

    monkeypatch.setattr(LocalPool, "width", broken)
    code, ended = answer(capsys, "launch", str(tiny), "--home", str(tmp_path / "home"), "--here")
    assert isinstance(ended, dict)
    assert (code, ended["trained_now"]) == (0, 36)


def test_a_cluster_that_is_not_there(tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An address where nobody listens ends with one message and exit 1."""
    assert study("launch", str(tiny), "--home", str(tmp_path / "home"), "--address", "127.0.0.1:9") == 1
    said = capsys.readouterr().err
    assert "cannot connect to Ray at 127.0.0.1:9" in said
    assert "Traceback" not in said
