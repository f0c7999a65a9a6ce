"""How cells are grouped into tiles, and in which order, does not decide what they give."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from trainers import Budget, make_optimizer, make_transform, make_workload, train_fused

BUDGET = Budget(steps=60, batch_size=64, points=3)
LR = [1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 30.0]
WEIGHT_DECAY = [0.0, 1e-2, 1.0]
TOLERANCE = {"float64": 1e-12, "float32": 1e-4}
"""Largest relative difference of a cell's final loss between groupings, if its loss fell.

It is the rounding of a few bits, amplified by 60 steps.
"""
CELLS = [(lr, wd) for wd in WEIGHT_DECAY for lr in LR]


def losses(
    model: str, transform: str, precision: str, groups: list[list[int]]
) -> tuple[dict[int, float], dict[int, str]]:
    """Final losses and outcomes by cell, trained in these groups."""
    parts = (
        make_workload("digits", model),
        make_transform(transform),
        make_optimizer("adamw"),
        replace(BUDGET, precision=precision),
    )
    found, ended = {}, {}
    for group in groups:
        cells = torch.tensor([CELLS[k] for k in group], dtype=torch.float64)
        curves = train_fused(*parts, lr_C=cells[:, 0], weight_decay_C=cells[:, 1], seed=1)
        for k, loss, outcome in zip(group, curves.loss_final_C.tolist(), curves.outcome_C, strict=True):
            found[k], ended[k] = loss / curves.loss_initial, outcome
    return found, ended


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize(
    ("model", "transform"),
    [
        ("mlp", "none"),
        ("mlp", "autoscale"),
        pytest.param("convnet", "gradient_stabilizer", marks=pytest.mark.long),
    ],
)
def test_grouping_changes_rounding_alone(model: str, transform: str, precision: str) -> None:
    """One tile, tiles of five and shuffled tiles of eight give cells the same outcome and, nearly, loss."""
    everything = list(range(len(CELLS)))
    shuffled = random.Random(0).sample(everything, len(everything))
    whole, ended = losses(model, transform, precision, [everything])
    learned = [k for k in everything if ended[k] == "finished" and whole[k] < 0.5]
    assert len(learned) >= 6
    for groups in (
        [everything[k : k + 5] for k in range(0, len(everything), 5)],
        [shuffled[k : k + 8] for k in range(0, len(everything), 8)],
    ):
        found, also = losses(model, transform, precision, groups)
        assert also == ended
        worst = max(abs(found[k] - whole[k]) / whole[k] for k in learned)
        assert worst <= TOLERANCE[precision], worst
