"""What a launch shows while it runs: one live display on a terminal, plain lines otherwise."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from study.report.durations import clock
from tracking import DIVERGED, EVIDENCE, CellRecord, Mirror

EVERY = 5.0
"""Seconds between two plain lines."""


class Display:
    """Cells done, diverged and pending, cells/s and time left, and how many runs MLflow does not have yet.

    Args:
        stored: outcomes of the cells that are stored already, by key.
    """

    def __init__(self, console: Console, stored: Mapping[str, str], mirror: Mirror) -> None:
        self._console, self._mirror = console, mirror
        self.total = self.done = sum(outcome in EVIDENCE for outcome in stored.values())
        self.diverged = sum(outcome == DIVERGED for outcome in stored.values())
        self.trained = 0
        self._started = time.monotonic()
        self._printed = 0.0
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(30),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(self.line(), total=max(self.done, 1), completed=self.done)

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def expect(self, cells: int) -> None:
        """Count cells that are to be trained: all of a grid, or one round of an edge-seeking design."""
        self.total += cells
        self._bar.update(self._task, total=max(self.total, 1))

    def add(self, records: list[CellRecord]) -> None:
        """Count a finished tile."""
        self.done += len(records)
        self.trained += len(records)
        self.diverged += sum(record.diverged for record in records)
        self.refresh(force=self.done == self.total)

    def refresh(self, *, force: bool = False) -> None:
        """Bring the display up to date. Without a terminal, print a line every few seconds."""
        self._bar.update(self._task, completed=self.done, description=self.line())
        now = time.monotonic()
        if not self._console.is_terminal and (force or now - self._printed >= EVERY):
            self._printed = now
            self._console.print(self.line(), highlight=False, soft_wrap=True)

    def line(self) -> str:
        """The display in words."""
        elapsed = time.monotonic() - self._started
        rate = self.trained / elapsed if elapsed > 0 else 0.0
        pending = self.total - self.done
        left = f", {clock(pending / rate)} left" if pending and rate else ""
        return (
            f"{self.done}/{self.total} cells done, {self.diverged} diverged, {pending} pending, "
            f"{rate:.1f} cells/s{left}{self._tracker()}"
        )

    def _tracker(self) -> str:
        # Both change in the mirror's thread: each is read once.
        waiting, trouble = self._mirror.waiting, self._mirror.trouble
        if trouble:
            return f"; MLflow is unreachable, training goes on ({trouble})"
        return f"; {waiting} runs on their way to MLflow" if waiting else ""
