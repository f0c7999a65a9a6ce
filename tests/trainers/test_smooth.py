"""Problems of known curvature and noise: constants are true, and bounds hold for plain gradient descent."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

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
from trainers.workloads.base import Smooth

EVERY = Budget(steps=60, batch_size=32, points=60, precision="float64", dynamics=1)
PROBLEMS: dict[str, tuple[str, dict[str, bool], dict[str, float]]] = {
    "quadratic": ("quadratic", {"bias": False}, {}),
    "quadratic with an offset": ("quadratic", {}, {"offset": 1.0, "condition": 10.0}),
    "logistic": ("logistic", {"bias": False}, {}),
    "logistic with a bias": ("logistic", {}, {}),
}


def problem(name: str) -> tuple[Workload, Smooth]:
    workload, model, constants = PROBLEMS[name]
    made = make_workload(workload, "linear", model, **constants)
    assert made.smooth is not None
    return made, made.smooth


def gradient(made: Workload, theta: list[torch.Tensor], rows: torch.Tensor) -> list[torch.Tensor]:
    """Gradient of the mean loss over these examples, by autograd, at these parameters."""
    model = made.initial_model(0).double()
    for p, value in zip(model.parameters(), theta, strict=True):
        p.data = value.clone()
    made.loss(model(made.train_x[rows].double()), made.train_y[rows]).backward()
    return [p.grad for p in model.parameters() if p.grad is not None]


def norm(tensors: list[torch.Tensor]) -> float:
    return math.sqrt(sum(float(t.square().sum()) for t in tensors))


def difference(a: list[torch.Tensor], b: list[torch.Tensor]) -> list[torch.Tensor]:
    return [p - q for p, q in zip(a, b, strict=True)]


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_constants_are_those_of_the_problem(name: str) -> None:
    """The gradient changes by at most beta, batches vary by at most the variance, and the metric is |∇f|²."""
    made, smooth = problem(name)
    generator = torch.Generator().manual_seed(0)
    everything = torch.arange(len(made.train_x))
    shapes = [p.shape for p in made.initial_model(0).parameters()]
    points = []
    for scale in (0.01, 0.3, 3.0):
        drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
        points.append([scale * value for value in drawn])
    full = [gradient(made, point, everything) for point in points]
    for a, b in itertools.combinations(range(3), 2):
        change, distance = difference(full[a], full[b]), difference(points[a], points[b])
        assert norm(change) <= smooth.beta * norm(distance) * (1 + 1e-9)
    for point, whole in zip(points, full, strict=True):
        errors = []
        for _ in range(40):
            batch = gradient(made, point, torch.randperm(len(everything), generator=generator)[:32])
            errors.append(norm(difference(batch, whole)) ** 2)
        assert sum(errors) / len(errors) <= smooth.variance(32) * 1.2
        model = made.initial_model(0).double().eval()
        for p, value in zip(model.parameters(), point, strict=True):
            p.data = value.clone()
        assert float(made.score(model(made.eval_x), made.eval_y).detach()) == pytest.approx(
            norm(whole) ** 2, rel=1e-9
        )


@pytest.mark.parametrize("name", ["quadratic", "logistic"])
def test_the_bound_holds_for_plain_descent(name: str) -> None:
    """SGD with lr <= 1/beta has a mean squared gradient norm below 2 Δ / (lr T) + lr beta σ²."""
    made, smooth = problem(name)
    for share in (0.05, 1.0):
        lr = share / smooth.beta
        found = train_fused(
            made,
            make_transform("none"),
            make_optimizer("sgd"),
            EVERY,
            lr_C=torch.tensor([lr]),
            weight_decay_C=torch.zeros(1),
            seed=1,
        )
        bound = 2 * smooth.excess(made.initial_model(1)) / (
            lr * EVERY.steps
        ) + lr * smooth.beta * smooth.variance(32)
        assert 0 < float(found.metric_KC[:-1].mean()) < bound


def test_the_quadratics_variance_is_exact() -> None:
    """The noise of a batch has the stated variance, not only at most it, and no mean."""
    made, smooth = problem("quadratic")
    assert float(made.train_x.mean(0).abs().max()) < 1e-12
    one_epoch = (
        made.train_x[torch.randperm(1024, generator=torch.Generator().manual_seed(0))]
        .view(32, 32, -1)
        .mean(1)
    )
    assert float(one_epoch.square().sum(1).mean()) == pytest.approx(smooth.variance(32), rel=0.1)


@pytest.mark.parametrize("name", list(PROBLEMS))
@pytest.mark.parametrize("transform", ["autoscale", "gradient_stabilizer"])
def test_smooth_problems_are_twins(name: str, transform: str) -> None:
    """Fused equals serial on them too."""
    cells = {
        "lr_C": torch.tensor([1e-3, 1e-2], dtype=torch.float64),
        "weight_decay_C": torch.zeros(2, dtype=torch.float64),
        "seed": 0,
    }
    parts = (problem(name)[0], make_transform(transform), make_optimizer("sgd"), EVERY)
    fused, serial = (trainer(*parts, **cells) for trainer in (train_fused, train_serial))
    assert isinstance(fused, Curves)
    # A sum of squares, which rounds; accuracies would be equal.
    torch.testing.assert_close(fused.metric_KC, serial.metric_KC, rtol=RELATIVE, atol=0)
    assert_twins(replace(fused, metric_KC=serial.metric_KC, metric_best_C=serial.metric_best_C), serial)


def test_logistic_needs_one_linear_layer() -> None:
    """Another network has other constants, so it is refused by name."""
    with pytest.raises(ValueError, match="take model: linear"):
        make_workload("logistic", "mlp")
    with pytest.raises(ValueError, match="condition is 0"):
        make_workload("quadratic", "linear", condition=0.0)
