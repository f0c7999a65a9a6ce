"""Pendulum-v1: swing a pendulum up by a torque that is too weak to lift it at once, and hold it there."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trainers.control.environments.base import Environment, evenly

GRAVITY, MASS, LENGTH, SECONDS = 10.0, 1.0, 1.0, 0.05
"""Gravity [m/s²], mass [kg], length [m], and the time of a step [s]."""
FASTEST, TORQUE = 8.0, 2.0
"""Bounds of the angular velocity [rad/s] and of the torque [N m]."""


def start(noise: Tensor) -> Tensor:
    """An angle from [-π, π), of which 0 is upright, and an angular velocity from [-1, 1)."""
    return torch.stack([evenly(noise[..., 0], -math.pi, math.pi), evenly(noise[..., 1], -1.0, 1.0)], -1)


def look(numbers: Tensor) -> Tensor:
    """Cosine and sine of the angle, and the angular velocity."""
    angle, spin = numbers.unbind(-1)
    return torch.stack([torch.cos(angle), torch.sin(angle), spin], -1)


def move(numbers: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One Euler step that takes the new angular velocity; the task never ends.

        reward = -(angle² + 0.1 · angular velocity² + 0.001 · torque²)

    Reference: gymnasium 1.4.0, `envs/classic_control/pendulum.py`.
    Differs from the reference: nothing.
    """
    angle, spin = numbers.unbind(-1)
    torque = action[..., 0].clamp(-TORQUE, TORQUE)
    near = torch.remainder(angle + math.pi, 2 * math.pi) - math.pi
    cost = near.square() + 0.1 * spin.square() + 0.001 * torque.square()
    gain = 3 * GRAVITY / (2 * LENGTH) * torch.sin(angle) + 3.0 / (MASS * LENGTH**2) * torque
    spin = (spin + gain * SECONDS).clamp(-FASTEST, FASTEST)
    angle = angle + spin * SECONDS
    return torch.stack([angle, spin], -1), -cost, torch.zeros_like(angle, dtype=torch.bool)


PENDULUM = Environment(
    name="Pendulum-v1",
    observations=3,
    actions=1,
    bounds=(-TORQUE, TORQUE),
    draws=2,
    limit=200,
    best=0.0,
    random=-1231.0,
    start=start,
    look=look,
    move=move,
    discount=0.9,
    reward_scale=0.1,
)
