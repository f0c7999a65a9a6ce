"""What several tests of trainers need: comparisons of curves, and a checkpoint whose process dies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from trainers import Checkpoint, Curves, Transform, make_transform
from trainers.progress import Progress

RELATIVE = 1e-9
"""Float64 rounding, amplified by 40 steps. A wrong epsilon shows as 1e-6, a float32 counter as 1e-3."""


ACTIVE: dict[str, dict[str, Any]] = {
    "clip_norm": {"max_norm": 0.1},
    "clip_value": {"max_value": 0.05},
    "zclip": {"warmup_steps": 2},
    "adagc": {"warmup_steps": 2},
    "stable_spam": {"reset_interval": 3},
    "spam": {"reset_interval": 3, "warmup_steps": 2, "settle_steps": 1},
}
"""Constants with which eight steps reach all that a transform does."""


def transform_of(name: str) -> Transform:
    """A transform that is active within a few steps."""
    return make_transform(name, **ACTIVE.get(name, {}))


def assert_twins(fused: Curves, serial: Curves) -> None:
    """Losses agree to rounding; accuracies and how cells ended agree exactly."""
    assert fused.step_K == serial.step_K
    assert fused.outcome_C == serial.outcome_C
    assert fused.reason_C == serial.reason_C
    assert fused.diverged_step_C == serial.diverged_step_C
    assert fused.loss_initial == pytest.approx(serial.loss_initial, rel=RELATIVE)
    for name in ("loss_KC", "loss_final_C"):
        found, wanted = getattr(fused, name), getattr(serial, name)
        torch.testing.assert_close(found, wanted, rtol=RELATIVE, atol=0, equal_nan=True)
    torch.testing.assert_close(fused.metric_KC, serial.metric_KC, rtol=0, atol=0, equal_nan=True)


def same(a: Curves, b: Curves) -> bool:
    """Equal to the last bit, missing numbers included, except for the time taken."""
    tensors = ("loss_KC", "metric_KC", "loss_final_C", "metric_best_C")
    plain = ("outcome_C", "reason_C", "diverged_step_C", "loss_initial")
    if not all(same_bits(getattr(a, name), getattr(b, name)) for name in tensors):
        return False
    if a.dynamics is None or b.dynamics is None:
        seen = a.dynamics is b.dynamics
    else:
        seen = same_bits(a.dynamics.grad_std_JC, b.dynamics.grad_std_JC)
    return seen and all(getattr(a, name) == getattr(b, name) for name in plain)


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal entries, NaN being equal to NaN."""
    return torch.equal(a.nan_to_num(-1.0), b.nan_to_num(-1.0))


class Dying(Checkpoint):
    """Kept at every step; after some steps the process is gone."""

    due = True

    def __init__(self, path: Path, last: int) -> None:
        super().__init__(path, every=0.0)
        self.last = last

    def save(self, identity: str, progress: Progress) -> None:
        super().save(identity, progress)
        if progress.step == self.last:
            raise KeyboardInterrupt

    def part(self, number: int) -> Checkpoint:
        """Only second parts die."""
        path = super().part(number).path
        return Dying(path, self.last) if number else Checkpoint(path)
