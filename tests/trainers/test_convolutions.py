"""Convolutions and normalisation of many cells at once are those of each cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from tests.trainers.making import assert_twins, same
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
from trainers.fusion import fusable, quickest_together
from trainers.fusion.grouped import GroupedConv2d
from trainers.fusion.products import ProductConv2d
from trainers.models import model_factory

CELLS, EXAMPLES = 3, 5
UNUSUAL: dict[str, dict[str, Any]] = {
    "usual": {"kernel_size": 3, "stride": 2, "padding": 1},
    "without padding": {"kernel_size": 3, "stride": 2},
    "a single pixel": {"kernel_size": 1},
    "single pixels apart": {"kernel_size": 1, "stride": 2, "padding": 1},
    "not square": {"kernel_size": (3, 2), "stride": (1, 2), "padding": (0, 1)},
    "dilated": {"kernel_size": 3, "stride": (2, 3), "padding": 2, "dilation": (2, 1)},
    "gaps between patches": {"kernel_size": 2, "stride": 3},
    "the whole map": {"kernel_size": (7, 6)},
}


def alone(layer: nn.Module, params: dict[str, Tensor], x: Tensor, *, shared: bool) -> Tensor:
    """What each cell's layer gives by itself, [C, …]."""
    return torch.stack(
        [
            functional_call(layer, {name: p[c] for name, p in params.items()}, (x if shared else x[c],))
            for c in range(CELLS)
        ]
    )


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("settings", list(UNUSUAL.values()), ids=list(UNUSUAL))
def test_products_are_convolutions(settings: dict[str, Any], *, shared: bool, bias: bool) -> None:
    """Outputs and all gradients, for images of each cell and for images that all cells share."""
    torch.manual_seed(0)
    usual = nn.Conv2d(2, 4, bias=bias, **settings).double()
    x = torch.randn(*(() if shared else (CELLS,)), EXAMPLES, 2, 7, 6, dtype=torch.float64)
    params = {name: torch.randn(CELLS, *p.shape, dtype=p.dtype) for name, p in usual.named_parameters()}
    leaves = [t.requires_grad_() for t in (x, *params.values())]
    wanted = alone(usual, params, x, shared=shared)
    towards = torch.randn_like(wanted)
    wanted_grads = torch.autograd.grad(wanted, leaves, towards)
    fused = nn.Conv2d(2, 4, bias=bias, **settings).double()
    fused.__class__ = ProductConv2d
    each = vmap(lambda own, x: functional_call(fused, own, (x,)), in_dims=(0, None if shared else 0))
    found = each(params, x)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(torch.autograd.grad(found, leaves, towards), wanted_grads)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("training", [False, True])
def test_layers_in_every_precision(dtype: torch.dtype, *, training: bool) -> None:
    """Convolutions with and without groups, normalisation and the mean of maps give what one cell's do."""
    torch.manual_seed(0)
    layers = [
        *(nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d(8)),
        *(nn.Conv2d(8, 4, 1), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)),
    ]
    model = nn.Sequential(*layers).to(dtype).train(training)
    many = {name: torch.stack([t] * CELLS) for name, t in model.state_dict().items()}
    for name, _ in model.named_parameters():
        many[name] = many[name] + 0.1 * torch.randn_like(many[name])
    x = torch.randn(16, 2, 8, 8, dtype=dtype)
    own = [{name: t[c].clone() for name, t in many.items()} for c in range(CELLS)]
    wanted = torch.stack([functional_call(model, each, (x,)) for each in own])
    fused = fusable(model, x[:1]).train(training)
    found = {type(layer) for layer in fused.modules() if isinstance(layer, nn.Conv2d)}
    assert found == ({ProductConv2d, GroupedConv2d} if dtype == torch.float64 else {GroupedConv2d})
    for layer in fused.modules():
        if isinstance(layer, GroupedConv2d) and layer.groups == 1:
            layer.__class__ = ProductConv2d  # as in a network that lowers precision by itself
    out = vmap(lambda each, x: functional_call(fused, each, (x,)), in_dims=(0, None))(many, x)
    close: dict[str, float] = {} if dtype == torch.float64 else {"rtol": 0.1, "atol": 0.1}
    torch.testing.assert_close(out, wanted, **close)
    for name, _ in model.named_buffers():
        torch.testing.assert_close(many[name], torch.stack([each[name] for each in own]), **close)


