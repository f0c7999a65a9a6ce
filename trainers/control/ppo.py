"""Proximal policy optimisation: advantages of a rollout, and the loss of a minibatch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.control.distributions import Distribution
from trainers.naming import check_range


@dataclass(frozen=True)
class Ppo:
    """The constants of PPO.

    Args:
        envs: environments of each agent, >= 1.
        horizon: steps of each environment between two rollouts' ends, >= 1 [environment steps].
        epochs: how often each transition is trained on, >= 1.
        discount: γ, in [0, 1].
        trace: λ of the generalised advantage estimate, in [0, 1].
        clip: largest change of a probability's ratio, and of a value, that the loss rewards, > 0.
        value_weight: of the value function's loss, >= 0.
        entropy_weight: of the policy's entropy, >= 0.
        reward_scale: what rewards are multiplied by in training, > 0; returns that are reported are not.

    Raises:
        ValueError: a constant is out of range.

    Reference: Schulman et al., "Proximal policy optimization algorithms", 2017; CleanRL's `ppo.py` for the
        clipped value loss and normalised advantages.

    Differs from the reference: no gradient is clipped but by the cell's transform, where CleanRL clips its
        norm at 0.5. The value of the last observation is bootstrapped at a time limit. Rewards and
        observations are not normalised by running statistics. Networks begin as their model begins.
    """

    envs: int
    horizon: int
    epochs: int
    discount: float
    trace: float
    clip: float
    value_weight: float
    entropy_weight: float
    reward_scale: float

    def __post_init__(self) -> None:
        check_range("control", 1, envs=self.envs, horizon=self.horizon, epochs=self.epochs)
        check_range("control", 0.0, 1.0, discount=self.discount, trace=self.trace)
        check_range("control", 0.0, open_low=True, clip=self.clip, reward_scale=self.reward_scale)
        check_range("control", 0.0, value_weight=self.value_weight, entropy_weight=self.entropy_weight)

    @property
    def transitions(self) -> int:
        """Number of transitions of a rollout."""
        return self.envs * self.horizon

    def advantages(
        self, reward: Tensor, value: Tensor, next_value: Tensor, terminated: Tensor, done: Tensor
    ) -> Tensor:
        """Generalised advantage estimates.

            δ_t = r_t + γ V(next observation) · (not terminated) - V_t
            A_t = δ_t + γ λ (episode goes on) A_(t+1)

        Args:
            next_value: value of the observation after the step and before any reset. So a truncated episode
                is worth what would have followed, and a terminated one nothing.
            terminated, done: 1 where the task ended, and where the episode ended for whatever reason.

        All have shape [..., T, envs].

        Reference: Schulman et al., "High-dimensional continuous control using generalized advantage
            estimation", 2016, eq. 16.
        Differs from the reference: its sum has no end. Here it ends with the episode or the rollout, and
            rewards are multiplied by `reward_scale` before.
        """
        delta = reward * self.reward_scale + self.discount * next_value * (1 - terminated) - value
        carry = self.discount * self.trace * (1 - done)
        found, follows = [], torch.zeros_like(delta[..., 0, :])
        for t in reversed(range(delta.shape[-2])):
            follows = delta[..., t, :] + carry[..., t, :] * follows
            found.append(follows)
        return torch.stack(found[::-1], -2)

    def loss(self, distribution: Distribution, output: Tensor, target: Tensor) -> Tensor:
        """The loss of one agent's minibatch.

            ratio = π(a) / π_old(a)
            mean of -min(ratio · A, clip(ratio, 1 ± ε) · A)
              + value_weight · ½ max((V - R)², (V_old + clip(V - V_old, ± ε) - R)²)
              - entropy_weight · entropy

        Args:
            output: of the network, shape [B, P + 1].
            target: action, old log density, advantage, return and old value, shape [B, K + 4].
        """
        policy, value = output[:, :-1], output[:, -1]
        action, (old_log, advantage, wanted, old_value) = target[:, :-4], target[:, -4:].unbind(1)
        ratio = torch.exp(distribution.log_density(policy, action) - old_log)
        held = ratio.clamp(1 - self.clip, 1 + self.clip)
        gain = torch.minimum(ratio * advantage, held * advantage)
        near = old_value + (value - old_value).clamp(-self.clip, self.clip)
        missed = torch.maximum((value - wanted).square(), (near - wanted).square())
        entropy = distribution.entropy(policy)
        return (0.5 * self.value_weight * missed - gain - self.entropy_weight * entropy).mean()


def normalised(advantage: Tensor) -> Tensor:
    """Advantages of a minibatch [..., B] with mean 0 and deviation 1."""
    centred = advantage - advantage.mean(-1, keepdim=True)
    return centred / (advantage.std(-1, keepdim=True) + 1e-8)
