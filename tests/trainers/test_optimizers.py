"""Every optimizer equals its `torch.optim` class, on its own and inside of the fused trainer."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import pytorch_optimizer
import torch
from torch import Tensor

from trainers import (
    OPTIMIZERS,
    Budget,
    Optimizer,
    Transform,
    Workload,
    make_optimizer,
    make_transform,
    make_workload,
    train_fused,
    train_serial,
)
from trainers.transforms.base import Signal, State

RELATIVE = 1e-12
"""Float64 rounding over 200 steps that are not chaotic; a misplaced epsilon shows as 1e-8."""
TWINS = 1e-9
"""Float64 rounding amplified by 20 steps of training."""
STEPS = 200
SHAPES = {
    "embed.weight": (5, 3),
    "q.weight": (4, 3),
    "scale": (),
    "kernel.weight": (3, 4, 1, 2),
    "bias": (3,),
    "head.weight": (2, 3),
}
ENTRIES = 61
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
    ("sgd", {"momentum": 0.9, "dampening": 0.3}),
    ("sgd", {"momentum": 0.5, "dampening": 1.0}),
    ("adam", {}),
    ("adam", {"beta1": 0.0, "beta2": 0.95, "eps": 1e-3}),
    ("adamw", {}),
    ("adamw", {"beta1": 0.5, "beta2": 0.9, "eps": 1e-6}),
    ("rmsprop", {}),
    ("rmsprop", {"alpha": 0.9, "eps": 1e-4}),
    ("rmsprop", {"momentum": 0.9}),
    ("rmsprop", {"centered": True}),
    ("rmsprop", {"momentum": 0.9, "centered": True, "alpha": 0.95}),
    ("lion", {}),
    ("lion", {"beta1": 0.95, "beta2": 0.98}),
    ("muon", {}),
    ("schedule_free_adamw", {}),
    ("prodigy", {}),
    ("adam_mini", {}),
]
OURS = ("muon", "schedule_free_adamw", "prodigy", "adam_mini")
"""Their references stand in this package, and `test_matrix_optimizers.py` compares them with other ones."""
TORCHS = [one for one in VARIANTS if one[0] not in OURS]
CHANGED: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in OURS),
    ("muon", {"momentum": 0.8, "nesterov": False, "adjust_lr": "original", "adamw_lr": 0.1}),
    ("schedule_free_adamw", {"beta1": 0.95, "beta2": 0.99, "weight_lr_power": 1.0}),
    ("prodigy", {"bias_correction": True, "safeguard_warmup": True, "d0": 1e-3, "growth_rate": 1.1}),
    ("adam_mini", {"beta1": 0.5, "beta2": 0.9, "heads": 2}),
]
"""One comparison is enough for these."""


def label(name: str, constants: dict[str, Any]) -> str:
    """How a variant is called in the list of tests."""
    return "-".join([name, *(f"{key}={value}" for key, value in constants.items())])


NAMES = [label(name, constants) for name, constants in VARIANTS]
variants = pytest.mark.parametrize(("name", "constants"), VARIANTS, ids=NAMES)
grid = pytest.mark.parametrize("lr", [1e-4, 1e-2, 0.3])


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def parameters() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in SHAPES.items()
    }


def slopes(params: dict[str, Tensor], step: int) -> dict[str, Tensor]:
    """A noisy pull towards 1, different at each step."""
    generator = torch.Generator().manual_seed(step)
    return {
        name: 0.3 * (p.detach() - 1) + torch.randn(p.shape, generator=generator, dtype=p.dtype)
        for name, p in params.items()
    }


def run_pure(
    rule: Optimizer, lr: float, weight_decay: float, restarts: tuple[int, ...] = (), keep_count: bool = False
) -> Iterator[tuple[dict[str, Tensor], Any]]:
    params = parameters()
    state = rule.init(params)
    for step in range(STEPS):
        grads = slopes(params, step)
        state = rule.restart(state, torch.tensor(step in restarts), keep_count=keep_count)
        params, state = rule.update(
            grads,
            state,
            params,
            torch.tensor(lr, dtype=torch.float64),
            torch.tensor(weight_decay, dtype=torch.float64),
        )
        yield params, state


def run_torch(
    build: Any,
    lr: float,
    weight_decay: float,
    rule: Optimizer | None = None,
    restarts: tuple[int, ...] = (),
    keep_count: bool = False,
) -> Iterator[dict[str, Tensor]]:
    params = {name: torch.nn.Parameter(p) for name, p in parameters().items()}
    reference = build(params.items(), lr, weight_decay)
    for step in range(STEPS):
        for p, g in zip(params.values(), slopes(params, step).values(), strict=True):
            p.grad = g
        if step in restarts and rule is not None:
            rule.restart_reference(reference, keep_count=keep_count)
        reference.step()
        yield {name: p.detach().clone() for name, p in params.items()}


def assert_close(
    pure: Iterator[tuple[dict[str, Tensor], Any]], reference: Iterator[dict[str, Tensor]]
) -> None:
    """Equal at every step; an entry that passes zero is compared with the size of the others."""
    found, wanted = (
        torch.stack([flat(params) for params, _ in pure]),
        torch.stack([flat(params) for params in reference]),
    )
    assert found.shape == (STEPS, ENTRIES)
    assert torch.isfinite(wanted).all()
    torch.testing.assert_close(found, wanted, rtol=RELATIVE, atol=RELATIVE * float(wanted.abs().mean()))


def alone(params: Any) -> list[torch.nn.Parameter]:
    """Parameters without their names."""
    return [p for _, p in params]


def flat(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([t.flatten() for t in tensors.values()])


@pytest.mark.parametrize(("name", "constants"), TORCHS, ids=[label(*one) for one in TORCHS])
@grid
@pytest.mark.parametrize("weight_decay", [0.0, 1e-2, 1.0])
def test_equals_torch(name: str, constants: dict[str, Any], lr: float, weight_decay: float) -> None:
    """After each of 200 steps the parameters are those of the `torch.optim` class."""
    rule = make_optimizer(name, **constants)
    assert_close(run_pure(rule, lr, weight_decay), run_torch(rule.reference, lr, weight_decay))


@pytest.mark.parametrize(("name", "constants"), CHANGED)
def test_constants_mean_the_same_on_both_sides(name: str, constants: dict[str, Any]) -> None:
    """The same with other constants, through restarts."""
    rule, restarts = make_optimizer(name, **constants), (0, 50, 51)
    assert_close(run_pure(rule, 0.01, 0.1, restarts), run_torch(rule.reference, 0.01, 0.1, rule, restarts))


@grid
@pytest.mark.parametrize("weight_decay", [0.0, 1e-2, 1.0])
def test_lion_equals_pytorch_optimizer(lr: float, weight_decay: float) -> None:
    """Lion is also what another library has."""

    def build(params: Any, lr: float, weight_decay: float) -> torch.optim.Optimizer:
        return pytorch_optimizer.Lion(alone(params), lr=lr, betas=(0.9, 0.99), weight_decay=weight_decay)

    assert_close(run_pure(make_optimizer("lion"), lr, weight_decay), run_torch(build, lr, weight_decay))


@variants
@pytest.mark.parametrize("keep_count", [False, True])
def test_restart_means_the_same_on_both_sides(name: str, constants: dict[str, Any], keep_count: bool) -> None:
    """A restart before steps 0, 50 and 51 leaves both sides equal to the end."""
    rule, restarts = make_optimizer(name, **constants), (0, 50, 51)
    assert_close(
        run_pure(rule, 0.01, 0.1, restarts, keep_count),
        run_torch(rule.reference, 0.01, 0.1, rule, restarts, keep_count),
    )


@variants
@pytest.mark.parametrize("keep_count", [False, True])
def test_restart_zeroes_the_moments_and_nothing_else(
    name: str, constants: dict[str, Any], keep_count: bool
) -> None:
    """After a restart moments are zero on both sides, and the counter unless it is kept."""
    rule = make_optimizer(name, **constants)
    *_, (params, state) = run_pure(rule, 0.01, 0.1)
    fresh = rule.restart(state, torch.tensor(True), keep_count=keep_count)
    for key, value in state.items():
        if key in rule.moments:
            assert all(bool((t != 0).all()) for t in value.values())
            assert all(bool((t == 0).all()) for t in fresh[key].values())
        elif key == "step":
            assert fresh[key] == (value if keep_count else 0)
        else:
            torch.testing.assert_close(fresh[key], value, rtol=0, atol=0)
    torch.testing.assert_close(
        rule.restart(state, torch.tensor(False), keep_count=keep_count), state, rtol=0, atol=0
    )

    leaves = {name: torch.nn.Parameter(p) for name, p in params.items()}
    reference = rule.reference(leaves.items(), 0.01, 0.1)
    for p in leaves.values():
        p.grad = torch.ones_like(p)
    reference.step()
    before = copy.deepcopy(list(reference.state.values()))
    rule.restart_reference(reference, keep_count=keep_count)
    seen = set()
    for memory, old in zip(reference.state.values(), before, strict=True):
        kept = {key for key, t in memory.items() if key != "step" and isinstance(t, Tensor)}
        seen |= kept
        assert all(bool((memory[key] == 0).all()) for key in kept & set(rule.moments.values()))
        assert all(torch.equal(memory[key], old[key]) for key in kept - set(rule.moments.values()))
        assert "step" not in memory or float(memory["step"]) == (1 if keep_count else 0)
    # What else an optimizer remembers are weights and what estimates of distances are made of.
    assert seen - {"z", "first", "sum"} == set(rule.moments.values())


def test_restarted_sgd_with_dampening_is_not_at_its_first_step() -> None:
    """After a restart the sum is (1 - dampening) · g, as in torch.

    Only the first step of all takes g whole.
    """
    rule = make_optimizer("sgd", momentum=0.9, dampening=0.25)
    one, zero, params = torch.tensor(1.0), torch.tensor(0.0), {"p": torch.zeros(2)}
    grads = {"p": torch.ones(2)}
    _, state = rule.update(grads, rule.init(params), params, one, zero)
    assert torch.equal(state["sum"]["p"], grads["p"])
    _, state = rule.update(
        grads, rule.restart(state, torch.tensor(True), keep_count=False), params, one, zero
    )
    assert torch.equal(state["sum"]["p"], 0.75 * grads["p"])


@pytest.mark.parametrize(
    ("name", "constants"), [one for one in VARIANTS if make_optimizer(one[0]).elementwise]
)
def test_one_flat_tensor_gives_the_same(name: str, constants: dict[str, Any]) -> None:
    """All parameters as one flat tensor give the same numbers where a rule says so."""
    rule = make_optimizer(name, **constants)
    lr, weight_decay = torch.tensor(0.01, dtype=torch.float64), torch.tensor(0.1, dtype=torch.float64)

    params = parameters()
    together = {"all": flat(params)}
    state, state_flat = rule.init(params), rule.init(together)
    for step in range(20):
        grads = slopes(params, step)
        params, state = rule.update(grads, state, params, lr, weight_decay)
        together, state_flat = rule.update({"all": flat(grads)}, state_flat, together, lr, weight_decay)
        assert torch.equal(together["all"], flat(params))


def test_rules_that_need_tensors_say_so() -> None:
    """Muon and Adam-mini do something else to a flat tensor; Prodigy's sums are rounded otherwise."""
    found = {name for name in OPTIMIZERS if not make_optimizer(name).elementwise}
    assert found == {"muon", "adam_mini", "prodigy"}


