"""Agents trained together equal agents trained one by one, and learn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainers.making import Dying, same
from trainers import (
    Budget,
    Checkpoint,
    Curves,
    make_optimizer,
    make_transform,
    make_workload,
    train_fused,
    train_serial,
)
from trainers.control.environments import ENVIRONMENTS
from trainers.control.ppo import Ppo
from trainers.control.returns import collapsed_below
from trainers.workloads.control import Control

SMALL: dict[str, Any] = {"envs": 3, "horizon": 16, "epochs": 2, "episodes": 2}
CELLS: dict[str, Any] = {
    "lr_C": torch.tensor([1e-4, 1e-2, 1e-3], dtype=torch.float64),
    "weight_decay_C": torch.tensor([1e-2, 0.0, 1.0], dtype=torch.float64),
    "seed": 1,
}
RELATIVE = 1e-7
"""Float64 rounding, amplified by the motion of pendulums over 200 steps and by 18 steps of the optimizer."""


def task(name: str, **constants: Any) -> Control:
    found = make_workload(name, "mlp", {"hidden": (16,)}, **{**SMALL, **constants})
    assert isinstance(found, Control)
    return found


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=RELATIVE, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("name", "transform", "more"),
    [
        ("cartpole", "none", {}),
        ("cartpole", "gradient_stabilizer", {"accumulation": 2, "loss_scale": 8.0}),
        ("pendulum", "clip_norm", {"spike_steps": (3,), "spike_size": 100.0}),
        pytest.param("acrobot", "zclip", {}, marks=pytest.mark.long),
        pytest.param("mountain_car", "none", {}, marks=pytest.mark.long),
    ],
)
def test_fused_equals_serial(name: str, transform: str, more: dict[str, Any]) -> None:
    """Returns and gradients agree to rounding, with ends of episodes inside of a rollout and between two."""
    budget = Budget(18, 24, schedule="linear", warmup=2, points=2, precision="float64", dynamics=4, **more)
    parts = (task(name), make_transform(transform), make_optimizer("adamw"), budget)
    fused, serial = train_fused(*parts, **CELLS), train_serial(*parts, **CELLS)
    assert fused.step_K == serial.step_K == (0, 9, 18)
    assert fused.outcome_C == serial.outcome_C
    assert fused.loss_initial == pytest.approx(serial.loss_initial, rel=RELATIVE)
    close(fused.metric_KC, serial.metric_KC)
    close(fused.loss_KC, serial.loss_KC)
    assert fused.dynamics is not None
    assert serial.dynamics is not None
    close(fused.dynamics.grad_norm_JC, serial.dynamics.grad_norm_JC)
    close(fused.dynamics.update_ratio_JC, serial.dynamics.update_ratio_JC)
    assert len(set(fused.dynamics.grad_norm_JC[-1].tolist())) == 3


def test_time_limits_are_no_ends_of_tasks() -> None:
    """Agents whose episodes are cut agree too: rollouts that are longer than an episode's time limit."""
    budget = Budget(4, 220, points=1, precision="float64", dynamics=1)
    parts = (
        task("pendulum", envs=1, horizon=220, epochs=2),
        make_transform("none"),
        make_optimizer("adam"),
        budget,
    )
    fused, serial = train_fused(*parts, **CELLS), train_serial(*parts, **CELLS)
    assert fused.dynamics is not None
    assert serial.dynamics is not None
    close(fused.dynamics.grad_norm_JC, serial.dynamics.grad_norm_JC)


