"""Smooth problems of known curvature and gradient noise, so that convergence bounds can be computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainers.naming import check_range
from trainers.workloads.base import Smooth, Workload, derived_seed
from trainers.workloads.cross_entropy import cross_entropy
from trainers.workloads.images import digits

METRIC = "squared_gradient_norm"
"""The metric: the squared Euclidean norm of the whole objective's gradient, which bounds are about."""


class Quadratic(nn.Module):
    """A quadratic function of the parameters of a network, of which only the shapes are used.

    In training it gives f(θ) + z · θ for every example z, whose gradient is that of f plus the noise z; in
    evaluation |∇f(θ)|².
    """

    curvature: Tensor

    def __init__(self, inner: nn.Module, beta: float, condition: float, offset: float) -> None:
        super().__init__()
        self.inner = inner
        self._said = f"beta={beta!r}, condition={condition!r}, offset={offset!r}"
        with torch.no_grad():
            for p in inner.parameters():
                p.add_(offset)
        n = sum(p.numel() for p in inner.parameters())
        # Shuffled, so that every layer has small and large curvatures.
        order = torch.randperm(n, generator=torch.Generator().manual_seed(derived_seed(0, "curvatures")))
        self.register_buffer(
            "curvature", beta * condition ** -torch.linspace(0, 1, n, dtype=torch.float64)[order]
        )

    def extra_repr(self) -> str:
        return self._said

    def theta(self) -> Tensor:
        """All parameters as one vector."""
        return torch.cat([p.flatten() for p in self.inner.parameters()])

    def forward(self, noise: Tensor) -> Tensor:
        theta = self.theta()
        curvature = self.curvature.to(theta.dtype)
        if not self.training:
            return (curvature * theta).square().sum().expand(len(noise))
        return 0.5 * (curvature * theta.square()).sum() + noise @ theta


def quadratic(
    model: Callable[[tuple[int, ...], int], nn.Module],
    model_name: str,
    beta: float = 1.0,
    condition: float = 100.0,
    noise: float = 0.1,
    offset: float = 0.0,
    examples: int = 1024,
    seed: int = 0,
) -> Workload:
    """A quadratic with additive gradient noise on the parameters of a network for digits.

        f(θ) = ½ Σ λ_i θ_i²,   λ from beta / condition to beta, evenly spaced in their logarithm
        loss of an example = f(θ) + z · θ,   z normal with standard deviation `noise`

    The mean of z over the examples is exactly 0.
    The minimum is 0, the smoothness constant is beta, and the variance of a batch's gradient is that of the
    noise, at every θ.

    Args:
        model: gives the shapes and start of the parameters.
        model_name: its name.
        beta: largest curvature, > 0.
        condition: largest curvature divided by the smallest, >= 1.
        noise: standard deviation of each entry of an example's gradient, >= 0.
        offset: added to every parameter at the start, so that the gradient has a mean.
        examples: how many, >= 2.
        seed: decides the noise.

    Raises:
        ValueError: a constant is out of range.

    Reference: none.
    """
    check_range("quadratic", 0.0, open_low=True, beta=beta)
    check_range("quadratic", 1.0, condition=condition)
    check_range("quadratic", 0.0, noise=noise)
    check_range("quadratic", offset=offset)
    check_range("quadratic", 2, examples=examples)

    def build() -> nn.Module:
        return Quadratic(model((1, 8, 8), 10), beta, condition, offset)

    with torch.random.fork_rng(devices=[]):
        n = sum(p.numel() for p in build().parameters())
    z = noise * torch.randn(
        examples,
        n,
        generator=torch.Generator().manual_seed(derived_seed(seed, "gradient noise")),
        dtype=torch.float64,
    )
    z -= z.mean(0)
    spread = float(z.square().sum(1).mean())

    def excess(start: nn.Module) -> float:
        theta = torch.cat([p.detach().double().flatten() for p in start.parameters()])
        return float(0.5 * (start.get_buffer("curvature").double() * theta.square()).sum())

    nothing = torch.zeros(1, dtype=torch.int64)
    return Workload(
        name=f"quadratic/{model_name}",
        build=build,
        train_x=z,
        train_y=nothing.expand(examples),
        eval_x=torch.zeros(1, n, dtype=torch.float64),
        eval_y=nothing,
        loss=mean_output,
        score=output_itself,
        metric_name=METRIC,
        higher_is_better=False,
        chance=float("inf"),
        smooth=Smooth(beta, partial(batch_variance, spread, examples), excess),
    )


