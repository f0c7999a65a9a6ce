"""Environments: one file and one row each; the row's name is that of its workload."""

from __future__ import annotations

from trainers.control.environments.acrobot import ACROBOT
from trainers.control.environments.base import Environment, Transition
from trainers.control.environments.cartpole import CARTPOLE
from trainers.control.environments.mountain_car import MOUNTAIN_CAR
from trainers.control.environments.pendulum import PENDULUM

ENVIRONMENTS: dict[str, Environment] = {
    "cartpole": CARTPOLE,
    "pendulum": PENDULUM,
    "acrobot": ACROBOT,
    "mountain_car": MOUNTAIN_CAR,
}

__all__ = ["ENVIRONMENTS", "Environment", "Transition"]
