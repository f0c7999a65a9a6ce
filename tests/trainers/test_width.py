"""Tiles as wide as memory holds and speed rewards."""

from __future__ import annotations

import pytest
import torch

from trainers import (
    Budget,
    Checkpoint,
    Curves,
    make_optimizer,
    make_transform,
    make_workload,
    train_fused,
    width,
)
from trainers.fused import train_together
from trainers.run import Run
from trainers.width import best_width, is_out_of_memory, train_within_memory, widest


def test_doubles_while_speed_rises() -> None:
    """The width doubles until cells per second stop rising, and then stays at the last that paid."""
    asked: list[int] = []

    def rate(cells: int) -> float:
        asked.append(cells)
        return min(cells, 64) * 10.0

    assert widest(rate, 1000) == 64
    assert asked == [8, 16, 32, 64, 128]


def test_the_last_step_to_the_limit_needs_no_doubling() -> None:
    """If only a little more than the best width is left, all is trained together, unless that is slower."""
    assert widest(lambda cells: float(cells), 84) == 84
    assert widest(lambda cells: min(cells, 64) * 1.0, 84) == 84
    assert widest(lambda cells: 1.0 if cells > 64 else float(cells), 84) == 64
    assert widest(lambda cells: float(cells), 3) == 3


def test_memory_ends_the_doubling_and_other_errors_do_not_pass_for_it() -> None:
    """Out of memory keeps the last width that fitted; any other error is raised."""

    def rate(cells: int) -> float:
        if cells > 32:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return float(cells)

    assert widest(rate, 1000) == 32

    def broken(cells: int) -> float:
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape"):
        widest(broken, 10)
    assert is_out_of_memory(
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"
        )
    )


def test_a_tile_that_does_not_fit_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for three cells, a tile of ten is trained in parts, with the results of the whole."""
    sizes = []

    def small(run: Run, checkpoint: Checkpoint | None) -> Curves:
        sizes.append(run.cells)
        if run.cells > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return train_together(run, checkpoint)

    monkeypatch.setattr(width, "train_together", small)
    arguments = (
        make_workload("digits", "mlp"),
        make_transform("clip_norm"),
        make_optimizer("adamw"),
        Budget(steps=10, batch_size=32, points=2, precision="float64", dynamics=4),
    )
    cells = {
        "lr_C": torch.logspace(-4, 9, 10, dtype=torch.float64),
        "weight_decay_C": torch.full((10,), 0.1),
        "seed": 0,
    }
    cells["constants_C"] = {"max_norm": torch.linspace(0.1, 2, 10, dtype=torch.float64)}
    halved = train_within_memory(*arguments, **cells)
    whole = train_fused(*arguments, **cells)
    assert max(size for size in sizes if size <= 3) == 3
    assert halved.outcome_C == whole.outcome_C
    assert halved.diverged_step_C == whole.diverged_step_C
    torch.testing.assert_close(halved.loss_KC, whole.loss_KC, rtol=1e-9, atol=0, equal_nan=True)
    assert halved.dynamics is not None
    assert whole.dynamics is not None
    torch.testing.assert_close(
        halved.dynamics.grad_norm_JC, whole.dynamics.grad_norm_JC, rtol=1e-6, atol=0, equal_nan=True
    )


def test_one_cell_that_does_not_fit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a single cell is too large, the memory error is the user's to see."""

    def never(run: Run, checkpoint: Checkpoint | None) -> Curves:
        raise MemoryError

    monkeypatch.setattr(width, "train_together", never)
    with pytest.raises(MemoryError):
        train_within_memory(
            make_workload("digits", "mlp"),
            make_transform("none"),
            make_optimizer("adamw"),
            Budget(2, 8),
            lr_C=torch.ones(4),
            weight_decay_C=torch.ones(4),
            seed=0,
        )


def test_measures_a_real_workload() -> None:
    """A measured width is between one and the number of cells there are."""
    found = best_width(
        make_workload("digits", "mlp"),
        make_transform("none"),
        make_optimizer("adamw"),
        Budget(50, 16, warmup=10),
        limit=24,
    )
    assert 1 <= found <= 24
