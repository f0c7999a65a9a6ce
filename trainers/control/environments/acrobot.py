"""Acrobot-v1: swing the free end of two links above a height by a torque at the joint between them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trainers.control.environments.base import Environment, evenly

GRAVITY, MASS, LENGTH, CENTRE, INERTIA, SECONDS = 9.8, 1.0, 1.0, 0.5, 1.0, 0.2
"""Gravity [m/s²]; mass [kg], length [m], centre of mass [m] and inertia of both links; time of a step [s]."""
FASTEST = (4 * math.pi, 9 * math.pi)
"""Bounds of the two angular velocities [rad/s]."""


def start(noise: Tensor) -> Tensor:
    """Two angles, of which 0 hangs down, and two angular velocities, each from [-0.1, 0.1)."""
    return evenly(noise, -0.1, 0.1)


def look(numbers: Tensor) -> Tensor:
    """Cosine and sine of both angles, and both angular velocities."""
    one, two, spin_one, spin_two = numbers.unbind(-1)
    parts = [torch.cos(one), torch.sin(one), torch.cos(two), torch.sin(two), spin_one, spin_two]
    return torch.stack(parts, -1)


def move(numbers: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One Runge-Kutta step of fourth order with a torque of -1, 0 or 1; reward -1, and 0 where it ends.

    Reference: gymnasium 1.4.0, `envs/classic_control/acrobot.py`, the book's equations.
    Differs from the reference: an angle is turned back by all whole turns at once, not one after another.
    """
    torque = action.to(numbers.dtype) - 1.0
    half = SECONDS / 2
    first = slope(numbers, torque)
    second = slope(numbers + half * first, torque)
    third = slope(numbers + half * second, torque)
    fourth = slope(numbers + SECONDS * third, torque)
    moved = numbers + SECONDS / 6 * (first + 2 * second + 2 * third + fourth)
    one, two, spin_one, spin_two = moved.unbind(-1)
    one, two = within(one), within(two)
    spin_one = spin_one.clamp(-FASTEST[0], FASTEST[0])
    spin_two = spin_two.clamp(-FASTEST[1], FASTEST[1])
    ended = -torch.cos(one) - torch.cos(two + one) > 1.0
    reward = torch.where(ended, 0.0, -torch.ones_like(one))
    return torch.stack([one, two, spin_one, spin_two], -1), reward, ended


def slope(numbers: Tensor, torque: Tensor) -> Tensor:
    """How fast angles and angular velocities change [1/s]."""
    one, two, spin_one, spin_two = numbers.unbind(-1)
    cosine, sine = torch.cos(two), torch.sin(two)
    d1 = MASS * CENTRE**2 + MASS * (LENGTH**2 + CENTRE**2 + 2 * LENGTH * CENTRE * cosine) + 2 * INERTIA
    d2 = MASS * (CENTRE**2 + LENGTH * CENTRE * cosine) + INERTIA
    phi2 = MASS * CENTRE * GRAVITY * torch.cos(one + two - math.pi / 2)
    phi1 = (
        -MASS * LENGTH * CENTRE * spin_two.square() * sine
        - 2 * MASS * LENGTH * CENTRE * spin_two * spin_one * sine
        + (MASS * CENTRE + MASS * LENGTH) * GRAVITY * torch.cos(one - math.pi / 2)
        + phi2
    )
    turn_two = (torque + d2 / d1 * phi1 - MASS * LENGTH * CENTRE * spin_one.square() * sine - phi2) / (
        MASS * CENTRE**2 + INERTIA - d2.square() / d1
    )
    turn_one = -(d2 * turn_two + phi1) / d1
    return torch.stack([spin_one, spin_two, turn_one, turn_two], -1)


def within(angle: Tensor) -> Tensor:
    """The same angle in [-π, π]; one that lies there is not rounded."""
    turn = 2 * math.pi
    over = torch.ceil((angle - math.pi) / turn).clamp(min=0)
    under = torch.ceil((-math.pi - angle) / turn).clamp(min=0)
    return angle - turn * over + turn * under


ACROBOT = Environment(
    name="Acrobot-v1",
    observations=6,
    actions=3,
    bounds=None,
    draws=4,
    limit=500,
    best=0.0,
    random=-499.1,
    start=start,
    look=look,
    move=move,
)
