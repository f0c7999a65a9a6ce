"""How long, on which batches and in which precision every cell of a study is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainers.naming import check_range, look_up
from trainers.schedules import check_schedule, constants_of, lr_factor

if TYPE_CHECKING:
    import torch

PRECISIONS: dict[str, str] = {"float32": "float32", "float64": "float64"}
"""Names of precisions, and of the torch type that parameters have in them."""


@dataclass(frozen=True)
class Budget:
    """Equal for every cell of a study.

    Args:
        steps: optimizer steps, >= 1.
        batch_size: examples per step, >= 1.
        schedule: a name of `SCHEDULES`; its factor multiplies every cell's lr.
        warmup: steps of linear warm-up before the schedule, < steps.
        floor: where `cosine` and `linear` end, a fraction of lr in [0, 1]; if not given, the rule's own.
        decay_every: after how many steps `step` decays, counted from the end of the warm-up, >= 1 [steps].
        decay_factor: what `step` then multiplies lr by, in (0, 1]; if not given, the rule's own.
        points: how many times the cell is evaluated, evenly spaced, beside the untrained network.
        explosion_factor: a cell whose mean loss over the last tenth exceeds this times the initial loss has diverged, > 0.
        precision: a name of `PRECISIONS`.

    Raises:
        ValueError: a value is out of range, or is not a constant of the schedule, or the schedule lacks one.
    """

    steps: int
    batch_size: int
    schedule: str = "constant"
    warmup: int = 0
    points: int = 10
    explosion_factor: float = 1.0
    precision: str = "float32"
    floor: float | None = None
    decay_every: int | None = None
    decay_factor: float | None = None

    def __post_init__(self) -> None:
        check_range("budget", 1, steps=self.steps, batch_size=self.batch_size, points=self.points)
        check_range("budget", 0, self.steps, open_high=True, warmup=self.warmup)
        check_range("budget", 0.0, open_low=True, explosion_factor=self.explosion_factor)
        check_schedule(self.schedule, self.schedule_constants)
        for key, parameter in constants_of(self.schedule).items():
            if getattr(self, key) is None:  # written out, so that equal budgets are equal and a key of a cell holds the number itself
                object.__setattr__(self, key, parameter.default)
        look_up("precision", self.precision, PRECISIONS)

    @property
    def dtype(self) -> torch.dtype:
        """The type of parameters. (torch is imported here, so that a budget can be checked without waiting for it.)"""
        import torch

        return getattr(torch, PRECISIONS[self.precision])  # type: ignore[no-any-return]  # the table names dtypes

    @property
    def tail(self) -> int:
        """Number of steps in the last tenth of training, at least one [steps]."""
        return max(1, self.steps // 10)

    @property
    def recorded_steps(self) -> tuple[int, ...]:
        """After how many steps the cell is evaluated: 0, then `points` evenly spaced ones, the last being `steps`."""
        count = min(self.points, self.steps)
        return (0, *(round(k * self.steps / count) for k in range(1, count + 1)))

    @property
    def schedule_constants(self) -> dict[str, float]:
        """The constants of the schedule."""
        given = {"floor": self.floor, "decay_every": self.decay_every, "decay_factor": self.decay_factor}
        return {key: value for key, value in given.items() if value is not None}

    def lr_factor(self, step: int) -> float:
        """What every cell's lr is multiplied by in a step of [0, steps)."""
        return lr_factor(self.schedule, step, self.steps, self.warmup, **self.schedule_constants)