@variants
def test_pure_and_dtype_kept(name: str, constants: dict[str, Any]) -> None:
    """Inputs are left as they were, and float32 stays float32."""
    rule = make_optimizer(name, **constants)
    params = {k: p.float() for k, p in parameters().items()}
    grads, state = slopes(params, 0), rule.init(params)
    _, state = rule.update(grads, state, params, torch.tensor(0.1), torch.tensor(0.1))
    before = copy.deepcopy((params, grads, state))
    new, after = rule.update(grads, state, params, torch.tensor(0.1), torch.tensor(0.1))
    torch.testing.assert_close((params, grads, state), before, rtol=0, atol=0)
    assert all(p.dtype == torch.float32 for p in new.values())
    assert all(t.dtype == torch.float32 for key in rule.moments for t in after[key].values())


@cache
def workload(model: str) -> Workload:
    return make_workload("digits", model)


SANE = {
    "sgd": [0.01, 0.05, 0.2],
    "adam": [1e-4, 1e-3, 1e-2],
    "adamw": [1e-4, 1e-3, 1e-2],
    "rmsprop": [1e-5, 1e-4, 3e-4],
    "lion": [1e-5, 1e-4, 1e-3],
    "muon": [1e-4, 1e-3, 1e-2],
    "schedule_free_adamw": [1e-4, 1e-3, 1e-2],
    "prodigy": [0.1, 0.5, 1.0],
    "adam_mini": [1e-4, 1e-3, 1e-2],
}


