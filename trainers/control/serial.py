"""The serial trainer of agents: one at a time, by plain loops and `torch.distributions`. The truth."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, Normal

from trainers.control.environments import Environment
from trainers.control.noise import acting, evaluating, first_resets, minibatch, steps_per_rollout
from trainers.control.policy import ActorCritic
from trainers.control.returns import agents_curves
from trainers.curves import Curves
from trainers.dynamics import Dynamics, Moment, Recorder, beside
from trainers.run import Run
from trainers.spikes import spike_factors, spiked_steps
from trainers.workloads.control import Control

Tensors = dict[str, Tensor]
TakeStep = Callable[..., tuple[Tensors, Any]]
"""`trainers.serial.take_step`: the transform and the optimizer of one cell."""


class Agent(NamedTuple):
    """What training one agent gave.

    Attributes:
        loss_T: PPO's loss of each step, NaN after the agent ended.
        metric_K: mean return at each recorded point, NaN likewise.
        bad_step: step at which non-finite parameters were seen, or None.
        dynamics: if the budget asks for them.
    """

    loss_T: list[float]
    metric_K: list[float]
    bad_step: int | None
    dynamics: Dynamics | None


class Met(NamedTuple):
    """What an agent met in a rollout, one row per transition, and where its environments are now.

    Attributes:
        state: of the E environments.
        x: observations.
        action: numbers of the actions; an index where they are choices.
        old_log: log densities of the actions.
        advantage: before it is normalised.
        value: of the observations.
    """

    state: Tensor
    x: Tensor
    action: Tensor
    old_log: Tensor
    advantage: Tensor
    value: Tensor


def train_agents_serially(run: Run, take_step: TakeStep) -> Curves:
    """`train_serial` of a run whose workload is control."""
    started = time.perf_counter()
    workload = run.workload
    assert isinstance(workload, Control)
    workload.check(run.budget)
    untrained = workload.initial_model(run.seed).to(run.device, run.budget.dtype)
    untrained_N = torch.tensor(returns(workload, untrained), dtype=torch.float64)
    trained = [train_agent(run, workload, cell, take_step) for cell in range(run.cells)]
    return agents_curves(
        run.budget,
        workload,
        torch.tensor([agent.loss_T for agent in trained], dtype=torch.float64).T,
        torch.tensor([agent.metric_K for agent in trained], dtype=torch.float64).T,
        [agent.bad_step for agent in trained],
        untrained_N,
        seconds=time.perf_counter() - started,
        dynamics=beside([agent.dynamics for agent in trained if agent.dynamics is not None]),
    )


def train_agent(run: Run, workload: Control, cell: int, take_step: TakeStep) -> Agent:
    """Train one agent to the end of the budget, or until its loss or parameters are not finite."""
    budget, seed, environment = run.budget, run.seed, workload.environment
    model = workload.initial_model(seed).to(run.device, budget.dtype)
    assert isinstance(model, ActorCritic)
    named, transform = dict(model.named_parameters()), run.method(cell)
    lr, weight_decay = float(run.lr_C[cell]), float(run.weight_decay_C[cell])
    rule = run.optimizer.reference(model.named_parameters(), lr, weight_decay)
    transform_state = transform.init(detached(named))
    recorder = Recorder(budget.dynamics, named, 1, spiked_steps(budget, seed))
    spike_T = spike_factors(budget, seed)
    loss_T, metric_K = [math.nan] * budget.steps, [math.nan] * len(budget.recorded_steps)
    metric_K[0] = mean(returns(workload, model))
    period = steps_per_rollout(workload, budget.batch_size)
    state = environment.reset(first_resets(workload, seed).to(run.device, budget.dtype))
    for t in range(budget.steps):
        if t % period == 0:
            met = act(workload, model, state, seed, t // period)
            state = met.state
        index = minibatch(workload, seed, budget.batch_size, t).to(run.device)
        advantage = met.advantage[index]
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        rule.zero_grad()
        losses = []
        for part, own in zip(
            index.chunk(budget.accumulation), advantage.chunk(budget.accumulation), strict=True
        ):
            loss = ppo_loss(workload, model, met, part, own)
            (loss * budget.loss_scale).backward()
            losses.append(loss.detach())
        loss_T[t] = float(torch.stack(losses).mean())
        if not math.isfinite(loss_T[t]):
            break
        factor = spike_T[t] / budget.accumulation
        grads = {name: p.grad * factor for name, p in named.items() if p.grad is not None}
        before = {name: p.detach().clone() for name, p in named.items()}
        out, transform_state = take_step(
            transform, run.optimizer, rule, named, grads, transform_state, lr * budget.lr_factor(t)
        )
        if recorder.due(t + 1):
            parts = {
                "before": before,
                "after": detached(named),
                "grads": grads,
                "out": out,
                "transform_state": transform_state,
            }
            recorder.add(
                t + 1, torch.tensor([0]), Moment(**{key: as_tile(one) for key, one in parts.items()})
            )
        if t + 1 in budget.recorded_steps:
            if not all(bool(torch.isfinite(p).all()) for p in named.values()):
                return Agent(loss_T, metric_K, t + 1, recorder.result())
            with run.optimizer.evaluating(rule):
                metric_K[budget.recorded_steps.index(t + 1)] = mean(returns(workload, model))
    return Agent(loss_T, metric_K, None, recorder.result())


@torch.no_grad()
def act(workload: Control, model: ActorCritic, state: Tensor, seed: int, rollout: int) -> Met:
    """Act for one rollout, from where the environments are."""
    environment, ppo = workload.environment, workload.ppo
    noise = acting(workload, seed, rollout)
    xs, actions, logs, values, deltas, dones = [], [], [], [], [], []
    for t in range(ppo.horizon):
        x = environment.observe(state)
        policy = distribution(environment, model, x)
        action = draw(policy, noise.action[t].to(x))
        found = environment.step(state, taken(environment, action))
        value, following = model.critic(x)[:, 0], model.critic(found.observation)[:, 0]
        # Nothing follows the end of a task. A time limit ends an episode that would have gone on.
        following = torch.where(found.terminated, 0.0, following)
        delta = ppo.reward_scale * found.reward + ppo.discount * following - value
        state = found.state.clone()
        done = found.terminated | found.truncated
        for e in range(ppo.envs):
            if done[e]:
                state[e] = environment.reset(noise.reset[t, e].to(x))
        xs.append(x)
        actions.append(action)
        logs.append(log_density(policy, action))
        values.append(value)
        deltas.append(delta)
        dones.append(done)
    advantages = torch.zeros_like(torch.stack(deltas))
    for e in range(ppo.envs):
        follows = 0.0
        for t in reversed(range(ppo.horizon)):
            if dones[t][e]:
                follows = 0.0
            follows = float(deltas[t][e]) + ppo.discount * ppo.trace * follows
            advantages[t, e] = follows
    return Met(
        state, torch.cat(xs), torch.cat(actions), torch.cat(logs), advantages.flatten(), torch.cat(values)
    )


def ppo_loss(workload: Control, model: ActorCritic, met: Met, index: Tensor, advantage: Tensor) -> Tensor:
    """PPO's loss of some transitions.

    Args:
        advantage: of these transitions, normalised.
    """
    ppo, x = workload.ppo, met.x[index]
    policy, value = distribution(workload.environment, model, x), model.critic(x)[:, 0]
    wanted = met.advantage[index] + met.value[index]
    ratio = (log_density(policy, met.action[index]) - met.old_log[index]).exp()
    gain = torch.min(ratio * advantage, torch.clip(ratio, 1 - ppo.clip, 1 + ppo.clip) * advantage).mean()
    near = met.value[index] + torch.clip(value - met.value[index], -ppo.clip, ppo.clip)
    missed = torch.max((value - wanted) ** 2, (near - wanted) ** 2).mean() / 2
    entropy = policy.entropy()
    entropy = (entropy if entropy.dim() == 1 else entropy.sum(1)).mean()
    return -gain + ppo.value_weight * missed - ppo.entropy_weight * entropy


@torch.no_grad()
def returns(workload: Control, model: torch.nn.Module) -> list[float]:
    """Return of each episode of the evaluation."""
    assert isinstance(model, ActorCritic)
    environment, like = workload.environment, next(model.parameters())
    noise = evaluating(workload).action
    assert isinstance(workload.eval_x, Tensor)
    state = environment.reset(workload.eval_x.to(like))
    total, going = [0.0] * len(state), [True] * len(state)
    for t in range(environment.limit):
        policy = distribution(environment, model, environment.observe(state))
        action = draw(policy, noise[t].to(like))
        found = environment.step(state, taken(environment, action))
        for n in range(len(state)):
            if going[n]:
                total[n] += float(found.reward[n])
                going[n] = not (found.terminated[n] or found.truncated[n])
        if not any(going):
            break
        state = found.state
    return total


def distribution(environment: Environment, model: ActorCritic, x: Tensor) -> Distribution:
    """What the policy says of an action, for each row of observations."""
    out = model.actor(x)
    if environment.bounds is None:
        return Categorical(logits=out, validate_args=False)
    assert model.log_deviation is not None
    return Normal(out, model.log_deviation.exp().expand_as(out), validate_args=False)


def draw(policy: Distribution, noise: Tensor) -> Tensor:
    """An action per row, as numbers [rows, K]."""
    if isinstance(policy, Categorical):
        return (policy.logits + noise).argmax(1, keepdim=True).to(noise.dtype)
    assert isinstance(policy, Normal)
    return policy.loc + policy.scale * noise


def log_density(policy: Distribution, action: Tensor) -> Tensor:
    """The log density of an action per row."""
    if isinstance(policy, Categorical):
        action = action[:, 0]
    found: Tensor = policy.log_prob(action)
    return found if isinstance(policy, Categorical) else found.sum(1)


def taken(environment: Environment, action: Tensor) -> Tensor:
    """Actions as the task takes them."""
    if environment.bounds is None:
        return action[:, 0].long()
    return torch.clip(action, *environment.bounds)


def detached(named: dict[str, torch.nn.Parameter]) -> Tensors:
    """The same tensors, outside of the graph."""
    return {name: p.detach() for name, p in named.items()}


def as_tile(tensors: Tensors) -> Tensors:
    """The tensors of a tile of one cell."""
    return {name: t.unsqueeze(0) for name, t in tensors.items()}


def mean(values: list[float]) -> float:
    """Arithmetic mean."""
    return sum(values) / len(values)
