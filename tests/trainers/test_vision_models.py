"""Networks for images have the published sizes, equal torchvision's, and train fused as they do alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from trainers import (
    Budget,
    Curves,
    Workload,
    fused,
    make_optimizer,
    make_transform,
    make_workload,
    train_fused,
    train_serial,
)
from trainers.fusion import fills_processor
from trainers.models import model_factory
from trainers.models.attention import SelfAttention, plain
from trainers.models.dropout import PairedDepth, pair_dropout
from trainers.vision import vision

RELATIVE = 1e-9
"""Float64 rounding, amplified by three steps of training."""
SAME = 1e-5
"""Float32 rounding of operations in another order."""
SMALL: dict[str, dict[str, Any]] = {
    "vgg16_bn": {"width": 4},
    "vit": {"width": 12, "heads": 2, "layers": 2, "dropout": 0.1},
    "vit_b_16": {"width": 12, "heads": 2, "layers": 2, "dropout": 0.1},
    "convnext_tiny": {"width": 8, "blocks": [1, 2, 1, 1], "stochastic_depth": 0.5, "layer_scale": 1.0},
}
"""The same networks, narrower and with fewer layers."""


@pytest.mark.parametrize(
    ("name", "side", "outputs", "parameters"),
    [
        ("vgg16_bn", 32, 100, 15_299_748),
        ("vit", 32, 100, 2_710_948),
        ("vit_b_16", 224, 1000, 86_567_656),
        ("convnext_tiny", 224, 1000, 28_589_128),
        ("resnet50", 224, 1000, 25_557_032),
    ],
)
def test_size(name: str, side: int, outputs: int, parameters: int) -> None:
    """Numbers of parameters are the published ones, or those of torchvision's documentation."""
    with torch.device("meta"):
        model = model_factory(name)((3, side, side), outputs)
        assert sum(p.numel() for p in model.parameters()) == parameters
        assert model.eval()(torch.zeros(2, 3, side, side)).shape == (2, outputs)


def twins(workload: Workload, budget: Budget) -> tuple[Curves, Curves]:
    cells = {
        "lr_C": torch.tensor([1e-3, 1e-4], dtype=torch.float64),
        "weight_decay_C": torch.tensor([0.1, 0.0], dtype=torch.float64),
        "seed": 0,
    }
    parts = (workload, make_transform("none"), make_optimizer("adamw"), budget)
    return train_fused(*parts, **cells), train_serial(*parts, **cells)


def assert_twins(fused: Curves, serial: Curves) -> None:
    torch.testing.assert_close(fused.loss_KC, serial.loss_KC, rtol=RELATIVE, atol=0)
    torch.testing.assert_close(fused.metric_KC, serial.metric_KC, rtol=0, atol=0)
    assert not torch.equal(fused.loss_KC[-1, :1], fused.loss_KC[-1, 1:])


@pytest.mark.parametrize("name", list(SMALL))
def test_fused_equals_serial(name: str) -> None:
    """Losses agree to rounding and accuracies exactly, with attention, dropout and stochastic depth."""
    workload = make_workload("synthetic", name, SMALL[name], shape=[3, 32, 32], examples=24)
    assert not fills_processor(workload.initial_model(0), workload.train_x[:1])
    assert_twins(*twins(workload, Budget(steps=3, batch_size=4, points=3, precision="float64")))


