"""Muon, Schedule-Free, Prodigy and Adam-mini beside other libraries' implementations, and in networks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_optimizer
import torch
from pytorch_optimizer.optimizer import adam_mini as their_adam_mini
from torch import Tensor, nn

from tests.trainers.making import Dying, assert_twins, same, transform_of
from trainers import (
    Budget,
    Checkpoint,
    Optimizer,
    Workload,
    attach,
    make_optimizer,
    make_transform,
    make_workload,
    train_fused,
    train_serial,
)
from trainers.evaluation import BATCHES
from trainers.feed import Feed
from trainers.models import MODELS
from trainers.optimizers.layers import hidden, matrices, outer
from trainers.replay import CannotReplayError

RELATIVE = 1e-10
"""Float64 rounding over 100 steps; what is float32 somewhere shows as 1e-7, a misplaced epsilon as 1e-8."""
STEPS = 100
NEW = ("muon", "schedule_free_adamw", "prodigy", "adam_mini")
LR = {"muon": 1e-2, "schedule_free_adamw": 1e-2, "prodigy": 1.0, "adam_mini": 1e-2}


def parameters(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()
    }


def slopes(params: dict[str, Tensor], step: int) -> dict[str, Tensor]:
    """A noisy pull towards 1, different at each step."""
    generator = torch.Generator().manual_seed(step)
    return {
        name: 0.3 * (p.detach() - 1) + torch.randn(p.shape, generator=generator, dtype=p.dtype)
        for name, p in params.items()
    }


def ours(rule: Optimizer, params: dict[str, Tensor], lr_T: list[float], weight_decay: float) -> Iterator[Any]:
    """Parameters and evaluated ones after each step."""
    state = rule.init(params)
    for step, lr in enumerate(lr_T):
        params, state = rule.update(
            slopes(params, step),
            state,
            params,
            torch.tensor(lr, dtype=torch.float64),
            torch.tensor(weight_decay, dtype=torch.float64),
        )
        yield params, rule.evaluation(params, state) if rule.evaluation else params


def theirs(rule: Any, params: dict[str, nn.Parameter], lr_T: list[float]) -> Iterator[Any]:
    """The same of a `torch.optim` class; lr is set before each step where it varies."""
    for step, lr in enumerate(lr_T):
        for p, g in zip(params.values(), slopes(params, step).values(), strict=True):
            p.grad = g
        for group in rule.param_groups:
            group["lr"] = lr
        rule.step()
        after = {name: p.detach().clone() for name, p in params.items()}
        if not hasattr(rule, "eval"):
            yield after, after
            continue
        rule.eval()
        yield after, {name: p.detach().clone() for name, p in params.items()}
        rule.train()


def assert_same(found: Iterator[Any], wanted: Iterator[Any], relative: float = RELATIVE) -> None:
    for (mine, shown), (other, other_shown) in zip(found, wanted, strict=True):
        for one, two in ((mine, other), (shown, other_shown)):
            for name in one:
                scale = float(two[name].abs().mean())
                torch.testing.assert_close(one[name], two[name], rtol=relative, atol=relative * scale)


def leaves(params: dict[str, Tensor]) -> dict[str, nn.Parameter]:
    return {name: nn.Parameter(p.clone()) for name, p in params.items()}


MATRICES = {"embed.weight": (9, 4), "a.weight": (6, 4), "b.weight": (4, 6), "c.weight": (5, 5)}


@pytest.mark.parametrize(
    ("nesterov", "adjust_lr", "weight_decay"),
    [(True, "original", 0.0), (True, "match_rms_adamw", 0.1), (False, "match_rms_adamw", 1.0)],
)
def test_muon_equals_torch(
    monkeypatch: pytest.MonkeyPatch, nesterov: bool, adjust_lr: str, weight_decay: float
) -> None:
    """Hidden matrices go as in `torch.optim.Muon`, made to iterate in float64, and the rest as in AdamW."""
    params = parameters({**MATRICES, "bias": (6,), "head.weight": (3, 5)})
    copied = leaves(params)
    inner = ["a.weight", "b.weight", "c.weight"]
    assert hidden(params) == inner
    rest = [p for name, p in copied.items() if name not in inner]
    rules = [
        torch.optim.Muon(
            [copied[name] for name in inner],
            lr=0.02,
            weight_decay=weight_decay,
            nesterov=nesterov,
            adjust_lr_fn=adjust_lr,
        ),
        torch.optim.AdamW(rest, lr=0.02, weight_decay=weight_decay),
    ]
    both = SimpleNamespace(
        param_groups=[group for rule in rules for group in rule.param_groups],
        step=lambda: [rule.step() for rule in rules],
    )
    monkeypatch.setattr(Tensor, "bfloat16", Tensor.clone)
    rule = make_optimizer("muon", nesterov=nesterov, adjust_lr=adjust_lr)
    assert_same(ours(rule, params, [0.02] * STEPS, weight_decay), theirs(both, copied, [0.02] * STEPS))


def test_muon_iterates_in_the_precision_of_parameters() -> None:
    """Torch's own iteration is in bfloat16: one step of it differs by more than rounding, and by little."""
    params = parameters({**MATRICES, "head.weight": (3, 5)})
    copied = leaves(params)
    rule = torch.optim.Muon([copied["c.weight"]], lr=1.0, weight_decay=0.0)
    ((mine, _),) = ours(make_optimizer("muon", adjust_lr="original"), params, [1.0], 0.0)
    copied["c.weight"].grad = slopes(params, 0)["c.weight"]
    rule.step()
    apart = float((copied["c.weight"].detach() - mine["c.weight"]).abs().max())
    assert 1e-4 < apart < 0.05