@variants
@pytest.mark.parametrize("model", ["mlp", pytest.param("convnet", marks=pytest.mark.long)])
def test_fused_equals_serial(name: str, constants: dict[str, Any], model: str) -> None:
    """Three cells that train agree with the serial trainer: losses to rounding, accuracies exactly."""
    budget = Budget(
        steps=20, batch_size=32, points=4, schedule="step", decay_every=6, warmup=3, precision="float64"
    )
    cells = {
        "lr_C": torch.tensor(SANE[name], dtype=torch.float64),
        "weight_decay_C": torch.tensor([0.0, 1e-2, 1.0], dtype=torch.float64),
        "seed": 1,
    }
    parts = (workload(model), make_transform("clip_norm"), make_optimizer(name, **constants), budget)
    fused, serial = train_fused(*parts, **cells), train_serial(*parts, **cells)
    assert fused.outcome_C == serial.outcome_C == ("finished",) * 3
    torch.testing.assert_close(fused.loss_KC, serial.loss_KC, rtol=TWINS, atol=0)
    torch.testing.assert_close(fused.metric_KC, serial.metric_KC, rtol=0, atol=0)


@variants
@pytest.mark.parametrize("recounts", [False, True])
@pytest.mark.parametrize("keep_count", [False, True])
def test_fused_equals_serial_through_restarts(
    name: str, constants: dict[str, Any], keep_count: bool, recounts: bool
) -> None:
    """A transform that restarts every fourth step does so in both trainers.

    It halves lr at every third, and may let the step counter alone start again at every fifth.
    """

    def signal(state: State) -> Signal:
        scale = torch.where(state["step"] % 3 == 0, 0.5, 1.0)
        return Signal(state["step"] % 4 == 0, scale, keep_count, state["step"] % 5 == 0 if recounts else None)

    restarting = Transform(
        lambda params: {"step": torch.zeros(())},
        lambda grads, state, params: (grads, {"step": state["step"] + 1}),
        signal=signal,
    )
    budget = Budget(steps=10, batch_size=32, points=10, precision="float64")
    cells = {
        "lr_C": torch.tensor(SANE[name], dtype=torch.float64) / 3,
        "weight_decay_C": torch.tensor([0.0, 1e-2, 1.0], dtype=torch.float64),
        "seed": 2,
    }
    parts = (workload("mlp"), restarting, make_optimizer(name, **constants), budget)
    fused, serial = train_fused(*parts, **cells), train_serial(*parts, **cells)
    torch.testing.assert_close(fused.loss_KC, serial.loss_KC, rtol=TWINS, atol=0)
    plain = train_serial(parts[0], make_transform("none"), *parts[2:], **cells)
    assert not torch.allclose(serial.loss_KC[-1], plain.loss_KC[-1], rtol=1e-6, atol=0)


