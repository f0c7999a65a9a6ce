"""What an environment is: pure functions of tensors, for any number of cells and environments at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Transition(NamedTuple):
    """What one step gave; the leading dimensions are those of the state.

    Attributes:
        state: after the step, before any reset.
        observation: of that state.
        reward: of the step.
        terminated: the task ended; nothing follows that would be worth anything.
        truncated: the time limit cut the episode, which would have gone on. Both may be True.
    """

    state: Tensor
    observation: Tensor
    reward: Tensor
    terminated: Tensor
    truncated: Tensor


@dataclass(frozen=True)
class Environment:
    """One task. A state is [..., numbers + 1], of which the last one counts the steps of the episode.

    Attributes:
        name: the task's name in gymnasium.
        observations: numbers in an observation.
        actions: how many actions there are to choose from; of a task with `bounds`, numbers in an action.
        bounds: lowest and highest number of an action; None where actions are choices.
        draws: numbers in [0, 1) that a reset takes.
        limit: steps after which an episode is truncated.
        best: no return is higher.
        random: mean return of actions drawn evenly, over 1,000 episodes of gymnasium (mountain car: 300).
        start: `start(noise [..., draws])`, the first numbers of an episode.
        look: `look(numbers)`, the observation.
        move: `move(numbers, action)`, the numbers after a step, its reward, and whether the task ended. An
            action is an index [...], or numbers [..., actions].
        discount: γ that PPO takes where a workload gives none.
        reward_scale: what PPO multiplies rewards by where a workload gives nothing else.
    """

    name: str
    observations: int
    actions: int
    bounds: tuple[float, float] | None
    draws: int
    limit: int
    best: float
    random: float
    start: Callable[[Tensor], Tensor]
    look: Callable[[Tensor], Tensor]
    move: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
    discount: float = 0.99
    reward_scale: float = 1.0

    def reset(self, noise: Tensor) -> Tensor:
        """The state of a new episode, from numbers drawn evenly from [0, 1), shape [..., draws]."""
        numbers = self.start(noise)
        return torch.cat([numbers, torch.zeros_like(numbers[..., :1])], -1)

    def observe(self, state: Tensor) -> Tensor:
        """What an agent sees of a state, shape [..., observations]."""
        return self.look(state[..., :-1])

    def step(self, state: Tensor, action: Tensor) -> Transition:
        """One step of every environment.

        Args:
            action: indices [...], or numbers [..., actions].
        """
        numbers, reward, terminated = self.move(state[..., :-1], action)
        elapsed = state[..., -1:] + 1
        truncated = elapsed[..., 0] >= self.limit
        after = torch.cat([numbers, elapsed], -1)
        return Transition(after, self.look(numbers), reward, terminated, truncated)


def evenly(noise: Tensor, low: float, high: float) -> Tensor:
    """Numbers drawn evenly from [0, 1), moved to [low, high)."""
    return low + (high - low) * noise