def test_muon_steps_are_orthogonal() -> None:
    """Singular values of a step are near 1, those of the gradient go over many decades."""
    generator = torch.Generator().manual_seed(0)
    u, _, v = torch.linalg.svd(torch.randn(8, 8, generator=generator, dtype=torch.float64))
    grads = {"x.weight": u @ torch.diag(torch.logspace(0, -1.5, 8, dtype=torch.float64)) @ v}
    params = {name: torch.zeros(8, 8, dtype=torch.float64) for name in ("embed.weight", "x.weight", "head.w")}
    grads = {name: grads.get(name, torch.zeros_like(p)) for name, p in params.items()}
    rule = make_optimizer("muon", adjust_lr="original")
    one = torch.tensor(1.0, dtype=torch.float64)
    new, _ = rule.update(grads, rule.init(params), params, one, 0 * one)
    assert torch.linalg.svdvals(new["x.weight"]).min() > 0.5
    assert torch.linalg.svdvals(new["x.weight"]).max() < 1.3
    # A zero gradient moves nothing.
    same_, _ = rule.update(
        {k: torch.zeros_like(g) for k, g in grads.items()}, rule.init(params), params, one, 0 * one
    )
    assert torch.equal(same_["x.weight"], params["x.weight"])


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("beta1", [0.9, 0.95])
def test_schedule_free_equals_pytorch_optimizer(beta1: float, weight_decay: float) -> None:
    """Training point and evaluated weights are those of another library, with its own warm-up of 10 steps."""
    params = parameters({**MATRICES, "bias": (6,), "scale": ()})
    copied = leaves(params)
    reference = pytorch_optimizer.ScheduleFreeAdamW(
        list(copied.values()), lr=0.02, betas=(beta1, 0.999), weight_decay=weight_decay, warmup_steps=10
    )
    budget = Budget(STEPS, 1, warmup=10)
    factors = [budget.lr_factor(t) for t in range(STEPS)]
    rule = make_optimizer("schedule_free_adamw", beta1=beta1)
    found = ours(rule, params, [0.02 * factor for factor in factors], weight_decay)
    # 1e-15 stands in the root of the other library, which is more than rounding of gradients near zero.
    assert_same(found, theirs(reference, copied, [0.02] * STEPS), 1e-9)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(
    "constants",
    [
        {},
        {"d0": 1e-3, "d_coef": 0.5, "growth_rate": 1.02},
        {"bias_correction": True, "safeguard_warmup": True},
    ],
)
def test_prodigy_equals_pytorch_optimizer(constants: dict[str, Any], weight_decay: float) -> None:
    """Parameters are those of another library, whose sums over tensors are made to be in float64."""
    params = parameters({**MATRICES, "bias": (6,), "scale": (1,)})
    copied = leaves(params)
    torch.set_default_dtype(torch.float64)
    try:
        reference = pytorch_optimizer.Prodigy(list(copied.values()), weight_decay=weight_decay, **constants)
        rule = make_optimizer("prodigy", **constants)
        lr_T = [min(1.0, (t + 1) / 20) for t in range(STEPS)]
        assert_same(ours(rule, params, lr_T, weight_decay), theirs(reference, copied, lr_T))
    finally:
        torch.set_default_dtype(torch.float32)
    assert reference.param_groups[0]["d"] > 5 * reference.param_groups[0]["d0"]


