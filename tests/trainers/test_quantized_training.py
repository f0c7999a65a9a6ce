"""Networks with quantised linear layers train fused as they do alone, resumed as undisturbed, and well."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.trainers.making import Dying, assert_twins, same
from tests.trainers.test_replay import both_ways
from trainers import (
    Budget,
    Checkpoint,
    Curves,
    Workload,
    make_optimizer,
    make_transform,
    make_workload,
    train_fused,
    train_serial,
)
from trainers.fusion import fills_processor, fusable
from trainers.quantization import QUANTIZATIONS
from trainers.quantization.layers import Quantized, QuantizedLinear, quantized, straight_through

SCHEMES = [name for name in QUANTIZATIONS if name != "none"]
FEW = ("fp4_stable_spam", "nvfp4")
"""What the gate trains on every network; `make long` trains all."""
every_scheme = pytest.mark.parametrize("scheme", SCHEMES)
SMALL: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "mlp": ("digits", {}, {}),
    "vit": ("digits", {"width": 16, "heads": 2, "layers": 1, "ratio": 2, "patch": 4}, {}),
    "llama": ("text", {"width": 16, "depth": 1, "heads": 2, "hidden": 32}, {"context": 8}),
}
"""Workload, model's constants and workload's constants, by model."""


@cache
def workload(model: str = "mlp") -> Workload:
    name, small, more = SMALL[model]
    return make_workload(name, model, small, **more)


def run(trainer: Any, budget: Budget, model: str = "mlp", lr: tuple[float, ...] = (1e-3, 1e-2)) -> Curves:
    lr_C = torch.tensor(lr, dtype=torch.float64)
    parts = (workload(model), make_transform("clip_norm"), make_optimizer("adamw"), budget)
    curves: Curves = trainer(*parts, lr_C=lr_C, weight_decay_C=torch.full_like(lr_C, 0.1), seed=0)
    return curves


@pytest.mark.parametrize(
    ("scheme", "model", "steps"),
    [
        pytest.param(
            scheme, model, steps, marks=[] if model == "mlp" or scheme in FEW else [pytest.mark.long]
        )
        for scheme in SCHEMES
        for model, steps in (("mlp", 20), ("vit", 4), ("llama", 3))
    ],
)
def test_fused_equals_serial(scheme: str, model: str, steps: int) -> None:
    """Losses agree to rounding and accuracies exactly, and they are not those without quantization."""
    budget = Budget(steps, batch_size=32, points=2, precision="float64", quantization=scheme, dynamics=3)
    fused = run(train_fused, budget, model)
    assert_twins(fused, run(train_serial, budget, model))
    plain = run(train_fused, Budget(steps, batch_size=32, points=2, precision="float64"), model)
    assert not torch.allclose(plain.loss_KC, fused.loss_KC, rtol=1e-6)


@pytest.mark.parametrize("scheme", FEW)
def test_looped_over_cells_equals_serial(scheme: str) -> None:
    """A network of which one cell fills the processor is quantised as well."""
    problem = make_workload(
        "synthetic", "vit", {"width": 64, "heads": 2, "layers": 1}, shape=[3, 64, 64], examples=16
    )
    assert fills_processor(problem.initial_model(0), problem.train_x[:1])
    budget = Budget(steps=2, batch_size=2, points=1, precision="float64", quantization=scheme)
    parts = (problem, make_transform("none"), make_optimizer("adamw"), budget)
    cells: dict[str, Any] = {"lr_C": torch.tensor([1e-3, 1e-4]), "weight_decay_C": torch.zeros(2), "seed": 0}
    assert_twins(train_fused(*parts, **cells), train_serial(*parts, **cells))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@every_scheme
def test_it_combines_with_precisions(scheme: str, precision: str) -> None:
    """Fused and serial losses are near each other in half precision."""
    budget = Budget(8, batch_size=32, points=1, precision=precision, quantization=scheme)
    fused, serial = (run(trainer, budget, lr=(1e-4, 1e-3)) for trainer in (train_fused, train_serial))
    assert fused.outcome_C == serial.outcome_C == ("finished", "finished")
    torch.testing.assert_close(fused.loss_KC, serial.loss_KC, rtol=0.03, atol=0)


@every_scheme
def test_blocks_give_the_bits_of_the_whole_tile(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while cells diverge and leave."""
    budget = Budget(steps=8, batch_size=16, points=2, quantization=scheme)
    a, b = both_ways(monkeypatch, "mlp", "zclip", "adamw", budget)
    assert same(a, b)
    assert "diverged" in a.outcome_C


@every_scheme
def test_a_resumed_run_ends_with_the_same_bits(scheme: str, tmp_path: Path) -> None:
    """A tile whose process died goes on as if nothing had been."""
    budget = Budget(steps=10, batch_size=32, points=2, quantization=scheme, precision="float16")
    parts = (workload(), make_transform("zclip"), make_optimizer("adamw"), budget)
    cells: dict[str, Any] = {"lr_C": torch.tensor([1e-3, 1e6]), "weight_decay_C": torch.zeros(2), "seed": 3}
    with pytest.raises(KeyboardInterrupt):
        train_fused(*parts, **cells, checkpoint=Dying(tmp_path / "run", 5))
    resumed = train_fused(*parts, **cells, checkpoint=Checkpoint(tmp_path / "run"))
    assert same(resumed, train_fused(*parts, **cells))


