"""Corrupted inputs: the paper's noise, the same for every cell and level, and only where it is asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from trainers import (
    Budget,
    Workload,
    make_optimizer,
    make_transform,
    make_workload,
    train_fused,
    train_serial,
)
from trainers.feed import Feed

BASE = Budget(steps=4, batch_size=64, points=2, precision="float64")


def workload() -> Workload:
    return make_workload("series", "nlinear", context=24, horizon=4, rows=400)


def inputs(budget: Budget, seed: int = 0, problem: Workload | None = None) -> list[Tensor]:
    """Every training batch as the network gets it."""
    return [
        torch.cat([x for x, _, _ in micro])
        for _, micro in Feed(problem or workload(), budget, seed, "cpu").steps()
    ]


def test_noise_is_the_papers() -> None:
    """5 % of the entries move, by normal numbers whose deviation is level times the batch's largest entry."""
    clean, noisy = inputs(BASE), inputs(replace(BASE, corruption=2.0))
    moved, sizes = [], []
    for before, after in zip(clean, noisy, strict=True):
        change = (after - before) / (2.0 * before.max())
        moved.append((change != 0).double().mean())
        sizes.append(change[change != 0])
    # 4 x 64 x 24 x 7 entries: the share's deviation is 0.001, that of the deviation 0.015.
    assert float(torch.stack(moved).mean()) == pytest.approx(0.05, abs=0.004)
    every = torch.cat(sizes)
    assert float(every.std()) == pytest.approx(1.0, abs=0.06)
    assert float(every.mean()) == pytest.approx(0.0, abs=0.08)
    # Normal: 4.6 % lie beyond two deviations.
    assert float((every.abs() > 2).double().mean()) == pytest.approx(0.0455, abs=0.02)


def test_levels_differ_in_size_alone() -> None:
    """A seed's levels hit the same entries with the same draws; steps and seeds differ; repeats are equal."""
    clean, one, three = (inputs(replace(BASE, corruption=level)) for level in (0.0, 1.0, 3.0))
    for before, small, large in zip(clean, one, three, strict=True):
        torch.testing.assert_close(large - before, 3 * (small - before), rtol=1e-9, atol=1e-12)
    hits = [(small != before).flatten() for small, before in zip(one, clean, strict=True)]
    assert not torch.equal(hits[0], hits[1])
    again = inputs(replace(BASE, corruption=1.0))
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    other = inputs(replace(BASE, corruption=1.0), seed=1)
    assert not torch.equal(hits[0], (other[0] != inputs(BASE, seed=1)[0]).flatten())


def test_splitting_the_batch_changes_no_noise() -> None:
    """Micro-batches are parts of one corrupted batch."""
    whole, parts = (
        inputs(replace(BASE, corruption=1.0)),
        inputs(replace(BASE, corruption=1.0, accumulation=4)),
    )
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_evaluation_is_clean_unless_asked_for() -> None:
    """Training inputs alone are corrupted; with `everything` those of evaluation too, the same each time."""

    def seen(budget: Budget) -> Tensor:
        return torch.cat([x for x, _ in Feed(workload(), budget, 0, "cpu").evaluation()])

    clean = seen(BASE)
    assert torch.equal(clean, seen(replace(BASE, corruption=1.0)))
    noisy = replace(BASE, corruption=1.0, corruption_of="everything")
    assert not torch.equal(clean, seen(noisy))
    assert torch.equal(seen(noisy), seen(noisy))


@pytest.mark.parametrize("of", ["training", "everything"])
def test_fused_equals_serial(of: str) -> None:
    """Both trainers see the same noise."""
    budget = replace(BASE, corruption=3.0, corruption_of=of)
    cells = {"lr_C": torch.tensor([1e-3, 1e-2]), "weight_decay_C": torch.zeros(2), "seed": 2}
    parts = (workload(), make_transform("clip_norm"), make_optimizer("adamw"), budget)
    fused, serial = train_fused(*parts, **cells), train_serial(*parts, **cells)
    torch.testing.assert_close(fused.loss_KC, serial.loss_KC, rtol=1e-9, atol=0)
    torch.testing.assert_close(fused.metric_KC, serial.metric_KC, rtol=1e-9, atol=0)
    assert float(fused.loss_initial) == pytest.approx(serial.loss_initial, rel=1e-9)


def test_images_are_corrupted_as_the_network_gets_them() -> None:
    """It works for any inputs that are numbers."""
    digits = make_workload("digits", "mlp")
    clean, noisy = (inputs(replace(BASE, corruption=level), problem=digits) for level in (0.0, 1.0))
    assert 0.02 < float((clean[0] != noisy[0]).double().mean()) < 0.08


def test_whole_numbers_are_refused() -> None:
    """Noise cannot be added to tokens, and one sentence says so."""
    tokens = replace(workload(), name="text/llama", train_x=torch.zeros(400, 8, dtype=torch.int64)[:253])
    tokens = replace(tokens, train_y=tokens.train_y[:253])
    with pytest.raises(ValueError, match="corruption is 1, and the inputs of text/llama are whole numbers"):
        Feed(tokens, replace(BASE, corruption=1.0), 0, "cpu")
    Feed(tokens, BASE, 0, "cpu")