class Wide:
    """`torch` in which float32 means float64."""

    float32 = torch.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


class Transformer(nn.Module):
    """A network with the names that the other library knows, width 8, and four heads."""

    def __init__(self) -> None:
        super().__init__()
        for name, p in parameters(
            {
                "embed": (10, 8),
                "q_proj": (8, 8),
                "k_proj": (8, 8),
                "v_proj": (8, 8),
                "up": (16, 8),
                "lm_head": (10, 8),
            }
        ).items():
            linear = nn.Linear(1, 1, bias=name == "up", dtype=torch.float64)
            linear.weight = nn.Parameter(p)
            setattr(self, name, linear)
        self.attn = nn.Module()
        self.attn.qkv = nn.Linear(8, 24, bias=False, dtype=torch.float64)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam_mini_equals_pytorch_optimizer(monkeypatch: pytest.MonkeyPatch, weight_decay: float) -> None:
    """Blocks by entry, head and tensor go as in another library, made to remember in float64."""
    monkeypatch.setattr(their_adam_mini, "torch", Wide())
    torch.set_default_dtype(torch.float64)
    try:
        model = Transformer()
        reference = pytorch_optimizer.AdamMini(model, weight_decay=weight_decay, num_embeds=8, num_heads=4)
        params = {name: p.detach().clone() for name, p in model.named_parameters()}
        rule = make_optimizer("adam_mini", heads=4)
        found = ours(rule, params, [0.01] * STEPS, weight_decay)
        assert_same(found, theirs(reference, dict(model.named_parameters()), [0.01] * STEPS))
    finally:
        torch.set_default_dtype(torch.float32)


def test_adam_mini_decays_norms_too() -> None:
    """The other library leaves weight decay out where a name has `norm`; here no optimizer does."""
    params = {"norm.weight": torch.ones(3, dtype=torch.float64)}
    rule, zero = make_optimizer("adam_mini"), {"norm.weight": torch.zeros(3, dtype=torch.float64)}
    one = torch.tensor(1.0, dtype=torch.float64)
    new, _ = rule.update(zero, rule.init(params), params, one, one / 4)
    assert torch.equal(new["norm.weight"], torch.full((3,), 0.75, dtype=torch.float64))


def test_heads_that_do_not_divide_are_refused() -> None:
    """The sentence names the tensor, its rows and what is wanted."""
    params = parameters({"embed.weight": (4, 4), "q.weight": (4, 4), "head.weight": (4, 4)})
    with pytest.raises(ValueError, match=r"heads is 3 and q\.weight has 4 rows"):
        make_optimizer("adam_mini", heads=3).init(params)


SHOWN = {
    "linear": (1, 0),
    "mlp": (3, 1),
    "convnet": (4, 2),
    "resnet20": (22, 20),
    "resnet56": (58, 56),
    "vgg16_bn": (16, 14),
    "vit": (26, 24),
}
"""Matrices of a network, and how many of them are hidden."""


@pytest.mark.parametrize("name", [name for name in SHOWN if name in MODELS])
def test_hidden_matrices_of_the_models(name: str) -> None:
    """All matrices of a network are hidden but for the first and the last layer, depth and width aside."""
    params = dict(MODELS[name]((3, 32, 32), 10).named_parameters())
    found, inner = matrices(params), hidden(params)
    assert (len(found), len(inner)) == SHOWN[name]
    assert found[0] not in inner
    assert found[-1] not in inner
    assert sorted(inner + outer(params)) == sorted(found)


def test_hidden_matrices_where_names_tell() -> None:
    """Of a language model and of a forecaster all matrices of the blocks are hidden, and no others."""
    for name, model in (("text", "llama"), ("series", "patchtst")):
        params = dict(make_workload(name, model).initial_model(0).named_parameters())
        assert set(outer(params)) - {"positions"} == {"embed.weight", "head.weight"}
        assert hidden(params) == [k for k in matrices(params) if k.startswith(("blocks.", "layers."))]


