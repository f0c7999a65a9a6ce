"""What records keep of the dynamics: each number as it was, and null where nothing was measured."""

from __future__ import annotations

import json
import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from study.measures.dynamics import PROBES, Series, series
from study.plan.cells import make_plan
from study.run.records import dynamics_of, failed_records
from study.spec.read import parse_spec
from tests.conftest import TINY
from tests.making import RECORD
from tracking import Ledger
from trainers import Budget, Curves, make_optimizer, make_transform, make_workload, train_fused
from trainers.dynamics import Dynamics, Moment, Recorder

BUDGET = Budget(
    steps=8, batch_size=32, points=8, dynamics=1, loss_scale=10.0, spike_steps=(5,), spike_size=3e19
)


def trained(transform: str, budget: Budget = BUDGET, lr: float = 1e-3, optimizer: str = "adamw") -> Curves:
    return train_fused(
        make_workload("synthetic", "mlp"),
        make_transform(transform),
        make_optimizer(optimizer),
        budget,
        lr_C=torch.tensor([lr]),
        weight_decay_C=torch.zeros(1),
        seed=0,
    )


def read(curves: Curves) -> tuple[dict[str, Any], Series]:
    """The text of the one cell's record, parsed, and what measures make of it."""
    text = json.dumps(dynamics_of(curves, 0))
    record = replace(
        RECORD, dynamics=text, reason=curves.reason_C[0], diverged_step=curves.diverged_step_C[0]
    )
    found = series(np.array([[[record]]], dtype=object))
    assert found is not None
    return json.loads(text), found


def zero_then_overflown() -> Dynamics:
    """A tensor without a gradient beside an ordinary one, then no gradient, then one that overflows."""
    ordinary, zero, broken = torch.ones(1, 2, 2), torch.zeros(1, 2, 2), torch.full((1, 2, 2), torch.inf)
    recorder = Recorder(1, {"a": ordinary[0], "b": ordinary[0]}, 1)
    for step, (a, b) in enumerate([(ordinary, zero), (zero, zero), (ordinary, broken)], 1):
        grads = {"a": a, "b": b}
        before = {name: torch.ones(1, 2, 2) for name in grads}
        recorder.add(step, torch.tensor([0]), Moment(before, before, grads, grads, {}))
    found = recorder.result()
    assert found is not None
    return found


def test_a_living_cell_says_that_its_gradient_overflowed() -> None:
    """At a spike of 3e19 the stabilizer lets an infinite norm through; its finite cell's record says so."""
    curves = trained("gradient_stabilizer")
    assert curves.outcome_C == ("finished",)
    kept, found = read(curves)
    assert found.step_J == tuple(range(1, 9))
    for name in ("grad_norm", "out_norm", "tensor_norm"):
        assert kept[name][4] == math.inf
        assert found.values[name][0, 0, 0, 4] == math.inf
        assert np.flatnonzero(found.broken(name)[0, 0, 0]).tolist() == [4]
    assert math.isnan(kept["least_cosine"][4])
    assert np.flatnonzero(found.broken("least_cosine")[0, 0, 0]).tolist() == [4]
    assert found.alive_SWLJ.all()


def test_null_is_where_the_cell_had_ended() -> None:
    """A record has numbers up to the last step that the cell lived through, and null after it."""
    for points, reason in ((8, "nonfinite_parameters"), (1, "nonfinite_loss")):
        budget = replace(BUDGET, points=points, spike_steps=(1,), spike_size=1e38)
        curves = trained("none", budget, lr=1e10, optimizer="sgd")
        assert curves.reason_C == (reason,)
        kept, found = read(curves)
        assert kept["grad_norm"] == [math.inf, *[None] * (len(kept["step"]) - 1)]
        assert None not in [values[0] for name, values in kept.items() if isinstance(values, list)]
        assert np.flatnonzero(found.alive_SWLJ).tolist() == [0]
        assert np.flatnonzero(found.broken("grad_norm")).tolist() == [0]


def test_what_is_undefined_is_a_gap() -> None:
    """Where a gradient is zero, ratios and directions are null; where one overflowed, they are NaN."""
    curves = replace(trained("none", replace(BUDGET, dynamics=0)), dynamics=zero_then_overflown())
    kept, found = read(curves)
    assert kept["grad_norm"] == [2.0, 0.0, math.inf]
    assert kept["cosine"][:2] == [1.0, None]
    assert kept["least_cosine"][:2] == [1.0, None]
    assert kept["scale"][:2] == [1.0, None]
    assert kept["gain"]["a"] == [1.0, None, 1.0]
    assert kept["gain"]["b"][:2] == [None, None]
    for values in (kept["scale"], kept["cosine"], kept["least_cosine"], kept["gain"]["b"]):
        assert math.isnan(values[2])
    for name in ("grad_norm", "out_norm", "scale", "cosine", "least_cosine"):
        assert found.broken(name)[0, 0, 0].tolist() == [False, False, True]
    assert found.broken("gain")[0, 0, 0].tolist() == [[False, False], [False, False], [False, True]]
    assert not found.broken("update_ratio").any()


def test_a_reason_with_half_a_character_is_stored(tmp_path: Path) -> None:
    """An error that names an odd file has one, and the tile's failure is stored all the same."""
    plan = make_plan(parse_spec(TINY), {"digits/mlp": "f"})
    job = plan.jobs(plan.cells, dict.fromkeys(plan.settings, 300))[0]
    found = failed_records(job, "cannot read \udcff.bin")
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        ledger.add(found)
        assert set(ledger.reasons([found[0].key]).values()) == {"cannot read \\udcff.bin"}


def test_only_networks_with_probes_record_them() -> None:
    """A language model's record has what it shows of itself behind the usual, and another's is as ever."""
    text = make_workload(
        "text", "llama", {"width": 8, "depth": 1, "heads": 1, "hidden": 8}, context=8, length=2000
    )
    budget = Budget(steps=4, batch_size=4, points=1, dynamics=2)
    parts = make_transform("none"), make_optimizer("adamw"), budget
    cells = {"lr_C": torch.tensor([1e-3]), "weight_decay_C": torch.zeros(1), "seed": 0}
    content, found = read(train_fused(text, *parts, **cells))
    plain, _ = read(trained("none", budget))
    assert list(content) == [*list(plain)[:-2], *PROBES, *list(plain)[-2:]]
    for name in PROBES:
        assert found.has(name)
        assert found.values[name].shape == (1, 1, 1, 2)
        assert not found.broken(name).any()