def test_advantages_equal_the_sum_that_they_stand_for() -> None:
    """A_t = Σ_k (γλ)^k δ_(t+k) up to the end of the episode, with nothing behind a terminated step."""
    ppo = Ppo(
        envs=2, horizon=6, epochs=1, discount=0.9, trace=0.7, clip=0.2,
        value_weight=0.5, entropy_weight=0.0, reward_scale=0.5,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    reward, value, following = torch.randn(3, 6, 2, generator=generator, dtype=torch.float64)
    terminated, truncated = torch.zeros(2, 6, 2, dtype=torch.float64)
    terminated[1, 0] = truncated[3, 0] = truncated[4, 1] = 1
    done = torch.maximum(terminated, truncated)
    found = ppo.advantages(reward, value, following, terminated, done)
    for e in range(2):
        for t in range(6):
            wanted, weight = 0.0, 1.0
            for k in range(t, 6):
                after = 0.0 if terminated[k, e] else 0.9 * float(following[k, e])
                wanted += weight * (0.5 * float(reward[k, e]) + after - float(value[k, e]))
                weight *= 0.9 * 0.7
                if done[k, e]:
                    break
            assert float(found[t, e]) == pytest.approx(wanted, rel=1e-12)


def test_neighbours_do_not_matter() -> None:
    """An agent gives the same bits beside a calm neighbour and beside one whose numbers overflow."""
    budget = Budget(steps=18, batch_size=24, points=3)
    parts = (task("pendulum"), make_transform("none"), make_optimizer("sgd"), budget)

    def beside(lr: float) -> Curves:
        cells = {"lr_C": torch.tensor([1e-3, lr, 1e-2]), "weight_decay_C": torch.zeros(3), "seed": 0}
        return train_fused(*parts, **cells)

    calm, wild = beside(1e-3), beside(1e30)
    assert wild.outcome_C[1] == "diverged"
    assert wild.reason_C[1] in ("nonfinite_loss", "nonfinite_parameters")
    for c in (0, 2):
        assert torch.equal(calm.metric_KC[:, c], wild.metric_KC[:, c])


def test_goes_on_where_it_died(tmp_path: Path) -> None:
    """A run that died amid a rollout's steps goes on from its checkpoint, with the same bits."""
    budget = Budget(steps=18, batch_size=24, points=3, dynamics=4)
    parts = (task("cartpole"), make_transform("gradient_stabilizer"), make_optimizer("adamw"), budget)
    whole = train_fused(*parts, **CELLS)
    with pytest.raises(KeyboardInterrupt):
        train_fused(*parts, **CELLS, checkpoint=Dying(tmp_path / "kept", 6))
    assert same(train_fused(*parts, **CELLS, checkpoint=Checkpoint(tmp_path / "kept")), whole)


def test_a_collapsed_policy_is_counted() -> None:
    """An agent that always pushes to one side returns less than the untrained one, and so has diverged."""
    budget = Budget(steps=18, batch_size=24, points=2)
    parts = (task("cartpole", episodes=32), make_transform("none"), make_optimizer("adam"), budget)
    curves = train_fused(*parts, lr_C=torch.tensor([0.0, 1.0]), weight_decay_C=torch.zeros(2), seed=0)
    assert curves.outcome_C == ("finished", "diverged")
    assert curves.reason_C == (None, "policy_collapsed")
    assert curves.metric_KC[0, 0] == curves.metric_KC[-1, 0] > curves.metric_KC[-1, 1]
    assert curves.loss_KC[-1, 1] == 500 - curves.metric_KC[-1, 1]


def test_the_limit_of_a_collapse_is_three_standard_errors() -> None:
    """Of the returns 10, 12 and 14 it is 12 - 3 · 2/√3."""
    assert collapsed_below(torch.tensor([10.0, 12.0, 14.0])) == pytest.approx(12 - 6 / math.sqrt(3))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"batch_size": 25}, "wanted a divisor of 48"),
        ({"batch_size": 1}, "wants 2 or more"),
        ({"precision": "bfloat16"}, "wants float32 or float64"),
        ({"quantization": "int8"}, "wants none"),
        ({"explosion_factor": 2.0}, "counts policies that collapsed"),
    ],
)
def test_refuses_what_agents_cannot_be_trained_with(more: dict[str, Any], words: str) -> None:
    """The message says what was found and wanted."""
    budget = Budget(**{"steps": 2, "batch_size": 24, **more})
    with pytest.raises(ValueError, match=words):
        train_fused(task("cartpole"), make_transform("none"), make_optimizer("adam"), budget, **CELLS)


def test_refuses_networks_that_act_otherwise_than_they_learn() -> None:
    """Dropout is refused when the network is built."""
    with pytest.raises(ValueError, match="dropout"):
        make_workload("cartpole", "mlp", {"dropout": 0.1}).initial_model(0)


def test_fingerprints_tell_tasks_and_constants_apart() -> None:
    """Whatever decides an agent's numbers changes the fingerprint, constants that are left out included."""
    found = [task(name).fingerprint() for name in ENVIRONMENTS]
    found += [task("cartpole", clip=0.3).fingerprint(), task("cartpole", discount=0.98).fingerprint()]
    assert len(set(found)) == len(found)
    assert task("cartpole").fingerprint() == task("cartpole", discount=0.99).fingerprint()


@pytest.mark.long
def test_agents_learn_to_balance() -> None:
    """CartPole's return is above 400 after 40,960 steps at one of two good learning rates."""
    budget = Budget(steps=640, batch_size=256, points=1)
    parts = (make_workload("cartpole", "mlp"), make_transform("none"), make_optimizer("adam"), budget)
    curves = train_fused(*parts, lr_C=torch.tensor([3e-3, 6e-3]), weight_decay_C=torch.zeros(2), seed=0)
    assert float(curves.metric_final_C.max()) > 400