def test_every_optimizer_is_tested() -> None:
    """Each row of the table is among the variants, with learning rates at which it trains."""
    assert {name for name, _ in VARIANTS} == set(OPTIMIZERS) == set(SANE)


@pytest.mark.parametrize(
    ("name", "constants", "words"),
    [
        ("sgd", {"momentum": 1.0}, "momentum is 1"),
        ("sgd", {"nesterov": True}, "momentum > 0 and dampening 0"),
        ("sgd", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "momentum > 0 and dampening 0"),
        ("adam", {"beta2": 1.0}, "adam: beta2 is 1"),
        ("rmsprop", {"centered": True, "alpha": 0.0}, "alpha is 0"),
        ("rmsprop", {"eps": -1.0}, "eps is -1"),
        ("lion", {"beta1": -0.1}, "beta1 is -0.1"),
        ("lyon", {}, "did you mean 'lion'"),
        ("muon", {"adjust_lr": "orignal"}, "did you mean 'original'"),
        ("muon", {"newton_schulz_steps": 0}, "newton_schulz_steps is 0"),
        ("schedule_free_adamw", {"beta1": 0.0}, "beta1 is 0"),
        ("prodigy", {"growth_rate": 0.5}, "growth_rate is 0.5"),
        ("prodigy", {"d0": 0.0}, "d0 is 0"),
        ("adam_mini", {"heads": 0}, "heads is 0"),
    ],
)
def test_constants_out_of_range(name: str, constants: dict[str, Any], words: str) -> None:
    """A constant out of range is refused with what was found and what is wanted."""
    with pytest.raises(ValueError, match=words):
        make_optimizer(name, **constants)
