"""All agents of a tile: they act together, remember what they met, and are evaluated together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from trainers.control.distributions import executed
from trainers.control.environments import Transition
from trainers.control.noise import acting, evaluating, first_resets, minibatch, steps_per_rollout
from trainers.control.policy import ActorCritic, Policy
from trainers.control.ppo import normalised
from trainers.control.repeated import Repeated
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
        rollouts = run.budget.steps // self.period
        self._acted = Repeated(self._act_on, rollouts * self._workload.ppo.horizon)
        self._evaluated = Repeated(self._act_out, run.budget.points * self._workload.environment.limit)

    def _policy_of(self, params: Mapping[str, Tensor]) -> list[Tensor]:
        return [params[name] for name in self._acting]

    def _act(
        self, state: Tensor, policy: Sequence[Tensor], noise: Tensor
    ) -> tuple[Tensor, Tensor, Transition]:
        """Observations, actions, and what they lead to."""
        environment = self._workload.environment
        # A copy, because an observation may be a part of the state, which a repeated step writes over.
        x = environment.observe(state).clone()
        output = self._policy(dict(zip(self._acting, policy, strict=True)), x)
        action = self._workload.distribution.draw(output, noise)
        return x, action, environment.step(state, executed(environment, action))

    def _act_on(self, state: Sequence[Tensor], given: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """One step in training: where an episode ended, the next one begins."""
        *policy, noise, reset = given
        x, action, found = self._act(state[0], policy, noise)
        done = found.terminated | found.truncated
        after = torch.where(done.unsqueeze(-1), self._workload.environment.reset(reset), found.state)
        ends = [end.to(x.dtype) for end in (found.terminated, done)]
        return [after], [x, action, found.reward, found.observation, *ends]

    def _act_out(self, state: Sequence[Tensor], given: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """One step of an evaluation: rewards count until the first episode's end."""
        *policy, noise = given
        numbers, total, going = state
        _, _, found = self._act(numbers, policy, noise)
        total = total + torch.where(going, found.reward, 0.0)
        going = going & ~(found.terminated | found.truncated)
        return [found.state, total, going], [going]

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
        workload, ppo = self._workload, self._workload.ppo
        noise = acting(workload, self._run.seed, rollout)
        actions, resets = self._given(noise.action), self._given(noise.reset)
        self._acted.begin([tile.world["state"]], self._policy_of(tile.params), [actions[0], resets[0]])
        cells = len(tile.world["state"])
        met: list[Tensor] = []
        for t in range(ppo.horizon):
            for k, part in enumerate(self._acted([actions[t], resets[t]])):
                if t == 0:
                    # Along time, so that [C, T, E, …] becomes a row of examples per cell.
                    met.append(part.new_empty(cells, ppo.horizon, *part.shape[1:]))
                met[k][:, t] = part
        x, action, reward, after, terminated, done = met
        output, following = (self._network(tile.params, part.flatten(1, 2)) for part in (x, after))
        value, next_value = (out[..., -1].unflatten(1, reward.shape[1:]) for out in (output, following))
        advantage = ppo.advantages(reward, value, next_value, terminated, done)
        old = workload.distribution.log_density(output[..., :-1], action.flatten(1, 2))
        beside = [part.flatten(1) for part in (advantage, advantage + value, value)]
        columns = torch.stack([old, *beside], -1)
        (state,) = self._acted.state
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
        cells = len(next(iter(params.values())))
        start = environment.reset(self._given(torch.as_tensor(workload.eval_x[:])))
        total = start.new_zeros(cells, len(start))
        going = torch.ones_like(total, dtype=torch.bool)
        state = start.expand(cells, *start.shape)
        self._evaluated.begin([state, total, going], self._policy_of(params), [noise[0]])
        for t in range(environment.limit):
            (going,) = self._evaluated([noise[t]])
            if t % LOOK == 0 and not bool(going.any()):
                break
        total = self._evaluated.state[1]
        return total.double()

    def _given(self, noise: Tensor) -> Tensor:
        """Noise as the agents compute; drawn in float64, so that precisions differ by rounding alone."""
        return noise.to(self._device, self._dtype)
