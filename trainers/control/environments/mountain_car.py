"""MountainCarContinuous-v0: drive a weak car out of a valley by swinging back and forth."""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.control.environments.base import Environment, evenly

LEFT, RIGHT, GOAL, FASTEST, POWER, SLOPE = -1.2, 0.6, 0.45, 0.07, 0.0015, 0.0025
"""Ends of the road, the goal, the largest velocity, what the motor gives, and what the hill takes."""


def start(noise: Tensor) -> Tensor:
    """A position from [-0.6, -0.4) and velocity 0."""
    position = evenly(noise, -0.6, -0.4)
    return torch.cat([position, torch.zeros_like(position)], -1)


def look(numbers: Tensor) -> Tensor:
    """Position and velocity."""
    return numbers


def move(numbers: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One step; reward 100 at the goal, less 0.1 · action².

    Reference: gymnasium 1.4.0, `envs/classic_control/continuous_mountain_car.py`.

    Differs from the reference: it rounds its state to float32 after every step.
    """
    position, velocity = numbers.unbind(-1)
    force = action[..., 0].clamp(-1.0, 1.0)
    velocity = (velocity + force * POWER - SLOPE * torch.cos(3 * position)).clamp(-FASTEST, FASTEST)
    position = (position + velocity).clamp(LEFT, RIGHT)
    velocity = torch.where((position == LEFT) & (velocity < 0), 0.0, velocity)
    ended = (position >= GOAL) & (velocity >= 0)
    reward = torch.where(ended, 100.0, 0.0) - 0.1 * action[..., 0].square()
    return torch.stack([position, velocity], -1), reward.to(position.dtype), ended


MOUNTAIN_CAR = Environment(
    name="MountainCarContinuous-v0",
    observations=2,
    actions=1,
    bounds=(-1.0, 1.0),
    draws=1,
    limit=999,
    best=100.0,
    random=-33.3,
    start=start,
    look=look,
    move=move,
)
