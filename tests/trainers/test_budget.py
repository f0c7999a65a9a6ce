"""Everything a budget can ask for does what it says, in the fused and in the serial trainer."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from functools import cache
from typing import Any

import pytest
import torch

from tests.trainers.making import RELATIVE, assert_twins
from trainers import (
    Budget,
    Curves,
    Workload,
    make_optimizer,
    make_transform,
    make_workload,
    train_fused,
    train_serial,
)
from trainers.dynamics import Dynamics, Moment, measured
from trainers.precision import GROWTH_INTERVAL, LossScale
from trainers.spikes import spike_factors

BASE = Budget(steps=24, batch_size=32, points=3, precision="float64")
HALF = 0.02
"""Relative agreement of losses in half precision.

Fused and serial kernels round at different places (bfloat16 to 0.4 %), and 16 steps amplify it.
"""


@cache
def workload(model: str = "mlp", dropout: float = 0.0, label_smoothing: float = 0.0) -> Workload:
    return make_workload(
        "digits",
        model,
        {"dropout": dropout} if dropout else {},
        **({"label_smoothing": label_smoothing} if label_smoothing else {}),
    )


def run(
    trainer: Any,
    budget: Budget,
    transform: str = "none",
    problem: Workload | None = None,
    lr: tuple[float, ...] = (1e-3, 1e-2),
    seed: int = 0,
    optimizer: str = "adamw",
) -> Curves:
    lr_C = torch.tensor(lr, dtype=torch.float64)
    curves: Curves = trainer(
        problem or workload(),
        make_transform(transform),
        make_optimizer(optimizer),
        budget,
        lr_C=lr_C,
        weight_decay_C=torch.full_like(lr_C, 0.1),
        seed=seed,
    )
    return curves


@pytest.mark.parametrize(
    "changes",
    [
        {"accumulation": 4},
        {"loss_scale": 1e-3},
        {"spike_size": 100.0, "spike_steps": (5, 11)},
        {"spike_size": 10.0, "spike_probability": 0.2},
        {"schedule": "step", "decay_every": 5},
        {"schedule": "linear", "floor": 0.1, "warmup": 4},
        {"dynamics": 5},
        {"corruption": 1.0, "corruption_of": "everything", "accumulation": 2},
        {"spike_size": 1e8, "spike_steps": (6, 12), "dynamics": 4},
        {"accumulation": 2, "loss_scale": 10.0, "spike_size": 3.0, "spike_steps": (2,), "dynamics": 1},
    ],
)
@pytest.mark.parametrize("model", ["mlp", "convnet"])
@pytest.mark.parametrize("transform", ["gradient_stabilizer", "autoscale"])
def test_fused_equals_serial(changes: dict[str, Any], model: str, transform: str) -> None:
    """Accumulation, loss scale, spikes, schedules and dynamics agree to rounding."""
    budget = replace(BASE, **changes)
    fused, serial = (
        run(trainer, budget, transform, workload(model)) for trainer in (train_fused, train_serial)
    )
    assert_twins(fused, serial)
    if budget.dynamics:
        assert fused.dynamics is not None
        assert serial.dynamics is not None
        assert fused.dynamics.step_J == serial.dynamics.step_J
        assert fused.dynamics.layers == serial.dynamics.layers
        for name in (field.name for field in fields(Dynamics) if field.name not in ("step_J", "layers")):
            torch.testing.assert_close(
                getattr(fused.dynamics, name), getattr(serial.dynamics, name), rtol=1e-6, atol=1e-12
            )


@pytest.mark.parametrize(
    "problem", [{"dropout": 0.3}, {"label_smoothing": 0.1}, {"dropout": 0.5, "label_smoothing": 0.2}]
)
def test_dropout_and_smoothing_are_twins(problem: dict[str, float]) -> None:
    """Masks are the same in fused and serial, with accumulation too, and whatever the tile's width."""
    budget = replace(BASE, accumulation=2)
    fused, serial = (
        run(trainer, budget, "none", workload(**problem)) for trainer in (train_fused, train_serial)
    )
    assert_twins(fused, serial)
    alone = run(train_fused, budget, "none", workload(**problem), lr=(1e-2,))
    torch.testing.assert_close(alone.loss_KC[:, 0], fused.loss_KC[:, 1], rtol=RELATIVE, atol=0)
    plain = run(train_fused, budget, "none")
    assert not torch.allclose(plain.loss_KC, fused.loss_KC)


def test_accumulated_equals_whole_batch() -> None:
    """Without batch statistics, micro-batches give the gradient of the whole batch."""
    torch.testing.assert_close(
        run(train_fused, BASE).loss_KC,
        run(train_fused, replace(BASE, accumulation=8)).loss_KC,
        rtol=1e-9,
        atol=0,
    )


