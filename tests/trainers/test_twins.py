"""The fused trainer equals the serial one, and cells do not touch each other."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

from tests.trainers.making import RELATIVE, assert_twins
from trainers import (
    OPTIMIZERS,
    TRANSFORMS,
    Budget,
    Curves,
    Workload,
    make_optimizer,
    make_transform,
    make_workload,
    train_fused,
    train_serial,
)
from trainers.models.dropout import pair_dropout

LR_C = torch.tensor([1e-4, 1e-2, 1.0], dtype=torch.float64)
WEIGHT_DECAY_C = torch.tensor([1e-2, 1.0, 0.0], dtype=torch.float64)


@cache
def workload(model: str) -> Workload:
    return make_workload("digits", model)


@pytest.mark.parametrize("model", ["mlp", "convnet"])
@pytest.mark.parametrize("name", list(TRANSFORMS))
def test_fused_equals_serial(name: str, model: str) -> None:
    """Losses agree to rounding and accuracies exactly, for every transform on both nets."""
    budget = Budget(steps=40, batch_size=32, points=4, schedule="cosine", warmup=5, precision="float64")
    cells = {"lr_C": LR_C, "weight_decay_C": WEIGHT_DECAY_C, "seed": 1}
    parts = (workload(model), make_transform(name), make_optimizer("adamw"), budget)
    assert_twins(train_fused(*parts, **cells), train_serial(*parts, **cells))


@pytest.mark.parametrize("model", ["mlp", pytest.param("convnet", marks=pytest.mark.long)])
@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_optimizers_over_200_steps(name: str, model: str) -> None:
    """Every optimizer, fused, equals `torch.optim` (Lion: its paper) on every workload after 200 steps."""
    budget = Budget(steps=200, batch_size=32, points=4, precision="float64")
    cells = {
        "lr_C": torch.tensor([1e-4, 1e-3], dtype=torch.float64),
        "weight_decay_C": torch.tensor([1e-2, 0.0], dtype=torch.float64),
        "seed": 0,
    }
    parts = (
        workload(model),
        make_transform("clip_norm"),
        make_optimizer(name, **({"momentum": 0.9, "nesterov": True} if name == "sgd" else {})),
        budget,
    )
    assert_twins(train_fused(*parts, **cells), train_serial(*parts, **cells))


def test_fused_equals_serial_where_cells_diverge() -> None:
    """Reason and step of divergence agree: exploded losses, and losses that overflow."""
    budget = Budget(steps=60, batch_size=32, points=3, precision="float64")
    cells = {
        "lr_C": torch.tensor([1e-3, 3.0, 1e8]),
        "weight_decay_C": torch.tensor([0.0, 1.0, 10.0]),
        "seed": 0,
    }
    parts = (workload("mlp"), make_transform("none"), make_optimizer("adamw"), budget)
    fused = train_fused(*parts, **cells)
    assert_twins(fused, train_serial(*parts, **cells))
    assert fused.outcome_C == ("finished", "diverged", "diverged")
    assert fused.reason_C == (None, "loss_exploded", "nonfinite_loss")


def test_constants_may_differ_between_cells() -> None:
    """A constant given per cell does what the same constant does alone."""
    budget = Budget(steps=20, batch_size=32, points=2, precision="float64")
    cells = {
        "lr_C": LR_C,
        "weight_decay_C": WEIGHT_DECAY_C,
        "seed": 0,
        "constants_C": {"max_norm": torch.tensor([0.01, 0.5, 3.0], dtype=torch.float64)},
    }
    parts = (workload("mlp"), make_transform("clip_norm"), make_optimizer("adamw"), budget)
    assert_twins(train_fused(*parts, **cells), train_serial(*parts, **cells))


@pytest.mark.parametrize("model", ["mlp", pytest.param("convnet", marks=pytest.mark.long)])
@pytest.mark.parametrize("name", list(TRANSFORMS))
def test_neighbours_do_not_matter(name: str, model: str) -> None:
    """What a cell gives is bitwise the same beside a calm neighbour and beside one that overflows."""
    budget = Budget(steps=25, batch_size=32, points=5)
    parts = (workload(model), make_transform(name), make_optimizer("adamw"), budget)

    def beside(lr: float, weight_decay: float) -> Curves:
        return train_fused(
            *parts,
            lr_C=torch.tensor([1e-3, lr, 1e-2]),
            weight_decay_C=torch.tensor([0.1, weight_decay, 0.0]),
            seed=0,
        )

    calm, wild = beside(1e-3, 0.0), beside(1e25, 1e10)
    assert wild.outcome_C[1] == "diverged"
    for c in (0, 2):
        assert torch.equal(calm.loss_KC[:, c], wild.loss_KC[:, c])
        assert torch.equal(calm.metric_KC[:, c], wild.metric_KC[:, c])


def test_tile_width_changes_results_by_rounding_only() -> None:
    """A cell trained alone and in a tile of eight agrees in float64 to rounding."""
    budget = Budget(steps=30, batch_size=32, points=3, precision="float64")
    parts = (workload("mlp"), make_transform("zscore"), make_optimizer("adamw"), budget)
    lr_C, weight_decay_C = (
        torch.logspace(-4, -1, 8, dtype=torch.float64),
        torch.full((8,), 0.1, dtype=torch.float64),
    )
    together = train_fused(*parts, lr_C=lr_C, weight_decay_C=weight_decay_C, seed=0)
    for c in (0, 5):
        alone = train_fused(*parts, lr_C=lr_C[c : c + 1], weight_decay_C=weight_decay_C[c : c + 1], seed=0)
        torch.testing.assert_close(alone.loss_KC[:, 0], together.loss_KC[:, c], rtol=RELATIVE, atol=0)


def test_seeds_share_nothing_and_repeat() -> None:
    """A seed gives the same bits twice and the same weights to all transforms; another seed gives others."""
    budget = Budget(steps=5, batch_size=32, points=1)

    def run(seed: int, name: str = "none") -> Curves:
        return train_fused(
            workload("mlp"),
            make_transform(name),
            make_optimizer("adamw"),
            budget,
            lr_C=LR_C[:2],
            weight_decay_C=WEIGHT_DECAY_C[:2],
            seed=seed,
        )

    assert torch.equal(run(0).loss_KC, run(0).loss_KC)
    assert run(0).loss_initial != run(1).loss_initial
    assert run(0).loss_initial == run(0, "autoscale").loss_initial


@pytest.mark.parametrize(
    ("lr_C", "weight_decay_C", "word"),
    [
        ([[1.0]], [1.0], "shape"),
        ([1.0], [1.0, 2.0], "equal"),
        ([-1.0], [0.0], "lr_C holds -1"),
        ([1.0], [float("nan")], "weight_decay_C holds nan"),
        ([], [], "C >= 1"),
    ],
)
def test_bad_cells(lr_C: list[float], weight_decay_C: list[float], word: str) -> None:
    """Numbers of the wrong shape or range are refused with what was found and what is wanted."""
    with pytest.raises(ValueError, match=word):
        train_fused(
            workload("mlp"),
            make_transform("none"),
            make_optimizer("adamw"),
            Budget(5, 32),
            lr_C=torch.tensor(lr_C),
            weight_decay_C=torch.tensor(weight_decay_C),
            seed=0,
        )


def test_cells_that_do_not_move_have_not_diverged() -> None:
    """With lr 0 the loss is the initial loss up to rounding, and the cell has finished."""
    for steps in (1, 30):
        budget = Budget(steps=steps, batch_size=32, points=1)
        cells = {"lr_C": torch.tensor([0.0, 1e-9]), "weight_decay_C": torch.zeros(2), "seed": 1}
        for trainer in (train_fused, train_serial):
            found = trainer(
                workload("convnet"), make_transform("none"), make_optimizer("adamw"), budget, **cells
            )
            assert found.outcome_C == ("finished", "finished")


def test_constants_per_cell_are_checked() -> None:
    """A constant out of range in one cell is refused by name, as it is for a single cell."""
    cells = {
        "lr_C": LR_C,
        "weight_decay_C": WEIGHT_DECAY_C,
        "seed": 0,
        "constants_C": {"gamma1": torch.tensor([0.5, 1.5, 0.1])},
    }
    for trainer in (train_fused, train_serial):
        with pytest.raises(ValueError, match=r"gamma1 is 1\.5"):
            trainer(
                workload("mlp"),
                make_transform("gradient_stabilizer"),
                make_optimizer("adamw"),
                Budget(5, 32),
                **cells,
            )


def test_dropout_that_cannot_be_paired_is_refused() -> None:
    """Channel-wise dropout draws other masks in every trainer, so it is refused."""
    with pytest.raises(ValueError, match=r"use nn\.Dropout"):
        pair_dropout(nn.Sequential(nn.Dropout2d(0.5)))


def test_too_large_batch() -> None:
    """A batch larger than the data says how large it may be."""
    with pytest.raises(ValueError, match="lower it to at most 1348"):
        train_fused(
            workload("mlp"),
            make_transform("none"),
            make_optimizer("adamw"),
            Budget(5, 2000),
            lr_C=LR_C,
            weight_decay_C=WEIGHT_DECAY_C,
            seed=0,
        )
