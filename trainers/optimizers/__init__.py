"""Optimizers: one file per rule, one row per name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from trainers.naming import check_keywords, look_up
from trainers.optimizers.adam import adam
from trainers.optimizers.adam_mini import adam_mini
from trainers.optimizers.adamw import adamw
from trainers.optimizers.base import Optimizer
from trainers.optimizers.lion import lion
from trainers.optimizers.muon import muon
from trainers.optimizers.prodigy import prodigy
from trainers.optimizers.rmsprop import rmsprop
from trainers.optimizers.schedule_free_adamw import schedule_free_adamw
from trainers.optimizers.sgd import sgd

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": sgd,
    "adam": adam,
    "adamw": adamw,
    "rmsprop": rmsprop,
    "lion": lion,
    "muon": muon,
    "schedule_free_adamw": schedule_free_adamw,
    "prodigy": prodigy,
    "adam_mini": adam_mini,
}


def make_optimizer(name: str, **constants: Any) -> Optimizer:
    """The optimizer of that name.

    Raises:
        ValueError: unknown name, or a constant out of range. TypeError: unknown constant.
    """
    factory = look_up("optimizer", name, OPTIMIZERS)
    check_keywords(f"optimizer {name!r}", constants, inspect.signature(factory))
    return factory(**constants)


__all__ = ["OPTIMIZERS", "Optimizer", "make_optimizer"]
