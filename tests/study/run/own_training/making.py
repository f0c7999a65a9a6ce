"""Studies of a function or a command of a user's own, and their cells trained one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from study.plan.cells import make_plan
from study.run.own_training.training import train_own
from study.spec.model import StudySpec
from study.spec.read import read_spec
from tracking import CellRecord

SPEC: dict[str, Any] = {
    "name": "own",
    "transforms": ["none"],
    "lr": [0.1],
    "weight_decay": [0],
    "seeds": 1,
    "budget": {"steps": 20, "batch_size": 32, "points": 4},
}
TOLD: dict[str, Any] = {"metric": "accuracy", "direction": "max", "paired": True, "untrained": 0.1}


def spec_of(folder: Path, workload: dict[str, Any], **more: Any) -> StudySpec:
    """A spec in a file of a folder, read as a launch reads it."""
    path = folder / "own.yaml"
    path.write_text(json.dumps(SPEC | {"workload": TOLD | workload} | more))
    return read_spec(str(path), runs=True)


def trained(spec: StudySpec, **chosen: Any) -> CellRecord:
    """The record of the first cell of a spec that has these values."""
    plan = make_plan(spec, {})
    cell = next(one for one in plan.cells if all(getattr(one, key) == value for key, value in chosen.items()))
    (job,) = plan.jobs([cell], {cell.setting: 1})
    (record,) = train_own(job, "cpu", {"torch": "2"}, threads=1)
    return record
