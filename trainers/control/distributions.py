"""How an action is drawn from what a policy gives: one row for choices, one for numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.control.environments import Environment


@dataclass(frozen=True)
class Distribution:
    """Actions as numbers [..., K] drawn from a policy's output [..., P], with noise that is drawn beforehand.

    Attributes:
        noise: `noise(shape, generator)`, numbers for `draw`, which every cell of a seed is given alike.
        draw: `draw(output, noise)`, the actions.
        log_density: `log_density(output, action)`, shape [...].
        entropy: `entropy(output)`, shape [...].
    """

    noise: Callable[[tuple[int, ...], torch.Generator], Tensor]
    draw: Callable[[Tensor, Tensor], Tensor]
    log_density: Callable[[Tensor, Tensor], Tensor]
    entropy: Callable[[Tensor], Tensor]


def gumbel(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """-log(-log u), u drawn evenly from (0, 1)."""
    even = torch.rand(shape, generator=generator, dtype=torch.float64)
    return -torch.log(-torch.log(even.clamp(min=1e-12)))


def choose(output: Tensor, noise: Tensor) -> Tensor:
    """The index of the largest of logits + noise, which has the probabilities of a softmax; [..., 1].

    Reference: Gumbel, "Statistical theory of extreme values", 1954 (the Gumbel-max trick).
    Differs from the reference: nothing; the noise comes from outside, so that all cells of a seed share it.
    """
    return (output + noise).argmax(-1, keepdim=True).to(output.dtype)


def log_probability(output: Tensor, action: Tensor) -> Tensor:
    """log softmax of the logits at the index."""
    return torch.log_softmax(output, -1).gather(-1, action.long())[..., 0]


def choice_entropy(output: Tensor) -> Tensor:
    """-Σ p log p."""
    log_p = torch.log_softmax(output, -1)
    return -(log_p.exp() * log_p).sum(-1)


def normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def parameters(output: Tensor) -> tuple[Tensor, Tensor]:
    """Means, and logarithms of the deviations."""
    mean, log_deviation = output.chunk(2, -1)
    return mean, log_deviation


def shift(output: Tensor, noise: Tensor) -> Tensor:
    """mean + deviation · noise."""
    mean, log_deviation = parameters(output)
    return mean + log_deviation.exp() * noise


def log_normal_density(output: Tensor, action: Tensor) -> Tensor:
    """Σ over numbers of the logarithm of a normal density."""
    mean, log_deviation = parameters(output)
    apart = (action - mean) * (-log_deviation).exp()
    return (-0.5 * apart.square() - log_deviation - 0.5 * math.log(2 * math.pi)).sum(-1)


def normal_entropy(output: Tensor) -> Tensor:
    """Σ over numbers of ½ log(2πe) + log deviation."""
    return (parameters(output)[1] + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)


CHOICE = Distribution(gumbel, choose, log_probability, choice_entropy)
NUMBERS = Distribution(normal, shift, log_normal_density, normal_entropy)


def distribution_of(environment: Environment) -> Distribution:
    """What a task's actions are drawn from."""
    return CHOICE if environment.bounds is None else NUMBERS


def executed(environment: Environment, action: Tensor) -> Tensor:
    """Actions as the task takes them: indices, or numbers inside of its bounds."""
    if environment.bounds is None:
        return action[..., 0].long()
    return action.clamp(*environment.bounds)
