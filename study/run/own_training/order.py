"""What a process is asked to train, and how that ended: what goes to a cell server and comes back."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from study.spec.method_choice import Choice
from trainers.budget import Budget

REPORTS, FOLDER = "STABILITY_STUDY_REPORTS", "STABILITY_STUDY_DIRECTORY"
"""Environment variables of a command: the file for its reports, and the cell's own folder."""


@dataclass(frozen=True)
class Order:
    """One cell to be trained in a process of its own.

    Attributes:
        workload: the function or command.
        threads: that torch may use in it.
        directory: the cell's own folder, which holds the files below, too.
        limit: how long it may take [s].
        command: the words of a command, filled in; empty for a function.
        folder: where a command runs.
        environment: what a command finds in its environment beside what is there.
    """

    workload: Choice
    transform: Choice
    model: str
    optimizer: str
    lr: float
    weight_decay: float
    seed: int
    budget: Budget
    metric: str
    device: str
    threads: int
    directory: Path
    limit: float
    command: tuple[str, ...] = ()
    folder: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def reports(self) -> Path:
        return self.directory / "reports.jsonl"

    @property
    def scratch(self) -> Path:
        """The folder that the training may write to."""
        return self.directory / "scratch"


@dataclass(frozen=True)
class Probe:
    """A function to be looked at: whether it can be imported and called with a cell."""

    workload: Choice
    limit: float


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        status: its exit status; below 0 the signal that ended it.
        late: it was ended because its time was up.
        seconds: that it ran [s].
        problem: why it was not started; empty where it was.
    """

    status: int = 0
    late: bool = False
    seconds: float = 0.0
    problem: str = ""

    @property
    def words(self) -> str:
        """The end in words; empty where it is as it should be."""
        if self.status < 0:
            name = signal.Signals(-self.status).name if -self.status in set(signal.Signals) else "a signal"
            memory = ", most often for lack of memory" if -self.status == signal.SIGKILL else ""
            return f"was ended by {name}{memory}"
        return f"ended with exit status {self.status}" if self.status else ""