def test_spikes_are_per_seed_and_reach_the_gradient() -> None:
    """Drawn spikes repeat for a seed and differ between seeds. They multiply the recorded gradient norm."""
    budget = replace(BASE, spike_size=1000.0, spike_probability=0.3)
    assert spike_factors(budget, 1) == spike_factors(budget, 1) != spike_factors(budget, 2)
    planted = replace(BASE, spike_size=1000.0, spike_steps=(1,), dynamics=1)
    calm, spiked = (
        run(train_fused, replace(planted, spike_size=1.0)).dynamics,
        run(train_fused, planted).dynamics,
    )
    assert calm is not None
    assert spiked is not None
    torch.testing.assert_close(spiked.grad_norm_JC[0], 1000 * calm.grad_norm_JC[0])


def test_loss_scale_scales_gradients_and_not_losses() -> None:
    """Recorded losses are unscaled; the gradient norm is multiplied by c."""
    plain, scaled = (
        run(train_fused, replace(BASE, dynamics=1)),
        run(train_fused, replace(BASE, dynamics=1, loss_scale=100.0)),
    )
    assert plain.loss_initial == scaled.loss_initial
    assert plain.dynamics is not None
    assert scaled.dynamics is not None
    torch.testing.assert_close(scaled.dynamics.grad_norm_JC[0], 100 * plain.dynamics.grad_norm_JC[0])


def test_dynamics_know_the_scale_factor() -> None:
    """Autoscale's own factor is recorded, the baseline's is 1, and the deviation is that of all weights."""
    from trainers.transforms.autoscale import global_std

    seen = run(train_fused, replace(BASE, dynamics=6, steps=12), "autoscale").dynamics
    assert seen is not None
    assert seen.step_J == (1, 7)
    expected = (4 / (seen.grad_std_JC[0].log().abs() + 1e-8)) ** 2
    torch.testing.assert_close(seen.scale_JC[0], expected, rtol=1e-6, atol=0)
    base = run(train_fused, replace(BASE, dynamics=6, steps=12)).dynamics
    assert base is not None
    assert torch.equal(base.scale_JC, torch.ones_like(base.scale_JC))
    assert seen.layers == ("1.weight", "3.weight", "5.weight")
    assert global_std({"a": torch.tensor([[1.0, 3.0]])}).item() == pytest.approx(2**0.5)


def test_what_has_no_direction_is_left_out() -> None:
    """A tensor whose gradient is zero has no cosine; if no tensor has one, it is NaN, not 0."""
    whole, lost = torch.ones(2, 3), torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    both, one = {"a": whole, "b": lost}, {"b": lost}
    assert least_cosine("a", both) == pytest.approx([1.0, 1.0])
    assert [math.isnan(cosine) for cosine in least_cosine("b", one)] == [False, True]


@pytest.mark.parametrize("broken", [torch.inf, torch.nan, 3e19])
def test_a_tensor_that_overflows_is_not_left_out(broken: float) -> None:
    """One tensor that is not finite, or whose norm is not, makes both cosines of its cell NaN.

    The tensors beside it do not hide it.
    """
    whole, lost = torch.ones(2, 3), torch.tensor([[1.0, 1.0, 1.0], [broken, broken, broken]])
    ordinary, overflown = {"a": whole, "b": whole}, {"a": whole, "b": lost}
    moment = Moment(before=ordinary, after=ordinary, grads=ordinary, out=overflown, transform_state={})
    found = measured(("a",), moment)
    for name in ("cosine", "least_cosine"):
        assert found[name].tolist() == pytest.approx([1.0, math.nan], nan_ok=True)


@pytest.mark.parametrize("transform", ["none", "gradient_stabilizer"])
def test_the_step_that_breaks_parameters_is_kept(transform: str) -> None:
    """A cell lived in the step after which its parameters were not finite, and not in one without a loss.

    Both trainers keep the same of either.
    """
    budget = Budget(steps=6, batch_size=32, points=6, dynamics=1, spike_size=1e38, spike_steps=(1,))
    coarse = replace(budget, points=1)
    for asked, reason in ((budget, "nonfinite_parameters"), (coarse, "nonfinite_loss")):
        fused, serial = (
            run(trainer, asked, transform, lr=(1e-3, 1e10), optimizer="sgd")
            for trainer in (train_fused, train_serial)
        )
        assert fused.reason_C[1] == serial.reason_C[1] == reason
        assert fused.last_step_C[1] == serial.last_step_C[1] == 1
        for found in (fused.dynamics, serial.dynamics):
            assert found is not None
            assert found.grad_norm_JC[0, 1] == torch.inf
            assert found.grad_norm_JC[1:, 1].isnan().all()


def least_cosine(layer: str, grads: dict[str, torch.Tensor]) -> list[float]:
    """Per cell, of a transform that leaves these gradients as they are."""
    moment = Moment(before=grads, after=grads, grads=grads, out=grads, transform_state={})
    found: list[float] = measured((layer,), moment)["least_cosine"].tolist()
    return found


