"""What a launch shows while it runs: one live display on a terminal, plain lines otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from study.report.amounts import amount
from study.report.durations import clock
from study.report.terminal.words import tell
from tracking import DIVERGED, EVIDENCE, CellRecord

EVERY = 5.0
"""Seconds between two plain lines."""


class Showing(Protocol):
    """What shows stored cells, as far as training knows it: a `tracking.Mirror`, or nothing."""

    trouble: str | None

    @property
    def waiting(self) -> int: ...

    def add(self, keys: Iterable[str]) -> None: ...


class Display:
    """What is being done; in training cells done, diverged and pending, cells/s and time left.

    Args:
        stored: outcomes of the cells that are stored already, by key.
    """

    def __init__(self, console: Console, stored: Mapping[str, str], mirror: Showing) -> None:
        self._console, self._mirror = console, mirror
        self.total = self.done = sum(outcome in EVIDENCE for outcome in stored.values())
        self.diverged = sum(outcome == DIVERGED for outcome in stored.values())
        self.trained = 0
        self._doing = self._said = ""
        self._started: float | None = None
        self._printed = 0.0
        self._why = ""
        self._stopping = False
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(30),
            # What a tracker answered is a part of it, and may hold brackets.
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=max(self.done, 1), completed=self.done)

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, what: str) -> None:
        """Say what is being done from now on; where that was said last, nothing."""
        if what == self._said:
            return
        self._doing = self._said = what
        tell(self._console, what)
        self._bar.update(self._task, description=self._news())

    def expect(self, cells: int) -> None:
        """Know how many cells are to be trained: all of a grid, or one round of an edge-seeking design."""
        self.total = self.done + cells
        self._bar.update(self._task, total=max(self.total, 1))

    def train(self, cells: int, tiles: int) -> None:
        """Begin to train these cells. Time is measured from here, without what went before."""
        self.expect(cells)
        cell = "cell" if self._started is None else "more cell"
        self.begin(f"training {amount(cells, cell)} in {amount(tiles, 'tile')}")
        self._doing = self._said = ""
        self._started = self._started or time.monotonic()
        self._bar.update(self._task, description=self.line())

    def add(self, records: list[CellRecord]) -> None:
        """Count a finished tile."""
        self.done += len(records)
        self.trained += len(records)
        self.diverged += sum(record.diverged for record in records)
        self.refresh(force=self.done == self.total)

    def found(self, records: list[CellRecord]) -> None:
        """Count cells that another study of the home trained meanwhile."""
        self.done += len(records)
        self.diverged += sum(record.diverged for record in records)
        self.refresh()

    def waits(self, why: str) -> None:
        """Say once why nothing is trained."""
        if why != self._why:
            self._why = why
            tell(self._console, why)
        self.refresh()

    def stop(self, what: str) -> None:
        """Say once that the launch was interrupted, and what becomes of what it was doing."""
        if not self._stopping:
            self._stopping = True
            self.begin(what)

    def refresh(self, *, force: bool = False) -> None:
        """Bring the display up to date. Without a terminal, print a line every few seconds."""
        self._bar.update(self._task, completed=self.done, description=self._news())
        now = time.monotonic()
        if not self._console.is_terminal and (force or now - self._printed >= EVERY):
            self._printed = now
            tell(self._console, self._news())

    def writing(self) -> None:
        """Bring the display up to date while MLflow gets what it lacks. Training has ended."""
        # Until then it is no news that the runs of the last tile are on their way.
        waiting = self._mirror.waiting
        if self._doing:
            self._doing = f"{amount(waiting, 'run')} left to write to MLflow"
            self.refresh()
        elif waiting:
            self._printed = time.monotonic()
            self.begin(f"writing {amount(waiting, 'run')} to MLflow")

    def line(self) -> str:
        """The display in words: what is being done, or in training how far it is."""
        return f"{self._doing}{self._trouble()}" if self._doing else self._counts()

    def _news(self) -> str:
        """The same, but for what stands in the line above already."""
        return self._counts() if self._doing == self._said else self.line()

    def _counts(self) -> str:
        elapsed = time.monotonic() - self._started if self._started else 0.0
        rate = self.trained / elapsed if elapsed > 0 else 0.0
        pending = self.total - self.done
        speed = f", {rate:.1f} cells/s" if rate else ""
        left = f", {clock(pending / rate)} left" if pending and rate else ""
        return (
            f"{self.done}/{self.total} cells done, {self.diverged} diverged, {pending} pending{speed}{left}"
            f"{self._trouble()}"
        )

    def _trouble(self) -> str:
        # It changes in the mirror's thread, so it is read once.
        trouble = self._mirror.trouble
        return f"; MLflow is unreachable, training goes on ({trouble})" if trouble else ""