@every_scheme
def test_it_trains(scheme: str) -> None:
    """A quantised network reads digits, and the recorded accuracy is the quantised network's."""
    found = run(train_fused, Budget(60, batch_size=64, points=1, quantization=scheme), lr=(1e-2,))
    assert found.outcome_C == ("finished",)
    assert found.metric_final_C[0] > 0.85


@every_scheme
def test_gradients_go_straight_through(scheme: str) -> None:
    """The weight's gradient is taken with the quantised input, and the input's with the quantised weight."""
    rules = QUANTIZATIONS[scheme]
    assert rules is not None
    model = nn.Sequential(nn.Linear(64, 32), nn.Linear(32, 2)).double()
    layer = quantized(model, rules, torch.zeros(1, 64, dtype=torch.float64))[0]
    assert isinstance(layer, QuantizedLinear)
    x = torch.randn(16, 64, dtype=torch.float64, requires_grad=True)
    weight, bias = layer.weight.detach(), layer.bias.detach()
    out = layer(x)
    qx, qw = rules.activation(x.detach()), rules.weight(weight)
    torch.testing.assert_close(out, qx @ qw.T + bias, rtol=1e-12, atol=1e-12)
    given = torch.randn_like(out)
    out.backward(given)
    assert x.grad is not None
    assert layer.weight.grad is not None
    torch.testing.assert_close(layer.weight.grad, given.T @ qx, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(x.grad, given @ qw, rtol=1e-12, atol=1e-12)
    # With a gradient or without one, the numbers are the rule's own.
    assert torch.equal(straight_through(rules.activation, x), qx)


def test_what_is_quantised() -> None:
    """Linear layers and attention's projections; neither the head nor convolutions nor normalisation."""
    model = workload("vit").initial_model(0)
    quantized(model, QUANTIZATIONS["nvfp4"], workload("vit").train_x[:1])
    found = [name for name, module in model.named_modules() if isinstance(module, Quantized)]
    assert found == [
        "blocks.0.attention", "blocks.0.attention.out_proj", "blocks.0.mlp.0", "blocks.0.mlp.3",
    ]  # fmt: skip
    head = model.get_submodule("head")
    assert type(head) is nn.Linear
    assert set(dict(model.named_parameters())) == set(
        dict(workload("vit").initial_model(0).named_parameters())
    )
    fused = fusable(quantized(workload().initial_model(0), QUANTIZATIONS["int8"], workload().train_x[:1]))
    kinds = [type(module).__name__ for module in fused.modules() if isinstance(module, nn.Linear)]
    assert kinds == ["UprightQuantizedLinear", "UprightQuantizedLinear", "UprightLinear"]


class Backwards(nn.Module):
    """A network that registers its head first."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.first = nn.Linear(32, 2), nn.Linear(64, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.first(x))
        return out


def test_the_head_is_what_is_called_last() -> None:
    """Not what is registered last."""
    model = quantized(Backwards(), QUANTIZATIONS["int8"], torch.zeros(1, 64))
    assert [type(module) for module in model.children()] == [nn.Linear, QuantizedLinear]


def test_a_broken_weight_is_seen_to_diverge() -> None:
    """A learning rate that overflows ends a quantised cell as it ends any other."""
    for scheme in SCHEMES:
        budget = Budget(8, batch_size=32, points=4, quantization=scheme)
        found = run(train_fused, budget, lr=(1e-3, 1e38))
        assert found.outcome_C == ("finished", "diverged")


@pytest.mark.parametrize(
    ("model", "constants", "scheme", "words"),
    [
        (
            "linear",
            {},
            "int8",
            "is int8, but the network has no linear layer beside its head",
        ),
        ("convnet", {}, "nvfp4", "take another model, or quantization none"),
        (
            "mlp",
            {"hidden": [10, 64]},
            "int4",
            "the weight of layer 1 has 640 numbers; wanted a multiple of 256",
        ),
        ("mlp", {"hidden": [64, 10]}, "fp4_stable_spam", "the weight of layer 3 has 640 numbers"),
    ],
)
def test_what_cannot_be_quantised(model: str, constants: dict[str, Any], scheme: str, words: str) -> None:
    """A network without hidden linear layers, and groups that do not divide a layer."""
    problem = make_workload("digits", model, constants)
    with pytest.raises(ValueError, match=words):
        problem.check(Budget(10, 32, quantization=scheme))
    problem.check(Budget(10, 32))


def test_attention_that_hides_its_products() -> None:
    """torch's own attention computes without calling a layer, so it is refused by name."""

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(32, 2)

    with pytest.raises(
        ValueError, match="layer attention is a MultiheadAttention, which cannot be quantised"
    ):
        quantized(Own(), QUANTIZATIONS["int8"], torch.zeros(1, 32))


def test_an_unknown_name() -> None:
    """It is refused with the names that there are."""
    with pytest.raises(ValueError, match="unknown quantization 'fp4'; known: fp4_e2m1, fp4_stable_spam"):
        Budget(10, 32, quantization="fp4")
