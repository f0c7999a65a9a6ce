"""The limit on a tile's log: it holds until no process that got the log in the tile can write to it.

A process that the study's own code started may outlive its tile, the worker and the launch. So each process
that trains has a keeper, which `log_keeper` starts. It waits until a tile ends, or until the process that
trains dies, and then cuts the log for as long as anybody can write to it. It ends nobody.

The keeper is this file as a program. It needs the standard library alone, and starts in a few hundredths of a
second.
"""

from __future__ import annotations

import os
import resource
import select
import socket
import stat
import sys
import time
from contextlib import suppress

MOST = 65_536
"""Bytes that are kept of a tile's output: its end. A study may have thousands of tiles."""
FLOOD = 16 * MOST
"""Bytes from which on a log is cut while processes write to it."""
CUT = b"(the beginning was cut)\n"
TRIES = 10
"""How often the end of a log is read again because others wrote to it meanwhile."""
LOOK_EVERY = 0.05
"""How often a log that grows slowly is looked at [s]."""
LOOK_SOONEST = 0.005
"""How often a log that grows fast is looked at [s].

A process that printed 0.8 GB a second, on two busy cores, brought its log to 93 MB at most.
"""
SEARCH_EVERY = 2.0
"""How often the processes that can write to a log are searched for [s]."""
SEARCHES = 2
"""How many searches in a row must find nobody."""
File = tuple[int, int]
"""Which file it is, whatever its name: device and inode."""


class Limit:
    """The limit of one log, which others write to meanwhile.

    Attributes:
        due: when to look at the log again, by `time.monotonic` [s]. The faster it grew the sooner.
        unwritten: searches in a row that found nobody who can write to it.
    """

    def __init__(self, log: int) -> None:
        self.log, self.file, self.unwritten = log, file_of(log), 0
        self._size, self._looked = 0, time.monotonic()
        self.due = self._looked

    def look(self) -> None:
        """If it is due, cut the log if it is long."""
        now = time.monotonic()
        if now < self.due:
            return
        self.due = now + LOOK_EVERY
        with suppress(OSError):
            # By the time that really passed: on a busy machine this may be called late.
            speed = (os.fstat(self.log).st_size - self._size) / max(now - self._looked, LOOK_SOONEST)
            cut(self.log, FLOOD)
            self._size, self._looked = os.fstat(self.log).st_size, time.monotonic()
            self.due = self._looked + min(max(FLOOD / max(speed, 1), LOOK_SOONEST), LOOK_EVERY)


def cut(log: int, most: int) -> None:
    """Keep the end of a log that is longer than `most` bytes."""
    # A line that is written in the instant of `ftruncate` may be lost. To stop the printing for it would
    # take a pipe, and code that fills a pipe while it holds Python's lock never ends.
    with suppress(OSError):
        read, size = 0, os.fstat(log).st_size
        if size <= most:
            return
        end = b""
        for _ in range(TRIES):
            # Of what came since, the end alone: a process may print a GB a second.
            end = (end + os.pread(log, MOST, max(read, size - MOST)))[len(CUT) - MOST :]
            _overwrite(log, CUT + end)
            read, size = size, os.fstat(log).st_size
            if size == read:
                break
        # In its place already: what others write while the rest is freed, which takes long, comes after it.
        os.ftruncate(log, len(CUT + end))


def _overwrite(log: int, text: bytes) -> None:
    # Where a descriptor appends, Linux appends whatever the position. One opened anew does not.
    with suppress(FileNotFoundError):
        anew = os.open(f"/proc/self/fd/{log}", os.O_WRONLY)
        try:
            os.pwrite(anew, text, 0)
        finally:
            os.close(anew)
        return
    os.pwrite(log, text, 0)


def file_of(log: int) -> File:
    """Which file a descriptor leads to."""
    status = os.fstat(log)
    return status.st_dev, status.st_ino


def processes() -> list[int]:
    """The other processes; none on a system without `/proc`."""
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    except OSError:
        return []


def written_by(process: int) -> set[File]:
    """The files that a process of this user's can write to."""
    found: set[File] = set()
    folder = f"/proc/{process}/fd"
    try:
        descriptors = os.listdir(folder)
    except OSError:
        return found
    for descriptor in descriptors:
        with suppress(OSError):
            place = f"{folder}/{descriptor}"
            # The link itself may be written to if the descriptor may.
            if os.lstat(place).st_mode & stat.S_IWUSR:
                status = os.stat(place)
                found.add((status.st_dev, status.st_ino))
    return found


def keep(trainer: socket.socket, alive: int) -> None:
    """Keep the limits of the logs of a process: each from the end of its tile until nobody can write to it.

    Args:
        trainer: it says which tiles begin and end.
        alive: a descriptor of the process, which can be read when it has ended.
    """
    begun: list[int] = []
    kept: list[Limit] = []
    goes_on, search = True, 0.0
    while goes_on or kept:
        pause = max(min(limit.due for limit in kept) - time.monotonic(), 0) if kept else None
        ready = select.select([trainer.fileno(), alive] if goes_on else [], [], [], pause)[0]
        ended: list[int] = []
        if trainer.fileno() in ready:
            word, logs, _, _ = socket.recv_fds(trainer, 16, 1)
            goes_on = bool(word)
            if word == b"end":
                # It was begun, too, unless with another keeper.
                ended, logs = logs, []
                for log in begun:
                    os.close(log)
            else:
                ended = begun
            begun = logs
        elif ready:
            goes_on, ended = False, begun
        kept += [Limit(log) for log in ended]
        for limit in kept:
            limit.look()
        if kept and (ended or time.monotonic() > search):
            kept = _still_written(kept)
            unsure = any(limit.unwritten for limit in kept)
            search = time.monotonic() + (LOOK_EVERY if unsure else SEARCH_EVERY)


def _still_written(kept: list[Limit]) -> list[Limit]:
    written: set[File] = set()
    for process in processes():
        written |= written_by(process)
        # There may be thousands of processes, and the logs grow meanwhile.
        for limit in kept:
            limit.look()
    for limit in kept:
        limit.unwritten = 0 if limit.file in written else limit.unwritten + 1
        # One search may miss a process that forks, or moves the descriptor to another number, just then.
        if limit.unwritten == SEARCHES:
            cut(limit.log, MOST)
            os.close(limit.log)
    return [limit for limit in kept if limit.unwritten < SEARCHES]


if __name__ == "__main__":
    process = os.pidfd_open(int(sys.argv[2]))
    # Logs that are kept are as many as tiles that left a process behind.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # Nobody's child: Ray ends the children of a worker with it, and nobody has to wait for this one.
    if os.fork() == 0:
        keep(socket.socket(fileno=int(sys.argv[1])), process)
