"""ResNet-20 and ResNet-56 have the published size, and train fused as they do alone."""

from __future__ import annotations

import pytest
import torch

from trainers import Budget, make_optimizer, make_transform, make_workload, train_fused, train_serial
from trainers.fusion import fills_processor
from trainers.models import model_factory

RELATIVE = 1e-9
"""Float64 rounding, amplified by 57 layers and three steps of training."""


@pytest.mark.parametrize(
    ("name", "parameters", "convolutions"), [("resnet20", 278_324, 21), ("resnet56", 861_620, 57)]
)
def test_size(name: str, parameters: int, convolutions: int) -> None:
    """With 100 classes the nets have 0.28 and 0.86 million parameters, and two shortcuts are convolutions."""
    model = model_factory(name)((3, 32, 32), 100)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in model.modules()) == convolutions
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 100)


def test_width_is_that_of_the_first_stage() -> None:
    """A narrower net has fewer channels everywhere."""
    model = model_factory("resnet20", width=4)((3, 8, 8), 5)
    assert {layer.out_channels for layer in model.modules() if isinstance(layer, torch.nn.Conv2d)} == {
        4,
        8,
        16,
    }


def test_initial_weights_keep_the_size_of_gradients() -> None:
    """The deviation of every convolution's weights is sqrt(2 / (output channels x kernel size))."""
    for layer in model_factory("resnet20")((3, 32, 32), 10).modules():
        if isinstance(layer, torch.nn.Conv2d) and layer.weight.numel() > 5000:
            expected = (2 / (layer.out_channels * layer.kernel_size[0] ** 2)) ** 0.5
            assert float(layer.weight.detach().std()) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("name", "side", "looped"), [("resnet20", 8, False), ("resnet56", 8, False), ("resnet20", 16, True)]
)
def test_fused_equals_serial(name: str, side: int, looped: bool) -> None:
    """Losses agree to rounding, accuracies (and so running statistics) exactly, vectorised or looped."""
    workload = make_workload("synthetic", name, shape=[3, side, side], examples=64)
    assert fills_processor(workload.initial_model(0), workload.train_x[:1]) == looped
    budget = Budget(steps=3, batch_size=8, points=3, precision="float64")
    cells = {
        "lr_C": torch.tensor([1e-3, 1e-2], dtype=torch.float64),
        "weight_decay_C": torch.tensor([0.1, 0.0], dtype=torch.float64),
        "seed": 0,
    }
    parts = (workload, make_transform("none"), make_optimizer("adamw"), budget)
    fused, serial = train_fused(*parts, **cells), train_serial(*parts, **cells)
    torch.testing.assert_close(fused.loss_KC, serial.loss_KC, rtol=RELATIVE, atol=0)
    torch.testing.assert_close(fused.metric_KC, serial.metric_KC, rtol=0, atol=0)
