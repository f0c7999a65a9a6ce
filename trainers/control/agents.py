"""All agents of a tile: they act together, remember what they met, and are evaluated together."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from trainers.control.distributions import executed
from trainers.control.noise import acting, evaluating, first_resets, minibatch, steps_per_rollout
from trainers.control.policy import ActorCritic, Policy
from trainers.control.ppo import normalised
from trainers.feed import Micro, mask_seed
from trainers.progress import TileState
from trainers.run import Run
from trainers.workloads.control import Control

Tensors = dict[str, Tensor]
LOOK = 50
"""After so many steps an evaluation looks whether an episode is left [environment steps]."""


class Agents:
    """C agents, each with E environments of its own, which are given the same noise.

    Attributes:
        period: optimizer steps between two rollouts.
    """

    def __init__(self, run: Run, model: nn.Module) -> None:
        assert isinstance(run.workload, Control)
        assert isinstance(model, ActorCritic)
        self._run, self._workload = run, run.workload
        self._device, self._dtype = run.device, run.budget.dtype
        self._network = vmap(lambda params, x: functional_call(model, params, (x,)))
        actor = Policy(model)
        self._acting = [name for name, _ in actor.named_parameters()]
        self._policy = vmap(lambda params, x: functional_call(actor, params, (x,)))
        self.period = steps_per_rollout(self._workload, run.budget.batch_size)

    def begin(self, cells: int) -> Tensors:
        """The world before the first step: environments that have been reset, and nothing met."""
        workload, ppo = self._workload, self._workload.ppo
        state = workload.environment.reset(self._given(first_resets(workload, self._run.seed)))
        width = workload.environment.actions if workload.environment.bounds else 1
        return {
            "state": state.expand(cells, *state.shape).clone(),
            "x": state.new_zeros(cells, ppo.transitions, workload.environment.observations),
            "y": state.new_zeros(cells, ppo.transitions, width + 4),
        }

    def acted(self, tile: TileState, rollout: int) -> Tensors:
        """The world after a rollout: what every agent met, with advantages and returns."""
        workload, ppo, environment = self._workload, self._workload.ppo, self._workload.environment
        noise = acting(workload, self._run.seed, rollout)
        actions, resets = self._given(noise.action), self._given(noise.reset)
        policy = {name: tile.params[name] for name in self._acting}
        state, met = tile.world["state"], []
        for t in range(ppo.horizon):
            x = environment.observe(state)
            action = workload.distribution.draw(self._policy(policy, x), actions[t])
            found = environment.step(state, executed(environment, action))
            done = found.terminated | found.truncated
            state = torch.where(done.unsqueeze(-1), environment.reset(resets[t]), found.state)
            met.append((x, action, found.reward, found.observation, found.terminated, done))
        # Along time, so that [C, T, E, …] becomes a row of examples per cell.
        x, action, reward, after, terminated, done = (
            torch.stack(parts, 1) for parts in zip(*met, strict=True)
        )
        output, following = (self._network(tile.params, part.flatten(1, 2)) for part in (x, after))
        value, next_value = (out[..., -1].unflatten(1, reward.shape[1:]) for out in (output, following))
        ended = terminated.to(value.dtype), done.to(value.dtype)
        advantage = ppo.advantages(reward, value, next_value, *ended)
        old = workload.distribution.log_density(output[..., :-1], action.flatten(1, 2))
        beside = [part.flatten(1) for part in (advantage, advantage + value, value)]
        columns = torch.stack([old, *beside], -1)
        return {"state": state, "x": x.flatten(1, 2), "y": torch.cat([action.flatten(1, 2), columns], -1)}

    def micro(self, world: Tensors, step: int) -> list[Micro]:
        """The micro-batches of an optimizer step, with advantages normalised over its minibatch."""
        run = self._run
        index = minibatch(self._workload, run.seed, run.budget.batch_size, step).to(run.device)
        x, y = world["x"][:, index], world["y"][:, index]
        y[..., -3] = normalised(y[..., -3])
        parts = zip(x.chunk(run.budget.accumulation, 1), y.chunk(run.budget.accumulation, 1), strict=True)
        return [(part_x, part_y, mask_seed(run.seed, step, k)) for k, (part_x, part_y) in enumerate(parts)]

    def returns(self, params: Mapping[str, Tensor]) -> Tensor:
        """Return of each episode of the evaluation, shape [C, episodes]."""
        workload, environment = self._workload, self._workload.environment
        noise = self._given(evaluating(workload).action)
        policy = {name: params[name] for name in self._acting}
        cells = len(next(iter(params.values())))
        start = environment.reset(self._given(torch.as_tensor(workload.eval_x[:])))
        state = start.expand(cells, *start.shape)
        total = state.new_zeros(cells, len(start))
        going = torch.ones_like(total, dtype=torch.bool)
        for t in range(environment.limit):
            action = workload.distribution.draw(self._policy(policy, environment.observe(state)), noise[t])
            found = environment.step(state, executed(environment, action))
            total = total + torch.where(going, found.reward, 0.0)
            going = going & ~(found.terminated | found.truncated)
            state = found.state
            if t % LOOK == 0 and not bool(going.any()):
                break
        return total.double()

    def _given(self, noise: Tensor) -> Tensor:
        """Noise as the agents compute; drawn in float64, so that precisions differ by rounding alone."""
        return noise.to(self._device, self._dtype)
