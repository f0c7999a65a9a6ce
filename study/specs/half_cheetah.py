"""HalfCheetah by PPO: training of one's own, as an ordinary loop over gymnasium and `torch.optim`.

`stabilizer-half-cheetah.yaml` names `train`. It wants the extra `mujoco`.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal

TASK = "HalfCheetah-v5"
ENVS, HORIZON, EPOCHS = 8, 256, 10
"""Environments, steps of each between two updates, and how often each transition is learned from."""
DISCOUNT, TRACE, CLIP, VALUE_WEIGHT = 0.99, 0.95, 0.2, 0.5
EPISODES = 4
"""Of an evaluation; they begin alike for every cell and seed."""


class Agent(nn.Module):
    """[B, observations] -> means of actions [B, actions], and values [B]."""

    def __init__(self, observations: int, actions: int) -> None:
        super().__init__()

        def build(outputs: int, gain: float) -> nn.Sequential:
            sizes, layers = (observations, 64, 64), list[nn.Module]()
            for width, following in pairwise(sizes):
                layers += [_orthogonal(nn.Linear(width, following), 2**0.5), nn.Tanh()]
            return nn.Sequential(*layers, _orthogonal(nn.Linear(sizes[-1], outputs), gain))

        self.actor, self.critic = build(actions, 0.01), build(1, 1.0)
        self.log_deviation = nn.Parameter(torch.zeros(actions))

    def policy(self, x: Tensor) -> Normal:
        return Normal(self.actor(x), self.log_deviation.exp(), validate_args=False)

    def value(self, x: Tensor) -> Tensor:
        found: Tensor = self.critic(x)[:, 0]
        return found


def _orthogonal(layer: nn.Linear, gain: float) -> nn.Linear:
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def train(cell: Any) -> None:
    """Train one agent, and report its mean return [reward] at `budget.points` steps and before the first.

    A step is an optimizer step on `budget.batch_size` transitions. Cells of a seed share first weights,
    resets, the noise of actions and the order of transitions. An agent diverged if a loss or one of its
    parameters is not finite.

    Reference: Schulman et al., "Proximal policy optimization algorithms", 2017; CleanRL's
        `ppo_continuous_action.py` for the network and for observations and rewards that are scaled by running
        statistics.

    Differs from the reference: no norm is clipped but by the cell's transform, and values are not clipped.
    """
    os.chdir(cell.directory)  # MuJoCo writes its log into the current folder
    torch.set_num_threads(1)
    torch.manual_seed(cell.seed)
    envs, trial = _environments(ENVS, learning=True), _environments(EPISODES, learning=False)
    trial.obs_rms = envs.env.obs_rms
    agent = Agent(envs.single_observation_space.shape[0], envs.single_action_space.shape[0])
    optimizer = torch.optim.AdamW(agent.parameters(), lr=cell.lr, weight_decay=cell.weight_decay, eps=1e-5)
    cell.attach(optimizer)
    seen, _ = envs.reset(seed=cell.seed)
    x, ended = torch.as_tensor(seen, dtype=torch.float32), torch.zeros(ENVS, dtype=torch.bool)
    cell.report(step=0, metric=evaluated(agent, trial))
    step, budget = 0, cell.budget
    points = {round(k * budget.steps / budget.points) for k in range(1, budget.points + 1)}
    while step < budget.steps:
        rollout, x, ended = acted(agent, envs, x, ended)
        order = torch.cat([torch.randperm(len(rollout[0])) for _ in range(EPOCHS)])
        for index in order.split(budget.batch_size)[: budget.steps - step]:
            optimizer.zero_grad()
            loss = loss_of(agent, *(part[index] for part in rollout))
            loss.backward()
            optimizer.step()
            step += 1
            known = (loss, *agent.parameters()) if step in points else (loss,)
            if not all(one.isfinite().all() for one in known):
                cell.diverged("a loss or a parameter is not finite")
                return
            if step in points:
                cell.report(step=step, metric=evaluated(agent, trial))


def _environments(count: int, *, learning: bool) -> Any:
    """Environments whose observations, and where an agent learns whose rewards, are scaled."""
    import gymnasium
    from gymnasium.wrappers.vector import NormalizeObservation, NormalizeReward

    found = NormalizeObservation(gymnasium.make_vec(TASK, num_envs=count, vectorization_mode="sync"))
    found.update_running_mean = learning
    return NormalizeReward(found, gamma=DISCOUNT) if learning else found


def acted(agent: Agent, envs: Any, x: Tensor, ended: Tensor) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """One rollout: observations, actions, their log-probabilities, advantages and returns; and its end.

    The task has a time limit and no other end, so that the value of what would follow always counts.
    """
    steps = []
    for _ in range(HORIZON):
        with torch.no_grad():
            policy, value = agent.policy(x), agent.value(x)
            action = policy.sample()
            log = policy.log_prob(action).sum(1)
        seen, reward, _, truncated, _ = envs.step(action.clamp(-1, 1).numpy())
        steps.append((x, action, log, value, torch.as_tensor(reward).float(), ended))
        x, ended = torch.as_tensor(seen, dtype=torch.float32), torch.as_tensor(truncated)
    xs, actions, logs, values, rewards, ends = map(torch.stack, zip(*steps, strict=True))
    with torch.no_grad():
        following, carried, last = agent.value(x), torch.zeros(len(x)), ended
    advantages = torch.empty_like(rewards)
    for t in reversed(range(HORIZON)):
        delta = rewards[t] + DISCOUNT * following - values[t]
        carried = delta + DISCOUNT * TRACE * ~last * carried
        advantages[t], following, last = carried, values[t], ends[t]
    # After an end gymnasium only resets, and takes no action.
    real = ~ends
    found = (xs, actions, logs, advantages, advantages + values)
    return tuple(part[real] for part in found), x, ended


def loss_of(
    agent: Agent, x: Tensor, action: Tensor, log: Tensor, advantage: Tensor, wanted: Tensor
) -> Tensor:
    """PPO's clipped loss, with advantages scaled over the batch, and the value's squared error."""
    ratio = (agent.policy(x).log_prob(action).sum(1) - log).exp()
    own = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    gain = torch.min(ratio * own, ratio.clamp(1 - CLIP, 1 + CLIP) * own).mean()
    found: Tensor = VALUE_WEIGHT * 0.5 * (agent.value(x) - wanted).square().mean() - gain
    return found


def evaluated(agent: Agent, trial: Any) -> float:
    """The mean return of whole episodes, with the policy's mean action."""
    seen, _ = trial.reset(seed=0)
    total, going = torch.zeros(EPISODES, dtype=torch.float64), torch.ones(EPISODES, dtype=torch.bool)
    while going.any():
        with torch.no_grad():
            action = agent.actor(torch.as_tensor(seen, dtype=torch.float32)).clamp(-1, 1)
        seen, reward, terminated, truncated, _ = trial.step(action.numpy())
        total += torch.as_tensor(reward) * going
        going &= torch.as_tensor(~(terminated | truncated))
    return float(total.mean())
