"""Float16 has the loss scale of `torch.amp.GradScaler` for each cell, and counts the steps that it skips."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from tests.trainers.making import Dying
from trainers import (
    Budget,
    Checkpoint,
    Curves,
    Transform,
    Workload,
    make_optimizer,
    make_transform,
    make_workload,
    precision,
    train_fused,
    train_serial,
)
from trainers.feed import Feed
from trainers.precision import LARGEST_SCALE, LossScale, loss_function
from trainers.run import Run
from trainers.step import Step

SCALED = Budget(steps=12, batch_size=32, points=12, precision="float16")


@cache
def workload() -> Workload:
    return make_workload("digits", "mlp")


def run(trainer: Any, budget: Budget, lr: tuple[float, ...] = (1e-3,), transform: str = "zclip") -> Curves:
    lr_C = torch.tensor(lr, dtype=torch.float64)
    parts = (workload(), make_transform(transform), make_optimizer("adamw"), budget)
    curves: Curves = trainer(*parts, lr_C=lr_C, weight_decay_C=torch.full_like(lr_C, 0.1), seed=0)
    return curves


def test_the_scale_is_that_of_grad_scaler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scale and count after every step of a long sequence of finite and overflowing gradients."""
    monkeypatch.setattr(precision, "GROWTH_INTERVAL", 4)
    weight = torch.nn.Parameter(torch.zeros(()))
    rule = torch.optim.SGD([weight], lr=0.0)
    scaler = torch.amp.GradScaler("cpu", growth_interval=4)
    scaler.scale(torch.ones(()))  # its state is made with the first loss
    state = LossScale().init(torch.zeros(1))
    generator = torch.Generator().manual_seed(1)
    overflows = (torch.rand(400, generator=generator) < 0.1).tolist()
    for overflow in [*overflows, *[False] * 800]:
        weight.grad = torch.tensor(math.inf if overflow else 1.0)
        scaler.step(rule)
        scaler.update()
        state = LossScale().update(state, torch.tensor([not overflow]))
        assert (state["scale"].item(), state["good"].item()) == (
            scaler.get_scale(),
            scaler._get_growth_tracker(),
        )
    assert state["skipped"].item() == sum(overflows)
    assert state["scale"].item() == LARGEST_SCALE


def test_training_is_that_of_grad_scaler() -> None:
    """A plain loop with GradScaler, AdamW and the usual order of calls has the losses of a serial run."""
    budget = replace(SCALED, loss_scale=64.0, schedule="cosine", warmup=2, accumulation=2)
    feed = Feed(workload(), budget, 0, "cpu")
    model = workload().initial_model(0)
    named, loss_of = dict(model.named_parameters()), loss_function(workload(), model, budget)
    rule = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    scaler, losses, skipped = torch.amp.GradScaler("cpu"), [], 0
    for t, micro in feed.steps():
        rule.zero_grad()
        parts = [loss_of(named, {}, x, y) for x, y, _ in micro]
        for loss in parts:
            scaler.scale(loss * budget.loss_scale).backward()
        for group in rule.param_groups:
            group["lr"] = 1e-3 * budget.lr_factor(t)
        before = scaler.get_scale()
        scaler.unscale_(rule)
        for p in model.parameters():
            p.grad = None if p.grad is None else p.grad / len(parts)
        scaler.step(rule)
        scaler.update()
        skipped += scaler.get_scale() < before
        losses.append(float(torch.stack(parts).detach().mean()))
    found = run(train_serial, budget, transform="none")
    assert 0 < skipped < budget.steps
    assert found.skipped_C == (skipped,)
    torch.testing.assert_close(found.loss_KC[1:, 0].tolist(), losses, rtol=1e-6, atol=0)


@pytest.mark.parametrize("loss_scale", [1.0, 64.0, 1e4])
def test_skipped_steps_are_counted(loss_scale: float) -> None:
    """Per cell, the same fused and serial, and while a cell lives: what follows a lost one is no step."""
    budget = replace(SCALED, loss_scale=loss_scale, points=3)
    fused, serial = (run(trainer, budget, lr=(1e-3, 1e-2, 1e9)) for trainer in (train_fused, train_serial))
    assert fused.skipped_C == serial.skipped_C
    assert fused.outcome_C == serial.outcome_C == ("finished", "finished", "diverged")
    assert fused.diverged_step_C == serial.diverged_step_C
    assert fused.skipped_C is not None
    assert (fused.skipped_C[0] > 0) == (loss_scale > 1)


