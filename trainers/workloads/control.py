"""Control: an agent learns a task by PPO. Its examples are what it meets while it acts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from trainers.budget import Budget
from trainers.control.distributions import Distribution, distribution_of
from trainers.control.environments import Environment
from trainers.control.policy import ActorCritic
from trainers.control.ppo import Ppo
from trainers.naming import check_range
from trainers.workloads.base import Workload, derived_seed

METRIC = "return"
"""Mean return of the episodes of the evaluation."""


@dataclass(frozen=True, kw_only=True)
class Control(Workload):
    """One task, of which every agent makes its own examples.

    `train_x` are first observations, as many as a rollout has transitions, and `train_y` zeros. They say how
    many examples there are and what they look like, and nobody is trained on them. `eval_x` are the noise of
    the resets of the evaluation, the same for every cell and seed.

    Attributes:
        environment: the task.
        ppo: the constants of the algorithm.
    """

    environment: Environment
    ppo: Ppo

    @property
    def distribution(self) -> Distribution:
        """What actions are drawn from."""
        return distribution_of(self.environment)

    def fingerprint(self) -> str:
        """A hash of all that decides a cell's numbers, the constants that were not given included."""
        resolved = repr((super().fingerprint(), self.environment.name, self.ppo))
        return f"{derived_seed(0, resolved):014x}"

    def check(self, budget: Budget) -> None:
        """Refuse a budget that PPO cannot be trained with.

        Raises:
            ValueError: the message says what was found, wanted, and to be done.
        """
        if budget.quantization != "none":
            raise ValueError(
                f"budget.quantization is {budget.quantization}; {self.name} wants none, because agents act "
                "and learn with the same network"
            )
        if budget.corruption:
            raise ValueError(
                f"budget.corruption is {budget.corruption:g}; {self.name} wants 0, because what agents see "
                "comes from their tasks and not from stored inputs"
            )
        transitions, steps = self.ppo.transitions, budget.batch_size
        if transitions % steps:
            raise ValueError(
                f"budget.batch_size is {steps}; wanted a divisor of {transitions}, the transitions of "
                f"a rollout of {self.name} (envs x horizon)"
            )
        if steps == 1:
            raise ValueError(
                f"budget.batch_size is 1; {self.name} wants 2 or more, because advantages are scaled by "
                "their deviation over a batch"
            )
        if budget.arithmetic != budget.dtype:
            raise ValueError(
                f"budget.precision is {budget.precision}; {self.name} wants float32 or float64, because the "
                "probabilities of an action before and after a step are divided by each other"
            )
        if budget.explosion_factor != 1.0:
            raise ValueError(
                f"budget.explosion_factor is {budget.explosion_factor:g}, but an agent's loss does not "
                f"explode; leave it out: {self.name} counts policies that collapsed"
            )


def control(
    environment: Environment,
    model: Callable[[tuple[int, ...], int], nn.Module],
    model_name: str,
    envs: int = 16,
    horizon: int = 64,
    epochs: int = 4,
    discount: float | None = None,
    trace: float = 0.95,
    clip: float = 0.2,
    value_weight: float = 0.5,
    entropy_weight: float | None = None,
    reward_scale: float | None = None,
    episodes: int = 32,
) -> Control:
    """A task of `ENVIRONMENTS`, learned by PPO.

    Args:
        model: builds the policy and, once more, the value function.
        model_name: its name.
        discount, reward_scale: where they are not given, those of the environment.
        entropy_weight: where it is not given, 0.01 for choices and 0 for numbers.
        episodes: of an evaluation, >= 1.

    The others are those of `Ppo`.

    Raises:
        ValueError: a constant is out of range, or the model has dropout or running statistics.

    Reference: CleanRL, `ppo.py` and `ppo_continuous_action.py`, for λ, clip and weights.
    Differs from the reference: the norm of gradients is not clipped (at 0.5 there), and neither observations
        nor rewards are scaled by their running statistics. Rollouts, epochs and first weights are this
        project's.
    """
    check_range("control", 1, episodes=episodes)
    ppo = Ppo(
        envs=envs,
        horizon=horizon,
        epochs=epochs,
        discount=environment.discount if discount is None else discount,
        trace=trace,
        clip=clip,
        value_weight=value_weight,
        entropy_weight=(0.01 if environment.bounds is None else 0.0)
        if entropy_weight is None
        else entropy_weight,
        reward_scale=environment.reward_scale if reward_scale is None else reward_scale,
    )
    first, evaluation = (
        torch.rand(
            count,
            environment.draws,
            generator=torch.Generator().manual_seed(derived_seed(0, f"{environment.name}/{purpose}")),
            dtype=torch.float64,
        )
        for purpose, count in (("shape", ppo.transitions), ("evaluation", episodes))
    )
    return Control(
        name=f"{environment.name}/{model_name}",
        build=partial(agent, model, environment),
        train_x=environment.observe(environment.reset(first)),
        train_y=torch.zeros(len(first), (environment.actions if environment.bounds else 1) + 4),
        eval_x=evaluation,
        eval_y=torch.zeros(len(evaluation), dtype=torch.int64),
        loss=partial(ppo.loss, distribution_of(environment)),
        score=expected,
        metric_name=METRIC,
        higher_is_better=True,
        chance=environment.random,
        environment=environment,
        ppo=ppo,
    )


def agent(model: Callable[[tuple[int, ...], int], nn.Module], environment: Environment) -> ActorCritic:
    """The untrained network of a task.

    Raises:
        ValueError: it has dropout or running statistics.
    """
    found = ActorCritic(model, environment)
    if next(found.buffers(), None) is not None or any("Drop" in type(m).__name__ for m in found.modules()):
        raise ValueError(
            f"{environment.name}: the model has dropout or running statistics; wanted one without, such as "
            "mlp, because an agent acts and learns with the same network"
        )
    return found


def expected(output: Tensor, target: Tensor) -> Tensor:
    """What the network expects a state to be worth, one number per example; the metric comes of episodes."""
    return output[..., -1]
