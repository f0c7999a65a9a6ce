"""Environments as tensor functions equal gymnasium's, step by step in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from trainers.control.environments import ENVIRONMENTS, Environment

TURN = 2 * np.pi


def official(environment: Environment) -> Any:
    """gymnasium's environment with its time limit."""
    return gymnasium.make(environment.name, disable_env_checker=True)


def random_action(environment: Environment, rng: np.random.Generator, state: Any) -> Any:
    if environment.bounds is None:
        return int(rng.integers(environment.actions))
    # Beyond the bounds too, because what a task does with such an action is a part of it.
    return 1.5 * rng.uniform(*environment.bounds, size=environment.actions)


def balancing(environment: Environment, rng: np.random.Generator, state: Any) -> int:
    """Pushes that keep the pole upright until the time limit."""
    return int(state[2] + 0.5 * state[3] + 0.05 * state[0] + 0.1 * state[1] > 0)


def climbing(environment: Environment, rng: np.random.Generator, state: Any) -> Any:
    """Drive in the direction of the velocity, which reaches the goal."""
    return np.array([1.0 if state[1] >= 0 else -1.0])


@pytest.mark.parametrize(
    ("name", "choose", "episodes"),
    [
        ("cartpole", random_action, 20),
        ("cartpole", balancing, 1),
        ("pendulum", random_action, 2),
        ("acrobot", random_action, 1),
        ("mountain_car", random_action, 1),
        ("mountain_car", climbing, 2),
    ],
)
def test_equals_gymnasium(name: str, choose: Callable[..., Any], episodes: int) -> None:
    """State, observation, reward and both kinds of end agree at every step until the episode's end."""
    environment, rng = ENVIRONMENTS[name], np.random.default_rng(0)
    reference = official(environment)
    ends = set()
    for episode in range(episodes):
        reference.reset(seed=episode)
        first = np.array(reference.unwrapped.state, dtype=np.float64)
        state = torch.tensor([*first, 0.0], dtype=torch.float64)
        done = False
        while not done:
            if name == "mountain_car":
                # gymnasium rounds this state to float32, so each step is compared by itself.
                reference.unwrapped.state = np.array(reference.unwrapped.state, dtype=np.float64)
                state = torch.tensor([*reference.unwrapped.state, float(state[-1])], dtype=torch.float64)
            action = choose(environment, rng, reference.unwrapped.state)
            seen, reward, terminated, truncated, _ = reference.step(action)
            found = environment.step(state, torch.tensor(action))
            state = found.state
            tolerance = (
                {"rtol": 1e-6, "atol": 1e-7} if name == "mountain_car" else {"rtol": 1e-9, "atol": 1e-9}
            )
            np.testing.assert_allclose(state[:-1], reference.unwrapped.state, **tolerance)
            np.testing.assert_allclose(found.observation, seen, rtol=1e-6, atol=1e-6)
            assert float(found.reward) == pytest.approx(float(reward), rel=1e-12)
            assert (bool(found.terminated), bool(found.truncated)) == (terminated, truncated)
            done = terminated or truncated
        ends.add((terminated, truncated))
    assert ends & EXPECTED[name, choose.__name__]


TERMINATED, TRUNCATED = (True, False), (False, True)
EXPECTED = {
    ("cartpole", "random_action"): {TERMINATED},
    ("cartpole", "balancing"): {TRUNCATED},
    ("pendulum", "random_action"): {TRUNCATED},
    ("acrobot", "random_action"): {TRUNCATED},
    ("mountain_car", "random_action"): {TRUNCATED},
    ("mountain_car", "climbing"): {TERMINATED},
}
"""How at least one of the compared episodes ends, so that neither kind of end goes untested."""


@pytest.mark.parametrize("name", list(ENVIRONMENTS))
def test_resets_lie_where_those_of_gymnasium_lie(name: str) -> None:
    """From the lowest and the highest noise come the ends of gymnasium's range of first observations."""
    environment = ENVIRONMENTS[name]
    reference = official(environment)
    seen = np.array([reference.reset(seed=seed)[0] for seed in range(300)])
    noise = torch.rand(20_000, environment.draws, generator=torch.Generator().manual_seed(0)).double()
    own = environment.observe(environment.reset(noise)).numpy()
    spread = own.max(0) - own.min(0)
    assert (seen.min(0) >= own.min(0) - 1e-3 * spread - 1e-6).all()
    assert (seen.max(0) <= own.max(0) + 1e-3 * spread + 1e-6).all()
    np.testing.assert_allclose(seen.min(0), own.min(0), atol=0.1 * spread.max())
    np.testing.assert_allclose(seen.max(0), own.max(0), atol=0.1 * spread.max())


@pytest.mark.parametrize("name", list(ENVIRONMENTS))
def test_many_at_once_are_one_by_one(name: str) -> None:
    """A batch of cells and environments gives what each of them gives alone."""
    environment = ENVIRONMENTS[name]
    generator = torch.Generator().manual_seed(0)
    state = environment.reset(torch.rand(3, 4, environment.draws, generator=generator, dtype=torch.float64))
    if environment.bounds is None:
        action = torch.randint(environment.actions, (3, 4), generator=generator)
    else:
        action = torch.randn(3, 4, environment.actions, generator=generator, dtype=torch.float64)
    together = environment.step(state, action)
    for c in range(3):
        for e in range(4):
            alone = environment.step(state[c, e], action[c, e])
            for one, all_of_them in zip(alone, together, strict=True):
                torch.testing.assert_close(one, all_of_them[c, e], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", list(ENVIRONMENTS))
def test_random_actions_return_what_gymnasium_says(name: str) -> None:
    """The noted return of random actions lies within five standard errors of some episodes of gymnasium."""
    environment = ENVIRONMENTS[name]
    reference, returns = official(environment), []
    reference.action_space.seed(0)
    for episode in range(50 if name == "cartpole" else 3):
        reference.reset(seed=episode)
        total, done = 0.0, False
        while not done:
            _, reward, terminated, truncated, _ = reference.step(reference.action_space.sample())
            total, done = total + float(reward), terminated or truncated
        returns.append(total)
    error = np.std(returns, ddof=1) / np.sqrt(len(returns))
    assert abs(np.mean(returns) - environment.random) < 5 * error + 1.0