def test_hidden_matrices_by_name() -> None:
    """Names tell embeddings, heads and positions wherever they stand."""
    shapes = {
        "head.weight": (9, 4),
        "blocks.0.attention.q.weight": (4, 4),
        "blocks.0.norm.weight": (4,),
        "positions": (7, 4),
        "token": (1, 1, 4),
        "layer_scale": (4, 1, 1),
        "depthwise.weight": (4, 1, 7, 7),
        "embed.weight": (9, 4),
        "blocks.1.mlp.down.weight": (4, 8),
    }
    params = {name: torch.zeros(shape) for name, shape in shapes.items()}
    assert hidden(params) == ["blocks.0.attention.q.weight", "blocks.1.mlp.down.weight"]
    assert outer(params) == ["head.weight", "positions", "embed.weight"]


@cache
def workload(model: str) -> Workload:
    return make_workload("digits", model)


def cells(name: str) -> dict[str, Any]:
    return {
        "lr_C": torch.tensor([0.1, 1.0, 3.0], dtype=torch.float64) * LR[name],
        "weight_decay_C": torch.tensor([0.0, 1e-2, 1.0], dtype=torch.float64),
        "seed": 1,
    }


@pytest.mark.parametrize("transform", ["none", "gradient_stabilizer", "stable_spam"])
@pytest.mark.parametrize("name", NEW)
def test_fused_equals_serial_behind_transforms(name: str, transform: str) -> None:
    """Twins in float64 without a transform, behind the stabilizer, and behind one that restarts moments."""
    budget = Budget(steps=12, batch_size=32, points=3, warmup=3, precision="float64", dynamics=4)
    parts = (workload("mlp"), transform_of(transform), make_optimizer(name), budget)
    fused, serial = train_fused(*parts, **cells(name)), train_serial(*parts, **cells(name))
    assert_twins(fused, serial)
    assert fused.dynamics is not None
    assert serial.dynamics is not None
    torch.testing.assert_close(
        fused.dynamics.update_ratio_JC, serial.dynamics.update_ratio_JC, rtol=1e-9, atol=0
    )


@pytest.mark.parametrize("name", NEW)
def test_resumed_bit_by_bit(name: str, tmp_path: Path) -> None:
    """A run that died after five of nine steps goes on to the very numbers of an undisturbed one."""
    parts = (workload("mlp"), make_transform("stable_spam", reset_interval=4), make_optimizer(name))
    budget = Budget(steps=9, batch_size=32, points=3)
    whole = train_fused(*parts, budget, **cells(name))
    with pytest.raises(KeyboardInterrupt):
        train_fused(*parts, budget, **cells(name), checkpoint=Dying(tmp_path / "kept", 5))
    assert same(whole, train_fused(*parts, budget, **cells(name), checkpoint=Checkpoint(tmp_path / "kept")))


@pytest.mark.parametrize("name", NEW)
def test_steps_are_replayed_bit_by_bit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded steps of blocks are taken, and give the bits of steps that are not recorded."""
    parts = (workload("mlp"), make_transform("gradient_stabilizer"), make_optimizer(name))
    budget = Budget(steps=8, batch_size=32, points=2)

    def not_here(*_: Any) -> None:
        raise CannotReplayError("not here")

    with monkeypatch.context() as patched:
        patched.setattr("trainers.blocks.Recorded.__init__", not_here)
        plain = train_fused(*parts, budget, **cells(name))
    refused: list[str] = []
    monkeypatch.setattr("trainers.fused.Whole.advance", lambda *_: refused.append("whole"))
    replayed = train_fused(*parts, budget, **cells(name))
    assert not refused
    assert same(plain, replayed)


def test_schedule_free_is_evaluated_at_the_average() -> None:
    """The metric is that of x and of statistics over training batches at x, computed here by hand."""
    budget = Budget(steps=12, batch_size=32, points=1, precision="float64")
    optimizer = make_optimizer("schedule_free_adamw")
    one = {"lr_C": torch.tensor([0.01], dtype=torch.float64), "weight_decay_C": torch.zeros(1), "seed": 0}
    curves = train_fused(workload("convnet"), make_transform("none"), optimizer, budget, **one)

    torch.manual_seed(0)
    work = workload("convnet")
    feed = Feed(work, budget, 0, "cpu")
    model = work.initial_model(0).double()
    y = {name: p.detach().clone() for name, p in model.named_parameters()}
    z, x, v, total = dict(y), dict(y), {name: torch.zeros_like(p) for name, p in y.items()}, 0.0
    for t, [(images, labels, _)] in feed.steps():
        model.load_state_dict(y, strict=False)
        work.loss(model(images), labels).backward()
        total += 0.01**2
        share = 0.01**2 / total
        for name, p in model.named_parameters():
            assert p.grad is not None
            v[name] = 0.999 * v[name] + 0.001 * p.grad**2
            u = p.grad / ((v[name] / (1 - 0.999 ** (t + 1))).sqrt() + 1e-8)
            z[name] = z[name] - 0.01 * u
            x[name] = (1 - share) * x[name] + share * z[name]
            y[name] = 0.1 * z[name] + 0.9 * x[name]
        model.zero_grad()
    model.load_state_dict(x, strict=False)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's own cumulative mean
    with torch.no_grad():
        for _, [(images, _, _)] in feed.steps():
            model(images)
        model.eval()
        right = sum(float(work.score(model(images), labels).sum()) for images, labels in feed.evaluation())
    assert budget.steps < BATCHES
    assert float(curves.metric_final_C[0]) == pytest.approx(right / len(work.eval_y), abs=1e-12)
    model.load_state_dict(y, strict=False)


@pytest.mark.parametrize("looped", [False, True])
def test_statistics_are_recomputed_however_cells_are_trained(
    looped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks with BatchNorm, vectorised and looped over, are evaluated as in the serial trainer."""
    monkeypatch.setattr("trainers.fused.fills_processor", lambda *_: looped)
    budget = Budget(steps=6, batch_size=32, points=2, precision="float64", accumulation=2)
    parts = (workload("convnet"), make_transform("none"), make_optimizer("schedule_free_adamw"), budget)
    assert_twins(
        train_fused(*parts, **cells("schedule_free_adamw")),
        train_serial(*parts, **cells("schedule_free_adamw")),
    )


