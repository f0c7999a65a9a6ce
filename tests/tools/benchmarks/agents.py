"""Environment steps per second: fused agents beside a plain PPO loop on gymnasium's vector environments.

    python -m tests.tools.benchmarks.agents

The plain loop is the usual one: one agent, `gymnasium.make_vec` (which takes a task's own vectorised form
where there is one, and loops over environments otherwise), `torch.distributions`, `torch.optim`. Network,
environments, horizon, epochs and minibatches are those of the workload. Both use one thread and take turns.
Seconds are those of the processor (`time.process_time`), so that other work on the machine counts little. A
fused run is timed as a whole, with its evaluations; the plain loop acts and learns alone.
"""

from __future__ import annotations

import argparse
import statistics
import time

import gymnasium
import torch
from torch.distributions import Categorical, Distribution, Normal

from trainers import Budget, make_optimizer, make_transform, make_workload, train_fused
from trainers.control.policy import ActorCritic
from trainers.workloads.control import Control

BATCH_SIZE, ROLLOUTS = 256, 20
"""Transitions of an optimizer step, and rollouts of a fused run."""


def policy_of(model: ActorCritic, x: torch.Tensor) -> Distribution:
    out = model.actor(x)
    return Categorical(logits=out) if model.log_deviation is None else Normal(out, model.log_deviation.exp())


def plain(workload: Control, rollouts: int) -> float:
    """Environment steps per second of one agent."""
    ppo, choice = workload.ppo, workload.environment.bounds is None
    envs = gymnasium.make_vec(workload.environment.name, num_envs=ppo.envs)
    model = workload.initial_model(0)
    assert isinstance(model, ActorCritic)
    rule = torch.optim.Adam(model.parameters(), lr=1e-3)
    seen, _ = envs.reset(seed=0)
    x = torch.as_tensor(seen, dtype=torch.float32)
    started = time.process_time()
    for _ in range(rollouts):
        xs, actions, logs, values, rewards, ends = [], [], [], [], [], []
        for _ in range(ppo.horizon):
            with torch.no_grad():
                policy, value = policy_of(model, x), model.critic(x)[:, 0]
                action = policy.sample()
                log = policy.log_prob(action)
            seen, reward, terminated, truncated, _ = envs.step(action.numpy())
            xs.append(x)
            actions.append(action)
            logs.append(log if choice else log.sum(1))
            values.append(value)
            rewards.append(torch.as_tensor(reward, dtype=torch.float32) * ppo.reward_scale)
            ends.append(torch.as_tensor(terminated | truncated, dtype=torch.float32))
            x = torch.as_tensor(seen, dtype=torch.float32)
        with torch.no_grad():
            following, carried = model.critic(x)[:, 0], torch.zeros(ppo.envs)
            advantages = []
            for t in reversed(range(ppo.horizon)):
                delta = rewards[t] + ppo.discount * following * (1 - ends[t]) - values[t]
                carried = delta + ppo.discount * ppo.trace * (1 - ends[t]) * carried
                advantages.append(carried)
                following = values[t]
        X, A, L, V = (torch.cat(parts) for parts in (xs, actions, logs, values))
        advantage = torch.cat(advantages[::-1])
        wanted = advantage + V
        for _ in range(ppo.epochs):
            for index in torch.randperm(len(X)).split(BATCH_SIZE):
                policy, value = policy_of(model, X[index]), model.critic(X[index])[:, 0]
                log, entropy = policy.log_prob(A[index]), policy.entropy()
                if not choice:
                    log, entropy = log.sum(1), entropy.sum(1)
                ratio = (log - L[index]).exp()
                own = advantage[index]
                own = (own - own.mean()) / (own.std() + 1e-8)
                gain = torch.min(ratio * own, ratio.clamp(1 - ppo.clip, 1 + ppo.clip) * own).mean()
                near = V[index] + (value - V[index]).clamp(-ppo.clip, ppo.clip)
                missed = torch.max((value - wanted[index]) ** 2, (near - wanted[index]) ** 2).mean()
                loss = 0.5 * ppo.value_weight * missed - gain - ppo.entropy_weight * entropy.mean()
                rule.zero_grad()
                loss.backward()
                rule.step()
    took = time.process_time() - started
    envs.close()
    return rollouts * ppo.transitions / took


def fused(workload: Control, cells: int) -> float:
    """Environment steps per second of a tile of agents."""
    steps = ROLLOUTS * workload.ppo.epochs * workload.ppo.transitions // BATCH_SIZE
    started = time.process_time()
    train_fused(
        workload,
        make_transform("none"),
        make_optimizer("adam"),
        Budget(steps, BATCH_SIZE, points=1),
        lr_C=torch.full((cells,), 1e-3),
        weight_decay_C=torch.zeros(cells),
        seed=0,
    )
    return ROLLOUTS * workload.ppo.transitions * cells / (time.process_time() - started)


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.benchmarks.agents", description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=["cartpole", "pendulum", "acrobot"])
    parser.add_argument("--widths", nargs="+", type=int, default=[1, 14, 64], help="agents per fused run")
    parser.add_argument("--rounds", type=int, default=3, help="how often each figure is measured: its n")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| task | agents | plain, steps/s | fused, steps/s | ratio (median, least-greatest) |")
    print("|---|---:|---:|---:|---:|")
    for name in options.tasks:
        workload = make_workload(name, "mlp", episodes=4)
        assert isinstance(workload, Control)
        plain(workload, 1)
        for cells in options.widths:
            rounds = [(plain(workload, 4), fused(workload, cells)) for _ in range(options.rounds)]
            slow, fast = (statistics.median(rates) for rates in zip(*rounds, strict=True))
            ratios = [b / a for a, b in rounds]
            spread = f"{statistics.median(ratios):.3g} ({min(ratios):.3g}-{max(ratios):.3g})"
            print(f"| {name} | {cells} | {slow:,.0f} | {fast:,.0f} | {spread} |", flush=True)


if __name__ == "__main__":
    main()
