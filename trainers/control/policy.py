"""The network of an agent: a policy and a value function that share nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainers.control.environments import Environment


class ActorCritic(nn.Module):
    """[B, observations] -> [B, P + 1]: what actions are drawn from, and the value of the state.

    Of a task with choices P are logits. Of one with numbers they are means and logarithms of deviations, of
    which the latter are parameters by themselves and begin at 0.
    """

    def __init__(self, build: Callable[[tuple[int, ...], int], nn.Module], environment: Environment) -> None:
        super().__init__()
        self.actor = build((environment.observations,), environment.actions)
        self.critic = build((environment.observations,), 1)
        self.log_deviation: nn.Parameter | None = None
        if environment.bounds is not None:
            self.log_deviation = nn.Parameter(torch.zeros(environment.actions))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([policy(self.actor, self.log_deviation, x), self.critic(x)], -1)


class Policy(nn.Module):
    """The policy of an agent alone, under the names of the whole network's parameters."""

    def __init__(self, agent: ActorCritic) -> None:
        super().__init__()
        self.actor, self.log_deviation = agent.actor, agent.log_deviation

    def forward(self, x: Tensor) -> Tensor:
        return policy(self.actor, self.log_deviation, x)


def policy(actor: nn.Module, log_deviation: Tensor | None, x: Tensor) -> Tensor:
    """What actions are drawn from: logits, or means and logarithms of deviations."""
    out: Tensor = actor(x)
    return out if log_deviation is None else torch.cat([out, log_deviation.expand_as(out)], -1)
