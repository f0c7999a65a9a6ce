"""Learning-rate schedules: factors in [0, 1] that multiply every cell's lr.

There is one function per rule, and one row per name.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from trainers.naming import check_range, look_up, nearest


def constant(step: int, steps: int) -> float:
    """1 at every step."""
    return 1.0


def cosine(step: int, steps: int, floor: float = 0.0) -> float:
    """floor + (1 - floor) · (1 + cos(π · step / steps)) / 2: from 1 down to nearly `floor`.

    Reference: Loshchilov, Hutter, "SGDR", 2017, eq. 5, one period;
        `torch.optim.lr_scheduler.CosineAnnealingLR` with T_max = steps.
    Differs from the reference: there is no restart, and `floor` is a fraction of lr.
    """
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * step / steps))


def linear(step: int, steps: int, floor: float = 0.0) -> float:
    """1 - (1 - floor) · step / steps: from 1 down to nearly `floor`.

    Reference: `torch.optim.lr_scheduler.LinearLR` with start_factor 1, end_factor `floor` and total_iters =
        steps.
    Differs from the reference: nothing.
    """
    return 1.0 - (1.0 - floor) * step / steps


def staircase(step: int, steps: int, decay_every: int, decay_factor: float = 0.75) -> float:
    """decay_factor ** (step // decay_every): times `decay_factor` after every `decay_every` steps.

    The recipe "times 0.75 every 30 epochs" is `decay_every` = 30 x the steps of an epoch, which is
    training examples // batch size.

    Reference: `torch.optim.lr_scheduler.StepLR`.
    Differs from the reference: it counts calls, which are epochs as a rule; this counts optimizer steps.
    """
    return float(decay_factor) ** (step // decay_every)


SCHEDULES: dict[str, Callable[..., float]] = {
    "constant": constant,
    "cosine": cosine,
    "linear": linear,
    "step": staircase,
}


@cache
def constants_of(schedule: str) -> Mapping[str, inspect.Parameter]:
    """The constants of a schedule: what its rule takes besides step and steps.

    Raises:
        ValueError: unknown schedule.
    """
    return dict(list(inspect.signature(look_up("schedule", schedule, SCHEDULES)).parameters.items())[2:])


def check_schedule(schedule: str, constants: Mapping[str, Any]) -> None:
    """Refuse constants that a schedule does not have, or that are absent or out of range.

    Raises:
        ValueError: the message names the constants that exist.
    """
    known = constants_of(schedule)
    for key in constants:
        if key not in known:
            has = f"its constants: {', '.join(known)}" if known else "it has none"
            raise ValueError(
                f"schedule {schedule!r} has no constant {key!r}; {has}{nearest(key, known)}; "
                f"leave {key} out or choose another schedule"
            )
    for key, parameter in known.items():
        if key not in constants and parameter.default is parameter.empty:
            raise ValueError(
                f"schedule {schedule!r} needs {key}, and it is not given; its constants: {', '.join(known)}"
            )
    owner = f"schedule {schedule!r}"
    if "floor" in constants:
        check_range(owner, 0.0, 1.0, floor=constants["floor"])
    if "decay_factor" in constants:
        check_range(owner, 0.0, 1.0, open_low=True, decay_factor=constants["decay_factor"])
    if "decay_every" in constants:
        check_range(owner, 1, decay_every=constants["decay_every"])


def lr_factor(schedule: str, step: int, steps: int, warmup: int = 0, **constants: float) -> float:
    """Factor of a step in [0, steps): linear warm-up over `warmup` steps, then the schedule over the rest.

    Raises:
        ValueError: unknown schedule.
    """
    rule = look_up("schedule", schedule, SCHEDULES)
    if step < warmup:
        return (step + 1) / warmup
    return rule(step - warmup, max(steps - warmup, 1), **constants)
