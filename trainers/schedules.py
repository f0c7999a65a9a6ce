"""Learning-rate schedules: factors in [0, 1] that multiply every cell's lr."""

from __future__ import annotations

import math
from collections.abc import Callable

from trainers.naming import look_up


def constant(step: int, steps: int) -> float:
    """1 at every step."""
    return 1.0


def cosine(step: int, steps: int) -> float:
    """(1 + cos(π · step / steps)) / 2: from 1 down to nearly 0. Reference: Loshchilov, Hutter, "SGDR", 2017, eq. 5, one period."""
    return 0.5 * (1.0 + math.cos(math.pi * step / steps))


def linear(step: int, steps: int) -> float:
    """1 - step / steps."""
    return 1.0 - step / steps


SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "constant": constant,
    "cosine": cosine,
    "linear": linear,
}


def lr_factor(schedule: str, step: int, steps: int, warmup: int = 0) -> float:
    """Factor of a step in [0, steps): linear warm-up to 1 over `warmup` steps, then the schedule over the rest.

    Raises:
        ValueError: unknown schedule.
    """
    rule = look_up("schedule", schedule, SCHEDULES)
    if step < warmup:
        return (step + 1) / warmup
    return rule(step - warmup, max(steps - warmup, 1))
