"""The shipped study of HalfCheetah, with the real physics engine: a launch of one of its cells."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from study.home import Home
from study.plan.cells import make_plan
from study.spec.read import SPECS, read_spec
from tests.command import study
from tracking import Ledger

pytest.importorskip("mujoco", reason="the extra mujoco is not installed")


def launched(folder: Path) -> list[tuple[int, float]]:
    """Steps and returns of one agent, from the ledger of a launch in a folder of its own."""
    folder.mkdir()
    shutil.copy(str(SPECS / "half_cheetah.py"), folder)
    spec = yaml.safe_load((SPECS / "stabilizer-half-cheetah.yaml").read_text(encoding="utf-8"))
    small = {"transforms": [{"name": "clip_norm", "max_norm": 0.5}], "lr": [3e-3], "seeds": 1}
    spec |= small | {"budget": {"steps": 800, "batch_size": 256, "points": 2}}
    file, home = folder / "spec.yaml", Home(folder / "home")
    file.write_text(yaml.safe_dump(spec))
    assert study("launch", str(file), "--home", str(home.root), "--here") == 0
    with closing(Ledger(home.ledger, create=False)) as ledger:
        plan = make_plan(read_spec(str(file)), ledger.fingerprints(spec["name"]))
        (record,) = ledger.get(plan.keys).values()
    assert record.outcome == "finished"
    return [(step, metric) for step, _, metric in record.curve]


def test_an_agent_learns_to_run_and_does_it_again(tmp_path: Path) -> None:
    """20,480 steps of the environment take it from rest to a return of 200 or more, twice the same."""
    once = launched(tmp_path / "once")
    (start, before), *_, (step, after) = once
    assert (start, step) == (0, 800)
    assert abs(before) < 50
    assert after > 200
    assert once == launched(tmp_path / "again")
    assert not list(tmp_path.rglob("MUJOCO_LOG.TXT"))