def kinds(name: str, shape: tuple[int, ...]) -> set[type[nn.Module]]:
    """The forms of convolution in a network made ready to be fused."""
    model = fusable(model_factory(name)(shape, 10), torch.randn(1, *shape))
    assert (quickest_together(model, 64) is None) == (ProductConv2d not in set(map(type, model.modules())))
    return {type(layer) for layer in model.modules() if isinstance(layer, nn.Conv2d)}


def test_the_form_follows_from_the_shapes() -> None:
    """Small convolutions with strides are products. Where patches are many or large, they are grouped."""
    assert kinds("convnet", (1, 8, 8)) == {ProductConv2d}
    assert kinds("convnet", (3, 32, 32)) == {GroupedConv2d}
    assert kinds("resnet20", (1, 8, 8)) == {GroupedConv2d}
    assert kinds("vit", (1, 8, 8)) == {GroupedConv2d}


def test_fewer_cells_are_together_with_more_examples() -> None:
    """What they have in their largest map decides, down to four cells."""
    model = fusable(model_factory("convnet")((1, 8, 8), 10), torch.randn(1, 1, 8, 8))
    assert [quickest_together(model, examples) for examples in (16, 64, 512)] == [32, 8, 4]


class Odd(nn.Module):
    """A network for digits whose convolutions have bias, dilation and no padding, and which has a branch."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Tanh())
        self.second = nn.Conv2d(4, 6, (2, 3), stride=2, padding=(0, 1), dilation=(2, 1))
        self.third = nn.Conv2d(4, 6, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        wide, narrow = self.second(x), self.third(x)
        x = wide + narrow[..., : wide.shape[-2], : wide.shape[-1]]
        return self.head(self.norm(x).relu().amax((-2, -1)))  # type: ignore[no-any-return]


def trained(train: Callable[..., Curves], workload: Workload, budget: Budget, cells: list[int]) -> Curves:
    """Curves of some of five cells."""
    every = torch.logspace(-4, 0, 5, dtype=torch.float64)
    return train(
        workload,
        make_transform("clip_norm"),
        make_optimizer("adamw"),
        budget,
        lr_C=every[cells],
        weight_decay_C=torch.linspace(0, 1, 5, dtype=torch.float64)[cells],
        seed=0,
    )


def odd_workload() -> Workload:
    return replace(make_workload("digits", "convnet"), build=Odd)


def test_an_odd_network_fused_equals_serial() -> None:
    """Losses agree to rounding, and accuracies exactly."""
    budget = Budget(steps=20, batch_size=16, points=2, precision="float64")
    parts = (odd_workload(), budget, [0, 1, 2])
    assert_twins(trained(train_fused, *parts), trained(train_serial, *parts))


@pytest.mark.parametrize("make", [odd_workload, lambda: make_workload("digits", "convnet")])
def test_blocks_and_neighbours_do_not_matter(
    make: Callable[[], Workload], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells give the same bits whichever cells they share a block with."""
    budget = Budget(steps=20, batch_size=256, points=2)
    there = trained(train_fused, make(), budget, [0, 1, 2, 3, 4])
    back = trained(train_fused, make(), budget, [4, 3, 2, 1, 0])
    assert torch.equal(there.loss_KC, back.loss_KC.flip(1))
    assert torch.equal(there.metric_KC, back.metric_KC.flip(1))
    monkeypatch.setattr("trainers.fused.quickest_together", lambda model, examples: None)
    assert same(there, trained(train_fused, make(), budget, [0, 1, 2, 3, 4]))
