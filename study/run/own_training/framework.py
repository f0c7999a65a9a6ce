"""What callbacks for frameworks need of a cell, and what a framework does to gradients by itself."""

from __future__ import annotations

from typing import Any, Protocol

from study.measures.clipping import CLIPPING
from study.run.own_training.reports import Reports

FRAMEWORK = "framework"
"""Fact of a cell: the framework's name and version."""


class FollowedCell(Protocol):
    """A cell that a callback follows; `TrainingCell` is one. (Not that class, which makes the callbacks.)"""

    @property
    def reports(self) -> Reports:
        """Where its reports go, with the name of the score."""

    def attach(self, optimizer: Any) -> Any:
        """Put its transform in front of an optimizer."""

    def report(self, *, step: int | None = None, loss: Any = None, metric: Any = None) -> None:
        """Say how training goes."""

    def note(self, **facts: str | float | bool) -> None:
        """Keep facts beside its numbers."""


def note_framework(cell: FollowedCell, framework: str, clipping: float | str | None) -> None:
    """Note which framework trains a cell, and the norm at which it clips all gradients together.

    One that clips at 1 makes `clip_norm(1)` of the baseline `none`, and transforms get clipped gradients.

    Args:
        framework: name and version.
        clipping: the largest norm that is left; None or 0 where it does not clip; words where it clips in
            another way.
    """
    facts: dict[str, str | float] = {
        FRAMEWORK: framework,
        CLIPPING: clipping if isinstance(clipping, str) else float(clipping or 0.0),
    }
    cell.note(**facts)
