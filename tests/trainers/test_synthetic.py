"""Synthetic data are the same every time, and can be learnt."""

from __future__ import annotations

import pytest
import torch

from trainers import Budget, make_optimizer, make_transform, make_workload, train_fused


def test_repeats_by_seed() -> None:
    """One seed gives one set of data, bit by bit, another seed another.

    Torch's global generator is left alone.
    """
    before = torch.random.get_rng_state()
    one, again, other = (make_workload("synthetic", "mlp", seed=seed) for seed in (1, 1, 2))
    assert one.fingerprint() == again.fingerprint() != other.fingerprint()
    assert torch.equal(before, torch.random.get_rng_state())


def test_shape_and_classes() -> None:
    """Examples have the wanted shape, every fourth one is held out, and classes are equally frequent."""
    workload = make_workload("synthetic", "convnet", shape=[3, 16, 16], classes=4, examples=400)
    assert workload.train_x.shape == (300, 3, 16, 16)
    assert workload.eval_x.shape == (100, 3, 16, 16)
    assert torch.bincount(torch.cat([workload.train_y, workload.eval_y])).tolist() == [100] * 4
    assert workload.chance == 0.25


def test_an_mlp_learns_it() -> None:
    """A small network tells most held-out examples apart, though not all."""
    curves = train_fused(
        make_workload("synthetic", "mlp"),
        make_transform("none"),
        make_optimizer("adamw"),
        Budget(steps=100, batch_size=64, points=1),
        lr_C=torch.tensor([3e-3]),
        weight_decay_C=torch.tensor([0.1]),
        seed=0,
    )
    assert curves.metric_initial_C < 0.3
    assert 0.6 < curves.metric_final_C < 1.0


@pytest.mark.parametrize(("constant", "value"), [("classes", 1), ("examples", 3), ("shape", [1, 0, 8])])
def test_constants_out_of_range(constant: str, value: object) -> None:
    """A constant that makes no data is refused by name."""
    with pytest.raises(ValueError, match=f"synthetic: {constant}"):
        make_workload("synthetic", "mlp", **{constant: value})
