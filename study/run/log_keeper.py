"""The process that keeps the limits of logs when their tiles have ended: its start and its messages."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
from array import array
from contextlib import ExitStack, suppress

from study.run import log_limit

_keeper: tuple[int, socket.socket] | None = None
"""The process that started a keeper, which may have been forked since, and the way to the keeper."""


def begin(log: int) -> None:
    """Have the limit of a log kept if this process dies; while it lives, it keeps it itself."""
    _tell(b"begin", log)


def end(log: int) -> None:
    """Have the limit of a log kept from now on, for as long as anybody can write to it."""
    _tell(b"end", log)


def _tell(word: bytes, log: int) -> None:
    global _keeper
    if not hasattr(os, "pidfd_open"):  # not Linux
        return
    # If the keeper was killed, the second attempt starts another.
    for _ in range(2):
        try:
            if _keeper is None or _keeper[0] != os.getpid():
                _forget()
                _keeper = os.getpid(), _started()
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [log]))]
            _keeper[1].sendmsg([word], rights, socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
            return
        except BlockingIOError:
            # It is too busy to read. The message of the next tile says, too, that this one has ended.
            return
        except (OSError, subprocess.SubprocessError):
            _forget()


def _forget() -> None:
    global _keeper
    if _keeper is not None:
        with suppress(OSError):
            _keeper[1].close()
    _keeper = None


atexit.register(_forget)


def _started() -> socket.socket:
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its, ExitStack() as started:
        started.callback(ours.close)
        # In a session of its own, so that Ctrl-C at a terminal does not end it.
        subprocess.run(
            [sys.executable, "-I", "-S", log_limit.__file__, str(its.fileno()), str(os.getpid())],
            cwd="/",
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            timeout=60,
            check=True,
        )
        started.pop_all()
    return ours
