"""A process with all that it starts: watched until it ends or its time is up, and then ended as a whole."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path

from study.run.own_training.order import Ended

GRACE = 2.0
"""Between SIGTERM and SIGKILL [s]."""
LOOK_EVERY = 0.02
"""How often a process is looked at where the system cannot report its end [s]."""
SET_DEATH_SIGNAL, SET_SUBREAPER = 1, 36


def adopt_orphans() -> None:
    """Become the parent of every process below whose own parent has ended (Linux)."""
    _control(SET_SUBREAPER, 1)


def begin_group() -> None:
    """In a new process: lead a session and group of its own, which ends with the process that started it."""
    os.setsid()
    _control(SET_DEATH_SIGNAL, signal.SIGKILL)
    with suppress(OSError):
        # Where memory ends, this one is to go and not the worker or the launch.
        Path("/proc/self/oom_score_adj").write_text("1000")


def _control(what: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(what, value, 0, 0, 0)


def watched(process: int, limit: float, gone: int) -> Ended:
    """Wait for a process that leads a group, and end the group.

    Args:
        limit: how long it may run [s].
        gone: a descriptor that can be read when whoever asked for it is gone.
    """
    started = time.monotonic()
    late = not _wait(process, limit, gone)
    if late:
        _signal(process, signal.SIGTERM)
        # Its children are told, too, and have the same time to end.
        _wait(process, GRACE, gone)
    # The process is not reaped yet, so its number is still its own and that of its group.
    _signal(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    end_orphans()
    return Ended(os.waitstatus_to_exitcode(status), late, time.monotonic() - started)


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _wait(process: int, limit: float, gone: int) -> bool:
    """Whether a process ended in time."""
    until = time.monotonic() + limit
    descriptor = _descriptor(process)
    try:
        while not _has_ended(process):
            left = until - time.monotonic()
            watching = [gone, *([descriptor] if descriptor is not None else [])]
            ready, _, _ = select.select(
                watching, [], [], max(min(left, LOOK_EVERY if descriptor is None else left), 0)
            )
            # Nobody waits for it any more, so there is nothing to wait for.
            if gone in ready or left <= 0:
                return _has_ended(process)
        return True
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _descriptor(process: int) -> int | None:
    try:
        return os.pidfd_open(process)
    except (OSError, AttributeError):
        return None


def _has_ended(process: int) -> bool:
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def end_orphans() -> None:
    """End every child of this process: what a cell left behind, in whatever group."""
    for _ in range(100):
        found = children()
        if not found:
            return
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(process, 0)


def children() -> list[int]:
    """The children of this process; none on a system without `/proc`."""
    try:
        return [int(one) for one in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []
