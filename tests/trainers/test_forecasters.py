"""DLinear, NLinear and PatchTST are the papers' networks, and train fused as they do alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.trainers.making import RELATIVE
from trainers import Budget, Curves, make_optimizer, make_transform, make_workload, train_fused, train_serial
from trainers.models import model_factory

CONTEXT, HORIZON, VARIABLES = 40, 12, 3


def windows(batch: int = 2) -> Tensor:
    """Random inputs [B, context, V] in float64, whose mean is not 0."""
    generator = torch.Generator().manual_seed(3)
    return 2 + torch.randn(batch, CONTEXT, VARIABLES, generator=generator, dtype=torch.float64).cumsum(1)


def network(name: str, **constants: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return model_factory(name, **constants)((CONTEXT, VARIABLES), HORIZON).double().eval()


def test_dlinear_is_the_papers_formula() -> None:
    """The trend is the mean of 25 neighbours, ends repeated; each part has a linear map of its own."""
    model, x = network("dlinear"), windows()
    w = {name: p.detach() for name, p in model.named_parameters()}
    out = model(x).detach()
    for b in range(len(x)):
        for v in range(VARIABLES):
            row = x[b, :, v].tolist()
            near = [[row[min(max(t + k, 0), CONTEXT - 1)] for k in range(-12, 13)] for t in range(CONTEXT)]
            trend = [math.fsum(one) / 25 for one in near]
            rest = [value - smooth for value, smooth in zip(row, trend, strict=True)]
            for h in range(HORIZON):
                wanted = math.fsum(
                    [
                        *(a * c for a, c in zip(w["seasonal.weight"][h].tolist(), rest, strict=True)),
                        *(a * c for a, c in zip(w["trend.weight"][h].tolist(), trend, strict=True)),
                        float(w["seasonal.bias"][h] + w["trend.bias"][h]),
                    ]
                )
                assert float(out[b, h, v]) == pytest.approx(wanted, rel=1e-10)


def test_nlinear_is_the_papers_formula() -> None:
    """The last value is taken off before the linear map and added behind it."""
    model, x = network("nlinear"), windows()
    weight, bias = model.linear.weight, model.linear.bias
    wanted = weight @ (x - x[:, -1:]) + bias[:, None] + x[:, -1:]
    torch.testing.assert_close(model(x), wanted, rtol=1e-12, atol=1e-12)


def patchtst_by_hand(model: torch.nn.Module, row: Tensor, patch: int, stride: int, heads: int) -> Tensor:
    """The forecast of one variable's window [context], in evaluation, from the paper's equations.

    Evaluation normalises by running statistics, 0 and 1 in an untrained network.
    """
    w = dict(model.named_parameters())
    centre, spread = row.mean(), (row.var(correction=0) + 1e-5).sqrt()
    row = (row - centre) / spread
    row = torch.cat([row, row[-1].repeat(stride)])
    starts = range(0, len(row) - patch + 1, stride)
    z = torch.stack([w["embed.weight"] @ row[s : s + patch] + w["embed.bias"] for s in starts])
    z = z + w["positions"]
    norm = 1 / math.sqrt(1 + 1e-5)
    before: list[Tensor | None] = [None] * heads
    for k in range(len(model.layers)):
        own = {name.removeprefix(f"layers.{k}."): p for name, p in w.items()}

        def mapped(x: Tensor, name: str, own: dict[str, Tensor] = own) -> Tensor:
            return torch.stack([own[f"{name}.weight"] @ one + own[f"{name}.bias"] for one in x])

        q, key, v = (mapped(z, name) for name in ("query", "key", "value"))
        depth = z.shape[1] // heads
        mixed = []
        for h in range(heads):
            part = slice(h * depth, (h + 1) * depth)
            scores = q[:, part] @ key[:, part].T / math.sqrt(depth)
            previous = before[h]
            scores = scores if previous is None else scores + previous
            before[h] = scores
            weights = scores.exp() / scores.exp().sum(1, keepdim=True)
            mixed.append(weights @ v[:, part])
        z = (z + mapped(torch.cat(mixed, 1), "out")) * norm
        hidden = mapped(z, "inner.0")
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        z = (z + mapped(hidden, "inner.3")) * norm
    return (w["head.weight"] @ z.T.reshape(-1) + w["head.bias"]) * spread + centre


def test_patchtst_is_the_papers_network() -> None:
    """Each variable alone, patch by patch and head by head, from the equations of the paper and its code."""
    model = network("patchtst", patch=16, stride=8, width=8, heads=2, hidden=12)
    x = windows()
    out = model(x)
    for b in range(len(x)):
        for v in range(VARIABLES):
            wanted = patchtst_by_hand(model, x[b, :, v], 16, 8, 2)
            torch.testing.assert_close(out[b, :, v], wanted, rtol=1e-9, atol=1e-9)


def test_patchtst_normalises_by_the_batch_in_training() -> None:
    """BatchNorm takes each channel over batch, variables and patches together."""
    model = network("patchtst", width=8, heads=2, hidden=12, dropout=0.0).train()
    given: list[Tensor] = []
    norm = model.layers[0].norm1
    norm.register_forward_hook(lambda module, inputs, out: given.extend([inputs[0], out]))
    model(windows(4))
    before, after = given
    # 4 windows x 3 variables x 5 patches.
    assert before.shape == (1, 8, 4 * 3 * 5)
    wanted = (before - before.mean(2, keepdim=True)) / (
        before.var(2, correction=0, keepdim=True) + 1e-5
    ).sqrt()
    torch.testing.assert_close(after, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("settings", "variables", "parameters"),
    # Patches 17 d, positions 42 d, each layer 4 (d² + d) + 2 d f + f + d + 4 d, head (42 d + 1) 96.
    [("ETTh1", 7, 81_728), ("weather", 21, 921_184)],
)
def test_patchtst_has_the_published_sizes(settings: str, variables: int, parameters: int) -> None:
    """The scripts' sizes, with 336 rows, patches of 16 at every 8th row (42 of them), and 96 to forecast."""
    model = model_factory("patchtst", settings=settings)((336, variables), 96)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert model.patches == 42


@pytest.mark.parametrize("name", ["dlinear", "nlinear", "patchtst"])
def test_fused_equals_serial(name: str) -> None:
    """Losses and metrics agree to rounding in float64, with dropout's masks paired."""
    constants = {"width": 8, "heads": 2, "hidden": 16} if name == "patchtst" else {}
    workload = make_workload("series", name, constants, context=40, horizon=8, rows=300, variables=2)
    budget = Budget(steps=8, batch_size=8, points=2, precision="float64", accumulation=2)
    cells = {
        "lr_C": torch.tensor([1e-4, 1e-3, 1e-2], dtype=torch.float64),
        "weight_decay_C": torch.tensor([0.0, 0.1, 0.0], dtype=torch.float64),
        "seed": 0,
    }
    parts = (workload, make_transform("gradient_stabilizer"), make_optimizer("adamw"), budget)
    fused, serial = train_fused(*parts, **cells), train_serial(*parts, **cells)
    torch.testing.assert_close(fused.loss_KC, serial.loss_KC, rtol=RELATIVE, atol=0)
    torch.testing.assert_close(fused.metric_KC, serial.metric_KC, rtol=RELATIVE, atol=0)


def test_a_wild_neighbour_changes_no_bit() -> None:
    """The cells of PatchTST, whose norms and masks are shared work, do not touch each other.

    A metric is taken in a tile of one cell where the other has ended, and sums there in another order.
    """
    workload = make_workload(
        "series",
        "patchtst",
        {"width": 8, "heads": 2, "hidden": 16},
        context=40,
        horizon=8,
        rows=300,
        variables=2,
    )
    parts = (workload, make_transform("none"), make_optimizer("adamw"), Budget(6, 8, points=2))

    def beside(lr: float) -> Curves:
        lr_C = torch.tensor([1e-3, lr])
        return train_fused(*parts, lr_C=lr_C, weight_decay_C=torch.zeros(2), seed=0)

    calm, wild = beside(1e-3), beside(1e30)
    assert wild.outcome_C[1] == "diverged"
    assert torch.equal(calm.loss_KC[:, 0], wild.loss_KC[:, 0])
    torch.testing.assert_close(calm.metric_KC[:, 0], wild.metric_KC[:, 0], rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("name", "constants", "word"),
    [
        ("dlinear", {"kernel": 4}, "wanted an odd number"),
        ("patchtst", {"settings": "ETTh9"}, "unknown settings of patchtst"),
        ("patchtst", {"width": 10}, "wanted a multiple of heads"),
        ("patchtst", {"patch": 99}, r"patch is 99; wanted a number in \[1, 40\]"),
        ("patchtst", {"dropout": 1.5}, "dropout is 1.5"),
    ],
)
def test_bad_constants(name: str, constants: dict[str, object], word: str) -> None:
    """Constants that do not fit are refused with what was found and what is wanted."""
    with pytest.raises(ValueError, match=word):
        model_factory(name, **constants)((CONTEXT, VARIABLES), HORIZON)
