"""Workers that train tiles: the contract of a pool, and the pool that is this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from study.plan.job import Job
from study.plan.widths import this_process
from study.run.containment import contained
from study.run.tile import Checkpoints, default_device, measure_width, run_job
from study.run.tile_log import TileLogs
from tracking import CellRecord

Done = Callable[[list[CellRecord]], None]
"""Called with the records of each tile as it ends, in the process of the launch."""


@dataclass(frozen=True)
class Failure:
    """A tile that could not be trained, and why.

    Attributes:
        out_of_memory: the machine had no memory left for it.
        printed: the end of what it printed; empty where it printed nothing.
    """

    job: Job
    reason: str
    out_of_memory: bool = False
    printed: str = ""

    @property
    def words(self) -> str:
        """The reason and what was printed, for people."""
        return "\n".join(part for part in (self.reason, self.printed) if part)

    @classmethod
    def of(cls, job: Job, error: BaseException) -> Failure:
        """The failure that an exception was."""
        reason = cause(error)
        # The only place that looks at the words of a reason. They are Ray's and torch's own. A worker that
        # the system ended for lack of memory leaves no exception of a type that would say so, just text.
        words = ("OutOfMemory", "low on memory", "out of memory")
        return cls(job, reason, any(one in reason for one in words))


ANY = ""
"""The accelerator of workers that are all alike."""


class Pool(Protocol):
    """Workers that train tiles."""

    @property
    def workers(self) -> Mapping[str, str]:
        """The name of each kind of worker, by its accelerator; widths are remembered for names."""

    def width(self, job: Job, accelerator: str) -> int:
        """Measure how many cells like these a worker of that kind best trains together."""

    def train(self, jobs: Sequence[Job], done: Done) -> list[Failure]:
        """Train tiles, call `done` with each in this process, and return what could not be trained."""


class LocalPool:
    """This process, one tile after another."""

    def __init__(self, checkpoints: Checkpoints, logs: TileLogs) -> None:
        self._checkpoints, self._logs = checkpoints, logs

    @property
    def workers(self) -> Mapping[str, str]:
        return {ANY: this_process(default_device())}

    def width(self, job: Job, accelerator: str) -> int:
        with self._logs.of(job.tile), contained():
            return measure_width(job)

    def train(self, jobs: Sequence[Job], done: Done) -> list[Failure]:
        failures = []
        for job in jobs:
            try:
                with self._logs.of(job.tile), contained():
                    found = run_job(job, checkpoints=self._checkpoints)
            except Exception as error:
                # As on a worker: a tile that cannot be trained must not end the others.
                failures.append(Failure.of(job, error))
            else:
                done(found)
        return failures


@contextmanager
def in_this_process(checkpoints: Checkpoints, logs: TileLogs) -> Iterator[Pool]:
    """A pool that is this process."""
    yield LocalPool(checkpoints, logs)


def cause(error: BaseException) -> str:
    """The last line of an error's text, which in Ray's errors names the cause."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1].strip()[:300]}" if lines else type(error).__name__
