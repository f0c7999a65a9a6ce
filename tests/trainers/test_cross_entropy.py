"""The loss of classifiers is that of torch."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from tests.pages import ROOT
from trainers.workloads.cross_entropy import cross_entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("soft", [False, True])
def test_values_and_gradients_are_torchs(soft: bool, smoothing: float) -> None:
    """For classes and for distributions, with and without smoothing."""
    ours, theirs = (
        torch.randn(7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
        for _ in range(2)
    )
    target = torch.tensor([0, 4, 2, 2, 1, 3, 0])
    if soft:
        target = (functional.one_hot(target, 5) + 0.5).double() / 3.5
    a = cross_entropy(ours, target, smoothing)
    b = functional.cross_entropy(theirs, target, label_smoothing=smoothing)
    torch.testing.assert_close(a, b, rtol=1e-14, atol=0)
    a.backward()
    b.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("logits", [[1e30, 0.0], [float("inf"), 0.0], [float("nan"), 0.0], [-1e38, 1e38]])
def test_what_is_not_finite_stays_so(logits: list[float], smoothing: float) -> None:
    """Losses that overflow, and NaN, are what torch gives, so that cells diverge at the same step."""
    output, target = torch.tensor([logits, [0.0, 1.0]]), torch.tensor([1, 0])
    a = cross_entropy(output, target, smoothing)
    b = functional.cross_entropy(output, target, label_smoothing=smoothing)
    torch.testing.assert_close(a, b, equal_nan=True)


def test_the_first_step_loads_no_library_of_symbols() -> None:
    """A worker's first tile does not wait for what no training needs."""
    code = (
        "import sys, torch\n"
        "from trainers import Budget, make_optimizer, make_transform, make_workload, train_fused\n"
        "train_fused(make_workload('synthetic', 'mlp'), make_transform('none'), make_optimizer('sgd'),\n"
        "    Budget(steps=1, batch_size=8, points=1),\n"
        "    lr_C=torch.ones(1), weight_decay_C=torch.ones(1), seed=0)\n"
        "print(sorted({'sympy', 'torch._dynamo'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