def test_attach_to_torch_muon() -> None:
    """`attach(torch.optim.Muon(…), transform)` steps on transformed gradients, and restarts its momentum."""
    weight = nn.Parameter(torch.eye(3, dtype=torch.float64))
    alone = nn.Parameter(weight.detach().clone())
    rule, plain = (torch.optim.Muon([p], lr=0.1) for p in (weight, alone))
    transform = make_transform("stable_spam", reset_interval=2)
    handle = attach(rule, transform)
    state = transform.init({"p": alone.detach()})
    for step in range(5):
        g = slopes({"p": alone}, step)["p"]
        weight.grad, (out, state) = g.clone(), transform.update({"p": g}, state, {"p": alone.detach()})
        alone.grad = out["p"]
        assert transform.signal is not None
        if transform.signal(state).restart:
            plain.state[alone]["momentum_buffer"].zero_()
        rule.step()
        plain.step()
        assert torch.equal(weight, alone)
    handle.remove()
    assert math.isfinite(float(weight.detach().sum()))


@pytest.mark.parametrize("name", NEW)
def test_agents_are_evaluated_alike(name: str) -> None:
    """Fused equals serial where every cell has examples of its own, and is evaluated at its own weights."""
    work = make_workload("cartpole", "mlp", {"hidden": (8, 8)}, envs=4, horizon=16, episodes=2)
    assert len(hidden(dict(work.initial_model(0).named_parameters()))) == 2
    budget = Budget(steps=8, batch_size=32, points=2, precision="float64")
    parts = (work, make_transform("none"), make_optimizer(name), budget)
    assert_twins(train_fused(*parts, **cells(name)), train_serial(*parts, **cells(name)))


@pytest.mark.parametrize("name", ["muon", "adam_mini"])
def test_parameters_without_names_are_refused(name: str) -> None:
    """Where names tell what a tensor is, parameters alone are refused with what to give."""
    with pytest.raises(ValueError, match="named_parameters"):
        make_optimizer(name).reference([nn.Parameter(torch.zeros(2))], 0.1, 0.0)  # type: ignore[list-item]


def test_schedule_free_reference_switches() -> None:
    """`eval()` and `train()` go to x and back, and stepping on x is refused."""
    p = nn.Parameter(torch.ones(2, dtype=torch.float64))
    rule: Any = make_optimizer("schedule_free_adamw").reference([("p", p)], 0.1, 0.0)
    p.grad = torch.tensor([1.0, -2.0], dtype=torch.float64)
    rule.step()
    rule.step()
    y = p.detach().clone()
    rule.eval()
    assert not torch.allclose(p, y)
    with pytest.raises(RuntimeError, match=r"call train\(\)"):
        rule.step()
    rule.train()
    assert torch.equal(p.detach(), y)
