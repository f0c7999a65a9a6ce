"""CartPole-v1: keep a pole upright on a cart that is pushed to the left or to the right."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trainers.control.environments.base import Environment, evenly

GRAVITY, CART, POLE, HALF, FORCE, SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
"""Gravity [m/s²], masses [kg], half the pole's length [m], the push [N], and the time of a step [s]."""
TRACK, TILT = 2.4, 12 * 2 * math.pi / 360
"""Where an episode ends: the cart's position [m] and the pole's angle [rad]."""


def start(noise: Tensor) -> Tensor:
    """Position, velocity, angle and angular velocity, each from [-0.05, 0.05)."""
    return evenly(noise, -0.05, 0.05)


def look(numbers: Tensor) -> Tensor:
    """All of them."""
    return numbers


def move(numbers: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One Euler step; reward 1, at the last step too.

    Reference: gymnasium 1.4.0, `envs/classic_control/cartpole.py`.
    Differs from the reference: nothing; of its two integrators this is its default.
    """
    x, velocity, angle, spin = numbers.unbind(-1)
    push = FORCE * (2.0 * action.to(x.dtype) - 1.0)
    mass, lever = CART + POLE, POLE * HALF
    cosine, sine = torch.cos(angle), torch.sin(angle)
    pressed = (push + lever * spin.square() * sine) / mass
    turn = (GRAVITY * sine - cosine * pressed) / (HALF * (4.0 / 3.0 - POLE * cosine.square() / mass))
    thrust = pressed - lever * turn * cosine / mass
    x, velocity = x + SECONDS * velocity, velocity + SECONDS * thrust
    angle, spin = angle + SECONDS * spin, spin + SECONDS * turn
    ended = (x.abs() > TRACK) | (angle.abs() > TILT)
    return torch.stack([x, velocity, angle, spin], -1), torch.ones_like(x), ended


CARTPOLE = Environment(
    name="CartPole-v1",
    observations=4,
    actions=2,
    bounds=None,
    draws=4,
    limit=500,
    best=500.0,
    random=22.2,
    start=start,
    look=look,
    move=move,
)
