"""What is drawn while agents act and learn: decided by the seed and the rollout, the same for every cell."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trainers.workloads.base import derived_seed
from trainers.workloads.control import Control


class Noise(NamedTuple):
    """Numbers for T steps of E environments.

    Attributes:
        action: what actions are drawn with, shape [T, E, …].
        reset: what an episode begins with that follows the step, shape [T, E, draws].
    """

    action: Tensor
    reset: Tensor


def acting(workload: Control, seed: int, rollout: int) -> Noise:
    """The noise of one rollout, counted from 0."""
    ppo = workload.ppo
    return drawn(workload, derived_seed(seed, f"acting/{rollout}"), ppo.horizon, ppo.envs)


def evaluating(workload: Control) -> Noise:
    """The noise of the evaluation, the same for every seed; episodes begin with `eval_x` and end once."""
    return drawn(workload, derived_seed(0, "evaluation"), workload.environment.limit, len(workload.eval_y))


def drawn(workload: Control, seed: int, steps: int, envs: int) -> Noise:
    """Noise from a generator of that seed."""
    environment = workload.environment
    generator = torch.Generator().manual_seed(seed)
    action = workload.distribution.noise((steps, envs, environment.actions), generator)
    return Noise(action, torch.rand(steps, envs, environment.draws, generator=generator, dtype=torch.float64))


def first_resets(workload: Control, seed: int) -> Tensor:
    """What the first episodes of a seed begin with, shape [E, draws]."""
    generator = torch.Generator().manual_seed(derived_seed(seed, "resets"))
    return torch.rand(workload.ppo.envs, workload.environment.draws, generator=generator, dtype=torch.float64)


def minibatch(workload: Control, seed: int, batch_size: int, step: int) -> Tensor:
    """Which transitions of its rollout an optimizer step takes, without replacement inside of an epoch."""
    each = workload.ppo.transitions // batch_size
    epoch, place = divmod(step, each)
    generator = torch.Generator().manual_seed(derived_seed(seed, f"minibatches/{epoch}"))
    order = torch.randperm(workload.ppo.transitions, generator=generator)
    return order[place * batch_size : (place + 1) * batch_size]


def steps_per_rollout(workload: Control, batch_size: int) -> int:
    """Optimizer steps that are taken on one rollout."""
    return workload.ppo.epochs * (workload.ppo.transitions // batch_size)
