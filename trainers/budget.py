"""How long, on which batches and in which precision every cell of a study is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainers.naming import check_range, look_up
from trainers.schedules import SCHEDULES, lr_factor

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
        points: how many times the cell is evaluated, evenly spaced, beside the untrained network.
        explosion_factor: a cell whose mean loss over the last tenth exceeds this times the initial loss has diverged, > 0.
        precision: a name of `PRECISIONS`.

    Raises:
        ValueError: a value is out of range.
    """

    steps: int
    batch_size: int
    schedule: str = "constant"
    warmup: int = 0
    points: int = 10
    explosion_factor: float = 1.0
    precision: str = "float32"

    def __post_init__(self) -> None:
        check_range("budget", 1, steps=self.steps, batch_size=self.batch_size, points=self.points)
        check_range("budget", 0, self.steps, open_high=True, warmup=self.warmup)
        check_range("budget", 0.0, open_low=True, explosion_factor=self.explosion_factor)
        look_up("schedule", self.schedule, SCHEDULES)
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

    def lr_factor(self, step: int) -> float:
        """What every cell's lr is multiplied by in a step of [0, steps)."""
        return lr_factor(self.schedule, step, self.steps, self.warmup)
