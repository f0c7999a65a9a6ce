"""How long, on which batches and in which precision every cell of a study is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainers.naming import check_range, look_up, short
from trainers.quantization import QUANTIZATIONS
from trainers.schedules import check_schedule, constants_of, lr_factor

if TYPE_CHECKING:
    import torch

PRECISIONS: dict[str, tuple[str, str]] = {
    "float32": ("float32", "float32"),
    "float64": ("float64", "float64"),
    "bfloat16": ("float32", "bfloat16"),
    "float16": ("float32", "float16"),
}
"""Names of precisions, and of the torch types of parameters and of the arithmetic of the network in them."""
CORRUPTED = ("training", "everything")
"""Which inputs corruption reaches: those of training, or those of evaluation too."""


@dataclass(frozen=True)
class Budget:
    """Equal for every cell of a setting.

    Args:
        steps: optimizer steps, >= 1.
        batch_size: examples per step, >= 1.
        schedule: a name of `SCHEDULES`; its factor multiplies every cell's lr.
        warmup: steps of linear warm-up before the schedule, < steps.
        floor: where `cosine` and `linear` end, a fraction of lr in [0, 1]; if not given, the rule's own.
        decay_every: after how many steps `step` decays, counted from the end of the warm-up, >= 1 [steps].
        decay_factor: what `step` then multiplies lr by, in (0, 1]; if not given, the rule's own.
        points: how many times the cell is evaluated, evenly spaced, beside the untrained network.
        explosion_factor: a cell whose mean loss over the last tenth exceeds this times the initial loss has
            diverged, > 0.
        precision: a name of `PRECISIONS`; `float16` scales each cell's loss dynamically.
        accumulation: micro-batches that a batch is split into; the transform sees the accumulated gradient
            once, >= 1.
        loss_scale: c, by which the loss is multiplied before gradients are taken; recorded losses are not, >
            0.
        spike_size: what the accumulated gradient is multiplied by at a spike, > 0.
        spike_probability: of a spike at each step, drawn per seed, in [0, 1].
        spike_steps: steps (counted from 1) that have a spike in any case.
        dynamics: record gradient statistics at every so many steps; 0 records none.
        corruption: level of the noise on inputs, relative to the largest of a batch, >= 0; 0 is none.
        corruption_probability: that an entry of an input has that noise, drawn per seed, in [0, 1].
        corruption_of: a name of `CORRUPTED`.
        quantization: a name of `QUANTIZATIONS`: how linear layers round weights and inputs.

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
    accumulation: int = 1
    loss_scale: float = 1.0
    spike_size: float = 1.0
    spike_probability: float = 0.0
    spike_steps: tuple[int, ...] = ()
    dynamics: int = 0
    corruption: float = 0.0
    corruption_probability: float = 0.05
    corruption_of: str = "training"
    quantization: str = "none"

    def __post_init__(self) -> None:
        check_range("budget", 1, steps=self.steps, batch_size=self.batch_size, points=self.points)
        check_range("budget", 0, self.steps, open_high=True, warmup=self.warmup)
        check_range(
            "budget", 0.0, math.inf, open_low=True, open_high=True, explosion_factor=self.explosion_factor
        )
        check_schedule(self.schedule, self.schedule_constants)
        for key, parameter in constants_of(self.schedule).items():
            # Written out, so that equal budgets are equal, and the key of a cell holds the number itself.
            if getattr(self, key) is None:
                object.__setattr__(self, key, parameter.default)
        look_up("precision", self.precision, PRECISIONS)
        look_up("quantization", self.quantization, QUANTIZATIONS)
        check_range("budget", 1, self.batch_size, accumulation=self.accumulation)
        if self.batch_size % self.accumulation:
            raise ValueError(
                f"budget: accumulation is {self.accumulation}; "
                f"wanted a divisor of batch_size, which is {self.batch_size}"
            )
        check_range(
            "budget",
            0.0,
            math.inf,
            open_low=True,
            open_high=True,
            loss_scale=self.loss_scale,
            spike_size=self.spike_size,
        )
        check_range("budget", 0.0, 1.0, spike_probability=self.spike_probability)
        check_range("budget", 0, dynamics=self.dynamics)
        check_range("budget", 0.0, math.inf, open_high=True, corruption=self.corruption)
        check_range("budget", 0.0, 1.0, corruption_probability=self.corruption_probability)
        if self.corruption_of not in CORRUPTED:
            raise ValueError(
                f"budget: corruption_of is {short(self.corruption_of)}; wanted {' or '.join(CORRUPTED)}"
            )
        for step in self.spike_steps:
            check_range("budget", 1, self.steps, spike_steps=step)

    @property
    def dtype(self) -> torch.dtype:
        """The type of parameters."""
        import torch  # here, so that a budget can be checked without waiting a second for it

        found: torch.dtype = getattr(torch, PRECISIONS[self.precision][0])
        return found

    @property
    def arithmetic(self) -> torch.dtype:
        """The type in which the network computes."""
        import torch

        found: torch.dtype = getattr(torch, PRECISIONS[self.precision][1])
        return found

    @property
    def tail(self) -> int:
        """Number of steps in the last tenth of training, at least one [steps]."""
        return max(1, self.steps // 10)

    @property
    def recorded_steps(self) -> tuple[int, ...]:
        """After how many steps the cell is evaluated: 0, then `points` evenly spaced ones up to `steps`."""
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
