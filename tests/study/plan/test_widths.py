"""How many cells a launch will train together, known before it."""

from __future__ import annotations

import platform
from contextlib import closing
from pathlib import Path

import pytest

from study.home import Home
from study.plan.cells import make_plan
from study.plan.preview import preview
from study.plan.widths import known_width, likely_machines, this_process, worker_of_ray
from study.spec.read import parse_spec
from tests.conftest import TINY
from tracking import Ledger

WORKER = worker_of_ray(platform.node(), 1, 0)


def noted(home: Home, spec: str, widths: dict[str, int], most: int = 6) -> None:
    """A home in which widths of a study's setting were measured, by machine."""
    plan = make_plan(parse_spec(spec), {})
    home.prepare()
    with closing(home.open_ledger()) as ledger:
        for machine, width in widths.items():
            ledger.note_width(next(iter(plan.settings)), machine, width, most)


@pytest.fixture(autouse=True)
def _no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_the_plan_counts_the_tiles_of_this_machine(tmp_path: Path) -> None:
    """What another machine prefers, or this process where workers will train, is not what a launch takes."""
    home = Home(tmp_path)
    noted(home, TINY, {"elsewhere, 1 cpus, 0 gpus": 5, WORKER: 2, this_process("cpu"): 3})
    seen = preview(parse_spec(TINY), home)
    assert (seen.tiles, seen.tiles_known) == (18, True)
    here = preview(parse_spec(TINY), home, here=True)
    assert (here.tiles, here.tiles_known, here.workers) == (12, True, 1)


def test_the_plan_takes_what_the_launch_takes(tmp_path: Path) -> None:
    """The width in the plan's count is the one that the driver asks for."""
    home, spec = Home(tmp_path), parse_spec(TINY)
    noted(home, TINY, {WORKER: 4})
    plan = make_plan(spec, {})
    (setting,) = plan.settings
    with closing(Ledger(home.ledger, create=False)) as ledger:
        width = known_width(plan, setting, ledger, WORKER)
    assert width == 4
    assert preview(spec, home).tiles == len(plan.jobs(plan.cells, {setting: width}))


def test_what_is_not_measured_yet_is_a_bound(tmp_path: Path) -> None:
    """Without a width for this machine, or where more fit together now, so many tiles are the least."""
    home, spec = Home(tmp_path), parse_spec(TINY)
    assert (preview(spec, home).tiles, preview(spec, home).tiles_known) == (6, False)
    noted(home, TINY, {WORKER: 6, "elsewhere, 1 cpus, 0 gpus": 1})
    assert preview(spec, home).tiles_known
    wider = parse_spec(TINY.replace("[1e-3, 1e-2, 30]", "[1e-3, 1e-2, 1, 30]"))
    assert (preview(wider, home).tiles, preview(wider, home).tiles_known) == (6, False)


def test_a_given_tile_is_known(tmp_path: Path) -> None:
    """A spec that names the width needs no measurement."""
    seen = preview(parse_spec(TINY + "workers: {tile: 2}\n"), Home(tmp_path))
    assert (seen.tiles, seen.tiles_known) == (18, True)


def test_a_cluster_and_its_gpus_have_names_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of a cluster, and those with a share of a GPU, are remembered apart."""
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    workers = parse_spec(TINY + "workers: {cpus_per_worker: 2, gpus_per_worker: 0.5}\n").workers
    assert list(likely_machines(workers, here=False)) == ["head:6379, 2 cpus, 0.5 gpus"]
