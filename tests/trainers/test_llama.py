"""The language model has the published sizes, follows its formulas, and trains fused as it does alone."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

from tests.trainers.making import RELATIVE, same
from trainers import (
    Budget,
    Curves,
    Workload,
    blocks,
    evaluation,
    make_optimizer,
    make_transform,
    make_workload,
    train_fused,
    train_serial,
)
from trainers.feed import Feed
from trainers.fusion import fills_processor, work
from trainers.models import model_factory
from trainers.models.llama import SIZES, rotated
from trainers.models.sequences import Projection
from trainers.step import Step
from trainers.workloads.text import token_loss

TINY: dict[str, Any] = {"width": 16, "depth": 2, "heads": 2, "hidden": 24}
BUDGET = Budget(steps=12, batch_size=4, points=3, schedule="cosine", warmup=3, precision="float64")


@cache
def tiny(*, qk_norm: bool = False, z_loss: float = 0.0) -> Workload:
    model = {**TINY, "qk_norm": qk_norm}
    return make_workload("text", "llama", model, context=12, length=4000, eval_windows=5, z_loss=z_loss)


@pytest.mark.parametrize(
    ("size", "vocabulary", "parameters"),
    [
        ("0.1m", 256, 133_440),
        ("0.4m", 256, 381_600),
        ("0.9m", 256, 869_504),
        ("9m", 32_000, 8_995_968),
        ("20m", 32_000, 19_548_416),
        ("35m", 32_000, 35_197_824),
        ("60m", 32_000, 58_073_600),
        ("130m", 32_000, 134_105_856),
        ("350m", 32_000, 367_969_280),
    ],
)
def test_size(size: str, vocabulary: int, parameters: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of parameters are 2 V w + depth (4 w² + 3 w h + 2 w) + w, near what names say."""
    # Numbers for a tensor without memory would be drawn by code that takes seconds to be imported.
    for draw in ("kaiming_uniform_", "normal_", "trunc_normal_"):
        monkeypatch.setattr(torch.nn.init, draw, lambda tensor, *args, **kwargs: tensor)
    with torch.device("meta"):
        model = model_factory("llama", size=size)((8,), vocabulary)
    width, depth, _, hidden = SIZES[size]
    each = 4 * width**2 + 3 * width * hidden + 2 * width
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert parameters == 2 * vocabulary * width + depth * each + width
    assert parameters == pytest.approx(1e6 * float(size.removesuffix("m")), rel=0.35)


def test_start() -> None:
    """Weights are normal within two deviations, of 1 / sqrt(inputs) or `init_std`; norms are 1."""
    torch.manual_seed(0)
    for init_std in (None, 0.02):
        model = model_factory("llama", size="0.4m", init_std=init_std)((8,), 256)
        for name, p in model.named_parameters():
            if p.dim() == 1:
                assert torch.equal(p, torch.ones_like(p))
                continue
            wanted = init_std or 1 / math.sqrt(p.shape[1])
            assert float(p.detach().std()) == pytest.approx(wanted, rel=0.02), name
            assert float(p.detach().abs().max()) < 2.3 * wanted
    assert list(dict(model.named_parameters()))[:3] == [
        "embed.weight",
        "blocks.0.norm1.weight",
        "blocks.0.attention.q.weight",
    ]


def test_rotary_positions_are_products_with_complex_numbers() -> None:
    """Entries i and i + depth / 2 are one complex number, times exp(i · position · base^(-2 i / depth))."""
    x = torch.randn(2, 3, 5, 8, dtype=torch.float64)
    rate = torch.tensor([100.0 ** (-2 * i / 8) for i in range(4)], dtype=torch.float64)
    angle = torch.arange(5, dtype=torch.float64)[:, None] * rate
    turned = torch.complex(x[..., :4], x[..., 4:]) * torch.polar(torch.ones_like(angle), angle)
    torch.testing.assert_close(rotated(x, 100.0), torch.cat([turned.real, turned.imag], -1))


def test_no_token_sees_what_follows() -> None:
    """Logits at a place do not change with later tokens, and do change with earlier ones."""
    model, x = tiny().initial_model(0), tiny().train_x[:1].long()
    other = x.clone()
    other[0, 6] = (other[0, 6] + 1) % 256
    with torch.no_grad():
        moved = (model(x) - model(other)).abs().amax(-1)[0]
    assert float(moved[:6].max()) == 0
    assert float(moved[6:].min()) > 1e-6


def test_normalised_queries_bound_attention_logits() -> None:
    """With `qk_norm` a logit is at most sqrt(depth), whatever the weights; without it grows with them."""
    for qk_norm in (False, True):
        model = tiny(qk_norm=qk_norm).initial_model(0)
        attention = model.get_submodule("blocks.0.attention")
        with torch.no_grad():
            attention.q.weight.mul_(1000)  # type: ignore[union-attr, operator]
            q, k = attention.queries_and_keys(torch.randn(1, 12, 16))  # type: ignore[operator]
            largest = float((q @ k.mT).abs().max() / math.sqrt(8))
        assert (largest <= math.sqrt(8) * 1.001) == qk_norm