class Regression(nn.Module):
    """A network in training; in evaluation |∇|² of a linear layer's cross-entropy over a whole data set."""

    def __init__(self, inner: nn.Module, inputs: int) -> None:
        super().__init__()
        self.inner, self._inputs = inner, inputs

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            logits: Tensor = self.inner(x)
            return logits
        return torch.stack(
            [self.gradient_norm(rows[:, : self._inputs], rows[:, self._inputs :]) for rows in x]
        )

    def gradient_norm(self, x: Tensor, onehot: Tensor) -> Tensor:
        """|∇|² of the mean cross-entropy: residuals p - y, times inputs and times 1."""
        residual = functional.softmax(self.inner(x), 1) - onehot
        squares = [(residual.T @ x / len(x)).square().sum(), residual.mean(0).square().sum()]
        total: Tensor = torch.stack(squares[: len(list(self.inner.parameters()))]).sum()
        return total


def logistic(model: Callable[[tuple[int, ...], int], nn.Module], model_name: str) -> Workload:
    """Multinomial logistic regression on the digits, with its smoothness and a bound of the gradient noise.

        beta = ½ λ_max(X̃ᵀX̃ / N)      (the Hessian of cross-entropy in the logits is at most ½)
        variance of one example's gradient <= mean of 2 |x̃|²      (|softmax - onehot|² <= 2)

    X̃ are the inputs, with a 1 beside them if the layer has a bias. The minimum is at least 0, which is what
    the excess is taken from.

    Args:
        model: the linear layer.
        model_name: its name.

    Raises:
        ValueError: the model is not one linear layer.

    Reference: Böhning, "Multinomial logistic regression algorithm", 1992 (the bound of the Hessian).
    Differs from the reference: every class has weights of its own, and of the bounding matrix its largest
        eigenvalue, ½, is taken.
    """
    data = digits(model, model_name)
    with torch.random.fork_rng(devices=[]):
        parts = [
            part
            for part in model((1, 8, 8), 10).modules()
            if next(iter(part.parameters(recurse=False)), None) is not None
        ]
    if [type(part) for part in parts] != [nn.Linear]:
        raise ValueError(
            f"workload 'logistic' with model {model_name!r}: the constants of the bound hold "
            "for one linear layer alone; take model: linear"
        )
    x, y = data.train_x[:].flatten(1).double(), data.train_y
    wide = torch.cat([x, torch.ones(len(x), 1)], 1) if parts[0].bias is not None else x
    beta = 0.5 * float(torch.linalg.eigvalsh(wide.T @ wide / len(wide))[-1])
    spread = 2.0 * float(wide.square().sum(1).mean())

    def excess(start: nn.Module) -> float:
        start.train()
        with torch.no_grad():
            return float(functional.cross_entropy(start.double()(x), y))

    return Workload(
        name=f"logistic/{model_name}",
        build=lambda: Regression(model((1, 8, 8), 10), x.shape[1]),
        train_x=data.train_x,
        train_y=y,
        eval_x=torch.cat([x, functional.one_hot(y, 10).double()], 1).unsqueeze(0),
        eval_y=torch.zeros(1, dtype=torch.int64),
        loss=cross_entropy,
        score=output_itself,
        metric_name=METRIC,
        higher_is_better=False,
        chance=float("inf"),
        smooth=Smooth(beta, partial(batch_variance, spread, len(x)), excess),
    )


def batch_variance(spread: float, examples: int, batch_size: int) -> float:
    """Variance of a batch's gradient, drawn without replacement, from one example's mean squared distance."""
    return spread / batch_size * (examples - batch_size) / (examples - 1)


def mean_output(output: Tensor, target: Tensor) -> Tensor:
    """The loss of a network whose outputs are losses."""
    return output.mean()


def output_itself(output: Tensor, target: Tensor) -> Tensor:
    """The score of a network whose outputs are scores."""
    return output