def test_resnet50_fused_equals_serial(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for ResNet-50 of one block a stage, vectorised where a CPU would loop over its cells."""
    monkeypatch.setattr(fused, "fills_processor", lambda model, example: False)
    workload = make_workload("synthetic", "resnet50", {"blocks": [1, 1, 1, 1]}, shape=[3, 32, 32], examples=8)
    assert_twins(*twins(workload, Budget(steps=2, batch_size=6, points=1, precision="float64")))


def test_attention_looped_over_cells_equals_serial() -> None:
    """Where patches are cut by a large convolution the cells are looped over, and evaluated together."""
    workload = make_workload(
        "synthetic",
        "vit",
        {"width": 64, "heads": 2, "layers": 1, "dropout": 0.1},
        shape=[3, 64, 64],
        examples=16,
    )
    assert fills_processor(workload.initial_model(0), workload.train_x[:1])
    assert_twins(*twins(workload, Budget(steps=2, batch_size=2, points=1, precision="float64")))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["vit", "convnext_tiny"])
def test_half_precision(name: str, precision: str) -> None:
    """With all but LayerNorm in half precision, fused and serial losses are near the exact ones."""
    workload = make_workload(
        "synthetic",
        name,
        {**SMALL[name], **({"width": 32} if name == "vit" else {})},
        shape=[3, 32, 32],
        examples=24,
    )
    half, exact = (
        twins(workload, Budget(steps=2, batch_size=4, points=1, precision=one))
        for one in (precision, "float64")
    )
    for curves in half:
        torch.testing.assert_close(curves.loss_KC.double(), exact[0].loss_KC, rtol=0.05, atol=0)


@pytest.mark.parametrize("name", ["vit_b_16", "convnext_tiny", "resnet50"])
def test_networks_are_torchvisions(name: str) -> None:
    """Parameter names and, in both modes, outputs are those of torchvision's own."""
    models = vision().models
    made = {
        "vit_b_16": lambda: models.VisionTransformer(32, 8, 2, 2, 12, 48, num_classes=7),
        "convnext_tiny": lambda: models.ConvNeXt(
            [models.convnext.CNBlockConfig(8, 16, 1), models.convnext.CNBlockConfig(16, None, 2)],
            num_classes=7,
        ),
        "resnet50": lambda: models.ResNet(models.resnet.Bottleneck, [1, 1, 1, 1], num_classes=7),
    }
    torch.manual_seed(1)
    theirs = made[name]()
    torch.manual_seed(1)
    ours = plain(made[name]())
    for p in [*theirs.parameters(), *ours.parameters()]:
        # A last layer of zeros would hide everything.
        nn.init.normal_(p, std=0.1, generator=torch.Generator().manual_seed(p.numel()))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = torch.randn(2, 3, 32, 32)
    for mode in (True, False):
        with torch.no_grad():
            torch.testing.assert_close(ours.train(mode)(x), theirs.train(mode)(x), rtol=SAME, atol=SAME)


def test_attention_is_that_of_torch() -> None:
    """`SelfAttention` gives what `nn.MultiheadAttention` gives with the same weights."""
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True)
    ours = SelfAttention(12, 3, batch_first=True)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(ours(x)[0], theirs(x, x, x)[0], rtol=SAME, atol=SAME)


def test_torchvisions_stochastic_depth_is_paired() -> None:
    """Masks of its stochastic depth are per example and keep the mean; attention with dropout is refused."""
    layer = pair_dropout(nn.Sequential(vision().ops.StochasticDepth(0.25, "row")))[0]
    assert isinstance(layer, PairedDepth)
    out = layer(torch.ones(4000, 2))
    assert torch.equal(out[:, 0], out[:, 1])
    assert out.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float(out.mean()) == pytest.approx(1, abs=0.05)
    assert torch.equal(layer.eval()(torch.ones(3, 2)), torch.ones(3, 2))
    with pytest.raises(ValueError, match="use dropout=0"):
        pair_dropout(nn.TransformerEncoderLayer(8, 2, dropout=0.1))


@pytest.mark.parametrize(
    ("name", "constants", "shape", "words"),
    [
        ("vgg16_bn", {}, (3, 8, 8), "at least 32 pixels"),
        ("vit", {"patch": 5}, (3, 32, 32), "multiples of patch"),
        ("vit", {"heads": 5}, (3, 32, 32), "multiple of heads"),
        ("vit", {"dropout": 1.5}, (3, 32, 32), "dropout is 1.5"),
        ("vit_b_16", {}, (3, 200, 200), "multiples of 16, both equal"),
        ("vit_b_16", {}, (1, 224, 224), r"wanted \[3, height, width\]"),
        ("convnext_tiny", {}, (3, 16, 16), "at least 32"),
        ("convnext_tiny", {"blocks": [1]}, (3, 32, 32), "sum of blocks is 1"),
        ("resnet50", {"blocks": [1, 1]}, (3, 32, 32), "four stages"),
    ],
)
def test_what_does_not_fit_is_refused(
    name: str, constants: dict[str, Any], shape: tuple[int, ...], words: str
) -> None:
    """Constants and examples that a network cannot take are named, with what is wanted."""
    with pytest.raises(ValueError, match=words):
        model_factory(name, **constants)(shape, 10)
