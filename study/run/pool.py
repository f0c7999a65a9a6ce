"""Workers that train tiles: the contract of a pool, and the pool that is this process."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from study.plan.job import Job
from study.run.tile import Kept, default_device, measure_width, run_job
from tracking import CellRecord

Done = Callable[[list[CellRecord]], None]
"""Told of the records of each tile as it ends, in this process."""


@dataclass(frozen=True)
class Failure:
    """A tile that could not be trained, and why.

    Attributes:
        out_of_memory: the machine had no memory left for it.
    """

    job: Job
    reason: str
    out_of_memory: bool = False

    @classmethod
    def of(cls, job: Job, error: BaseException) -> Failure:
        """The failure that an exception was."""
        reason = cause(error)
        # The only place where a reason's words are looked at. They are Ray's and torch's own: a worker that the
        # system ended for want of memory leaves no exception of a type that would say so, just a text in Tune's file.
        words = ("OutOfMemory", "low on memory", "out of memory")
        return cls(job, reason, any(one in reason for one in words))


class Pool(Protocol):
    """Workers of one kind. `train` calls `done` in this process, tile by tile, and returns what could not be trained."""

    @property
    def name(self) -> str:
        """What a measured width is remembered for: the machine and its device."""

    def width(self, job: Job) -> int: ...
    def train(self, jobs: Sequence[Job], done: Done) -> list[Failure]: ...


class LocalPool:
    """This process, one tile after another."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    @property
    def name(self) -> str:
        return f"{platform.node()}, this process, {default_device()}"

    def width(self, job: Job) -> int:
        """How many cells like these this process best trains together."""
        return measure_width(job)

    def train(self, jobs: Sequence[Job], done: Done) -> list[Failure]:
        failures = []
        for job in jobs:
            try:
                found = run_job(job, kept=self._kept)
            except (
                Exception
            ) as error:  # as on a worker: one tile that cannot be trained must not end the others
                failures.append(Failure.of(job, error))
            else:
                done(found)
        return failures


@contextmanager
def in_this_process(kept: Kept) -> Iterator[Pool]:
    """A pool that is this process."""
    yield LocalPool(kept)


def cause(error: BaseException) -> str:
    """The last line of an error's text, which in Ray's errors names the cause."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1].strip()[:300]}" if lines else type(error).__name__