def cells(count: int = 2) -> dict[str, Any]:
    lr_C = torch.logspace(-4, -2, count, dtype=torch.float64)
    return {"lr_C": lr_C, "weight_decay_C": torch.linspace(0.1, 0, count), "seed": 1}


def assert_near(fused: Curves, serial: Curves, relative: float = RELATIVE) -> None:
    assert fused.outcome_C == serial.outcome_C
    torch.testing.assert_close(fused.loss_KC, serial.loss_KC, rtol=relative, atol=0)
    torch.testing.assert_close(fused.metric_KC, serial.metric_KC, rtol=relative, atol=0)


@pytest.mark.parametrize("transform", ["none", "gradient_stabilizer"])
@pytest.mark.parametrize("z_loss", [0.0, 1e-2])
@pytest.mark.parametrize("qk_norm", [False, True])
def test_fused_equals_serial(transform: str, z_loss: float, qk_norm: bool) -> None:
    """Losses and nats per token agree to rounding, with and without the interventions."""
    parts = tiny(qk_norm=qk_norm, z_loss=z_loss), make_transform(transform), make_optimizer("adamw"), BUDGET
    assert_near(train_fused(*parts, **cells()), train_serial(*parts, **cells()))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision(precision: str) -> None:
    """With all but norms in half precision, fused and serial losses are near the exact ones."""
    parts = tiny(qk_norm=True), make_transform("none"), make_optimizer("adamw")
    exact = train_fused(*parts, BUDGET, **cells())
    for trainer in (train_fused, train_serial):
        found = trainer(*parts, replace(BUDGET, precision=precision), **cells())
        torch.testing.assert_close(found.loss_KC, exact.loss_KC, rtol=0.02, atol=0)
        assert not torch.equal(found.loss_KC, exact.loss_KC)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_blocks_give_the_bits_of_the_whole_tile(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that are recorded and repeated do what ordinary ones do, while cells diverge and leave."""
    budget = replace(BUDGET, precision=precision, dynamics=4)
    parts = tiny(qk_norm=True, z_loss=1e-4), make_transform("zclip"), make_optimizer("adamw"), budget
    mine = {"lr_C": torch.logspace(-4, 12, 5), "weight_decay_C": torch.zeros(5), "seed": 2}
    monkeypatch.setattr(blocks, "WIDEST", 4)
    repeats = 0
    once_more = blocks.Recorded.repeat

    def counted(self: Any, one: Any) -> Any:
        nonlocal repeats
        repeats += 1
        return once_more(self, one)

    monkeypatch.setattr(blocks.Recorded, "repeat", counted)
    repeated = train_fused(*parts, **mine)
    assert repeats
    begin = Step.__init__

    def whole(self: Step, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        assert self.repeatable
        self.repeatable = False

    monkeypatch.setattr(Step, "__init__", whole)
    assert same(repeated, train_fused(*parts, **mine))
    assert "diverged" in repeated.outcome_C


@pytest.mark.parametrize(
    ("constants", "shape", "words"),
    [
        ({"width": 30, "heads": 4}, (8,), "width is 30 and heads is 4; wanted a multiple of heads"),
        ({"width": 12, "heads": 4}, (8,), "a head has 3 entries; wanted an even number"),
        ({"size": "7b"}, (8,), "unknown size of llama '7b'; known: 0.1m"),
        ({"init_std": 0.0}, (8,), "init_std is 0"),
        ({"depth": 0}, (8,), "depth is 0"),
        ({}, (1, 8, 8), r"wanted \[context\], sequences of tokens"),
    ],
)
def test_what_does_not_fit_is_refused(constants: dict[str, Any], shape: tuple[int, ...], words: str) -> None:
    """Constants and examples that the network cannot take are named, with what is wanted."""
    with pytest.raises(ValueError, match=words):
        model_factory("llama", **constants)(shape, 256)


def test_large_networks_are_looped_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the larger sizes one cell at a time has logits, and fused equals serial there as well."""
    made = {size: make_workload("text", "llama", {"size": size}, context=128) for size in ("0.9m", "20m")}
    found = {size: fills_processor(w.initial_model(0), w.train_x[:1].long()) for size, w in made.items()}
    assert found == {"0.9m": False, "20m": True}
    monkeypatch.setattr(work, "PRODUCT_WORK", 1)
    largest = 0
    original = token_loss

    def watched(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        nonlocal largest
        largest = max(largest, output.numel())
        return original(output, target)

    parts = (
        replace(tiny(), loss=watched),
        make_transform("none"),
        make_optimizer("adamw"),
        BUDGET,
    )
    assert_near(train_fused(*parts, **cells(3)), train_serial(*parts, **cells(3)))
    assert largest == 4 * 12 * 256


def test_blocks_are_as_wide_as_logits_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for logits limits the cells of a block and of an evaluation, and the results do not change."""
    parts = tiny(), make_transform("none"), make_optimizer("adamw"), replace(BUDGET, precision="float32")
    whole = train_fused(*parts, **cells(5))
    widths: list[int] = []
    begin = blocks.Recorded.__init__

    def noted(self: Any, step: Any, tile: Any, *rest: Any) -> None:
        widths.append(len(tile.lr_C))
        begin(self, step, tile, *rest)

    monkeypatch.setattr(blocks.Recorded, "__init__", noted)
    for module, limit in ((blocks, "OUTPUTS"), (evaluation, "EVALUATION_NUMBERS")):
        monkeypatch.setattr(module, limit, 2 * 4 * 12 * 256)
    assert same(train_fused(*parts, **cells(5)), whole)
    assert widths == [2]


def test_probes_are_what_they_say() -> None:
    """The largest attention logit, mean log Z and least RMS of the first step, by hand."""
    budget = replace(BUDGET, dynamics=5)
    made = tiny()
    parts = made, make_transform("clip_norm", max_norm=0.1), make_optimizer("adamw"), budget
    found = train_fused(*parts, **cells()).dynamics
    assert found is not None
    assert list(found.probes) == ["attention_logit", "log_z", "least_rms"]
    model = made.initial_model(1).double()
    _, ((x, y, _),) = next(Feed(made, budget, 1, "cpu").steps())
    logits = []
    for block in model.blocks:
        seen = block.norm1.register_forward_hook(lambda module, inputs, output: logits.append(output))
        model(x)
        seen.remove()
    largest = -math.inf
    for block, h in zip(model.blocks, logits, strict=True):
        q, k = ((h @ w.T).view(4, 12, 2, 8) for w in (block.attention.q.weight, block.attention.k.weight))
        for head in range(2):
            turned = [rotated(t[:, :, head], 10_000.0) for t in (q, k)]
            products = (turned[0] @ turned[1].mT / math.sqrt(8)).tril() + torch.full((12, 12), -9e9).triu(1)
            largest = max(largest, float(products.detach().max()))
    assert found.probes["attention_logit"][0].tolist() == pytest.approx([largest] * 2, rel=1e-9)
    output = model(x)
    log_z = float(output.detach().exp().sum(-1).log().mean())
    assert found.probes["log_z"][0].tolist() == pytest.approx([log_z] * 2, rel=1e-9)
    grads = torch.autograd.grad(made.loss(output, y), list(model.parameters()))
    norm = math.sqrt(sum(float(g.square().sum()) for g in grads))
    least = min(float(g.square().mean().sqrt()) for g in grads) * min(1, 0.1 / norm)
    assert found.probes["least_rms"][0].tolist() == pytest.approx([least] * 2, rel=1e-4)


@pytest.mark.parametrize("looped", [False, True])
def test_probes_are_the_same_in_both_trainers(looped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every recorded moment, also where cells diverge or are looped over; others show nothing."""
    monkeypatch.setattr(work, "PRODUCT_WORK", 1 if looped else work.PRODUCT_WORK)
    parts = tiny(qk_norm=True), make_transform("none"), make_optimizer("adamw"), replace(BUDGET, dynamics=3)
    mine = {**cells(), "lr_C": torch.tensor([1e-3, 1e12], dtype=torch.float64)}
    fused, serial = (trainer(*parts, **mine).dynamics for trainer in (train_fused, train_serial))
    assert fused is not None
    assert serial is not None
    for name, wanted in serial.probes.items():
        torch.testing.assert_close(fused.probes[name], wanted, rtol=1e-7, atol=0, equal_nan=True)
        assert wanted[:, 0].isfinite().all()
    other = make_workload("synthetic", "mlp"), make_transform("none"), make_optimizer("adamw")
    plain = train_fused(*other, replace(BUDGET, dynamics=3), **cells()).dynamics
    assert plain is not None
    assert plain.probes == {}


def test_half_precision_sums_in_float32_and_rounds_once() -> None:
    """A product of float16 factors is the float32 product, rounded, alone and under `torch.vmap`."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 5, 512, generator=generator).half()
    weight_C = torch.randn(2, 7, 512, generator=generator).half()
    layer = Projection(512, 7).half()
    wide_C = torch.stack([(x.double() @ weight.double().T).float().half() for weight in weight_C])
    apart_C = torch.stack([torch.func.functional_call(layer, {"weight": w}, (x,)) for w in weight_C])
    together_C = torch.func.vmap(lambda w: torch.func.functional_call(layer, {"weight": w}, (x,)))(weight_C)
    # Sums in another order may round to the neighbour, one unit of the last place away.
    for found_C in (apart_C, together_C):
        torch.testing.assert_close(found_C, wide_C, rtol=2**-10, atol=0.0)
        assert (found_C == wide_C).double().mean() > 0.95