def test_dynamics_know_directions_and_gains() -> None:
    """The stabilizer keeps each tensor's direction, not the whole gradient's.

    Z-score's gain is 1 / deviation.
    """
    budget = replace(BASE, dynamics=6, steps=12)
    kept = run(train_fused, budget, "gradient_stabilizer").dynamics
    assert kept is not None
    torch.testing.assert_close(
        kept.least_cosine_JC, torch.ones_like(kept.least_cosine_JC), rtol=0, atol=1e-12
    )
    assert (kept.cosine_JC < 0.999).all()
    assert (kept.tensor_norm_JC <= kept.out_norm_JC).all()
    # Six tensors, each of norm one at the first step.
    torch.testing.assert_close(kept.out_norm_JC[0], torch.full_like(kept.out_norm_JC[0], 6**0.5))
    scored = run(train_fused, budget, "zscore").dynamics
    assert scored is not None
    assert (scored.gain_JCN <= 1 / scored.layer_std_JCN * (1 + 1e-9)).all()
    # The mean that is removed takes a few percent of the norm.
    torch.testing.assert_close(scored.gain_JCN, 1 / scored.layer_std_JCN, rtol=0.1, atol=0)


def test_spikes_are_recorded_between_the_regular_moments() -> None:
    """A spike's step is a moment of its own at every size, and its outgoing norm is that step's."""
    planted = replace(BASE, spike_size=1e6, spike_steps=(9,), dynamics=5)
    spiked, calm = (
        run(train_fused, planted, "clip_norm").dynamics,
        run(train_fused, replace(planted, spike_size=1.0), "clip_norm").dynamics,
    )
    assert spiked is not None
    assert calm is not None
    assert spiked.step_J == calm.step_J == (1, 6, 9, 11, 16, 21)
    assert (spiked.grad_norm_JC[2] > 1e4).all()
    torch.testing.assert_close(
        spiked.out_norm_JC[2], torch.ones_like(spiked.out_norm_JC[2]), rtol=1e-4, atol=0
    )


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("model", ["mlp", "convnet"])
def test_half_precision_is_twins(precision: str, model: str) -> None:
    """In half precision fused and serial agree to half precision's rounding, and differ from float32."""
    budget = replace(BASE, precision=precision, points=2, steps=16)
    fused, serial = (
        run(trainer, budget, "none", workload(model), lr=(1e-4, 1e-3))
        for trainer in (train_fused, train_serial)
    )
    assert fused.outcome_C == serial.outcome_C
    torch.testing.assert_close(fused.loss_KC, serial.loss_KC, rtol=HALF, atol=0)
    assert not torch.equal(
        fused.loss_KC,
        run(
            train_fused, replace(budget, precision="float32"), "none", workload(model), lr=(1e-4, 1e-3)
        ).loss_KC,
    )


def test_overflow_in_one_cell_skips_that_cell_alone() -> None:
    """In float16 a cell with overflowing gradients skips its step and halves its scale.

    Its neighbour does not.
    """
    budget = replace(BASE, precision="float16")
    calm, wild = run(train_fused, budget, lr=(1e-3, 1e-3)), run(train_fused, budget, lr=(1e-3, 5.0))
    assert torch.equal(calm.loss_KC[:, 0], wild.loss_KC[:, 0])
    state = LossScale().init(torch.zeros(2))
    state = LossScale().update(state, torch.tensor([True, False]))
    assert state["scale"].tolist() == [65536.0, 32768.0]
    for _ in range(GROWTH_INTERVAL):
        state = LossScale().update(state, torch.tensor([True, True]))
    assert state["scale"].tolist() == [131072.0, 65536.0]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"accumulation": 5}, "divisor of batch_size"),
        ({"accumulation": 64}, "accumulation is 64"),
        ({"loss_scale": 0.0}, "loss_scale is 0"),
        ({"spike_probability": 1.5}, "spike_probability is 1.5"),
        ({"spike_steps": (99,)}, "spike_steps is 99"),
        ({"dynamics": -1}, "dynamics is -1"),
        ({"corruption": -1.0}, "corruption is -1"),
        ({"corruption": float("inf")}, "corruption is inf"),
        ({"corruption_probability": 2.0}, "corruption_probability is 2"),
        ({"corruption_of": "test"}, "corruption_of is 'test'; wanted training or everything"),
        ({"precision": "half"}, "unknown precision 'half'"),
        ({"steps": 0}, "steps is 0"),
    ],
)
def test_bad_budgets(changes: dict[str, Any], word: str) -> None:
    """A budget out of range says what was found and what is wanted."""
    with pytest.raises(ValueError, match=word):
        replace(BASE, **changes)