@pytest.mark.parametrize("trainer", [train_fused, train_serial])
def test_a_cell_that_skips_every_step_has_diverged(trainer: Any) -> None:
    """It trained nothing, so it is not finished; its losses, which are the untrained network's, are kept."""
    found = run(trainer, replace(SCALED, loss_scale=1e20))
    assert found.skipped_C == (SCALED.steps,)
    assert (found.outcome_C, found.reason_C, found.diverged_step_C) == (
        ("diverged",),
        ("no_step_taken",),
        (1,),
    )
    assert found.loss_KC.isfinite().all()
    assert len(found.metric_KC.unique()) == 1


def test_other_precisions_skip_nothing() -> None:
    """There is no count where there is no loss scale."""
    for name in ("float32", "bfloat16"):
        assert run(train_fused, replace(SCALED, precision=name)).skipped_C is None


def test_a_skipped_step_leaves_all_as_it_was() -> None:
    """Parameters, counts of the optimizer and what the transform remembers, in that cell alone."""
    lr_C, method = torch.tensor([1e-3, 1e-3]), make_transform("gradient_stabilizer")
    ready = Run(workload(), method, make_optimizer("adamw"), SCALED, lr_C, torch.zeros(2), seed=0)
    step = Step(ready, workload().initial_model(0), looped=False)
    tile = step.begin()
    for t, micro in Feed(workload(), SCALED, 0, "cpu").steps():
        before = tile
        if t == 3:  # gradients of the second cell overflow
            tile = replace(tile, scale={**tile.scale, "scale": torch.tensor([65536.0, 1e38])})
        tile, _, _ = step(tile, micro, lr_C, 1.0)
        if t == 3:
            break
    parts = [
        (getattr(one, name) for name in ("params", "transform_state", "optimizer_state"))
        for one in (before, tile)
    ]
    for old, new in zip(*map(tree_leaves, map(list, parts)), strict=True):
        assert torch.equal(old[1], new[1])
    assert not torch.equal(before.params["1.weight"][0], tile.params["1.weight"][0])
    assert tile.scale["skipped"].tolist() == [0, 1]
    assert tile.scale["good"].tolist() == [4, 0]
    assert tile.scale["scale"].tolist() == [65536.0, float(torch.tensor(1e38) / 2)]


def test_a_transform_sees_unscaled_gradients_in_float32() -> None:
    """Of float16 and of bfloat16: their norms are those of float32, to half precision."""
    kinds: list[torch.dtype] = []

    def noting(grads: dict[str, Tensor], state: Any, params: dict[str, Tensor]) -> Any:
        kinds.extend(g.dtype for g in grads.values())
        return grads, state

    transform = Transform(init=lambda params: {}, update=noting)
    cells: dict[str, Any] = {"lr_C": torch.tensor([1e-4]), "weight_decay_C": torch.zeros(1), "seed": 0}
    norms = {}
    for name in ("float32", "bfloat16", "float16"):
        budget = replace(SCALED, precision=name, dynamics=1)
        dynamics = train_fused(workload(), transform, make_optimizer("adamw"), budget, **cells).dynamics
        assert dynamics is not None
        norms[name] = dynamics.grad_norm_JC
    assert set(kinds) == {torch.float32}
    for name in ("bfloat16", "float16"):
        torch.testing.assert_close(norms[name], norms["float32"], rtol=0.02, atol=0)


def test_counts_go_on_after_a_process_died(tmp_path: Path) -> None:
    """A resumed tile has the counts of an undisturbed one."""
    budget = replace(SCALED, loss_scale=1e4, points=3)
    parts = (workload(), make_transform("zclip"), make_optimizer("adamw"), budget)
    cells: dict[str, Any] = {"lr_C": torch.tensor([1e-3, 1e9]), "weight_decay_C": torch.zeros(2), "seed": 3}
    undisturbed = train_fused(*parts, **cells)
    for last in (2, 7):
        path = tmp_path / f"run{last}"
        with pytest.raises(KeyboardInterrupt):
            train_fused(*parts, **cells, checkpoint=Dying(path, last))
        assert train_fused(*parts, **cells, checkpoint=Checkpoint(path)).skipped_C == undisturbed.skipped_C
