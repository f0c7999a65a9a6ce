"""Optimizers: one file per rule, one row per name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from trainers.naming import check_keywords, look_up
from trainers.optimizers.adamw import adamw
from trainers.optimizers.base import Optimizer

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adamw": adamw,
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
