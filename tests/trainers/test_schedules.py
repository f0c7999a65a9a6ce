"""Schedules are those of `torch.optim.lr_scheduler`, and a budget names them with their constants."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR, StepLR

from trainers.budget import Budget
from trainers.schedules import SCHEDULES

RELATIVE = 1e-12
"""Rounding: torch multiplies from step to step, this project computes each step on its own."""
STEPS = 90
TORCH: dict[str, tuple[dict[str, Any], Callable[[Any, int], LRScheduler]]] = {
    "cosine": ({"schedule": "cosine"}, lambda o, n: CosineAnnealingLR(o, T_max=n)),
    "cosine to a floor": (
        {"schedule": "cosine", "floor": 0.1},
        lambda o, n: CosineAnnealingLR(o, T_max=n, eta_min=0.1),
    ),
    "linear": (
        {"schedule": "linear"},
        lambda o, n: LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=n),
    ),
    "linear to a floor": (
        {"schedule": "linear", "floor": 0.2},
        lambda o, n: LinearLR(o, start_factor=1.0, end_factor=0.2, total_iters=n),
    ),
    "step": ({"schedule": "step", "decay_every": 30}, lambda o, n: StepLR(o, step_size=30, gamma=0.75)),
    "step by half": (
        {"schedule": "step", "decay_every": 7, "decay_factor": 0.5},
        lambda o, n: StepLR(o, step_size=7, gamma=0.5),
    ),
    "constant": ({"schedule": "constant"}, lambda o, n: StepLR(o, step_size=n, gamma=1.0)),
}


def rates(build: Callable[[torch.optim.Optimizer], LRScheduler]) -> list[float]:
    """lr of every step under a torch scheduler, from 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = build(optimizer)
    found = []
    for _ in range(STEPS):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("case", list(TORCH))
def test_equals_torch(case: str) -> None:
    """Each rule gives torch's learning rate at each step."""
    constants, build = TORCH[case]
    budget = Budget(STEPS, 1, **constants)
    assert [budget.lr_factor(t) for t in range(STEPS)] == pytest.approx(
        rates(lambda o: build(o, STEPS)), rel=RELATIVE, abs=RELATIVE
    )


# Torch's SequentialLR uses what torch deprecates.
@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step")
@pytest.mark.parametrize("case", list(TORCH))
def test_warmup_goes_before_any_rule(case: str) -> None:
    """The first ten steps rise linearly to 1, then the rule runs from its beginning over the other eighty."""
    constants, build = TORCH[case]
    budget = Budget(STEPS, 1, warmup=10, **constants)

    def sequence(optimizer: torch.optim.Optimizer) -> LRScheduler:
        warmup = LinearLR(optimizer, start_factor=0.1, end_factor=1.0, total_iters=9)
        return SequentialLR(optimizer, [warmup, build(optimizer, STEPS - 10)], milestones=[10])

    assert [budget.lr_factor(t) for t in range(STEPS)] == pytest.approx(
        rates(sequence), rel=RELATIVE, abs=RELATIVE
    )


def test_every_schedule_is_tested() -> None:
    """Each row of the table is compared with torch."""
    assert {constants["schedule"] for constants, _ in TORCH.values()} == set(SCHEDULES)


def test_the_recipe_of_three_quarters() -> None:
    """Times 0.75 every 30 epochs of 10 steps."""
    budget = Budget(900, 1, schedule="step", decay_every=300)
    assert [budget.lr_factor(t) for t in (0, 299, 300, 599, 600, 899)] == [
        1.0,
        1.0,
        0.75,
        0.75,
        0.5625,
        0.5625,
    ]


def test_constants_are_written_out() -> None:
    """A constant that is not given takes its rule's default, so that budgets with equal numbers are equal."""
    assert Budget(10, 1, schedule="cosine") == Budget(10, 1, schedule="cosine", floor=0.0)
    assert Budget(10, 1, schedule="step", decay_every=3).decay_factor == 0.75
    assert Budget(10, 1).floor is None


@pytest.mark.parametrize(
    ("constants", "words"),
    [
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"schedule": "step"}, "needs decay_every"),
        ({"floor": 0.1}, "'constant' has no constant 'floor'; it has none"),
        ({"schedule": "cosine", "decay_every": 3}, "its constants: floor"),
        ({"schedule": "cosine", "floor": 1.5}, "floor is 1.5"),
        ({"schedule": "step", "decay_every": 0}, "decay_every is 0"),
        ({"schedule": "step", "decay_every": 1, "decay_factor": 0.0}, "decay_factor is 0"),
        ({"schedule": "step", "decay_every": "often"}, "wanted a number"),
    ],
)
def test_constants_that_do_not_fit(constants: dict[str, Any], words: str) -> None:
    """A constant of another schedule, a missing one and one out of range are refused, with what is wanted."""
    with pytest.raises(ValueError, match=words):
        Budget(10, 1, **constants)


def test_no_torch_is_needed() -> None:
    """A budget with its schedule is checked without importing torch."""
    code = (
        "import sys; from trainers.budget import Budget; "
        "Budget(9, 1, schedule='step', decay_every=3).lr_factor(5); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
