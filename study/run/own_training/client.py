"""The cell server of this process: started when it is first needed, and ended with it."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle

from study.run.own_training.order import Ended, Order, Probe

STARTING = 120.0
"""How long the server may take to begin, with torch to load on a busy machine [s]."""
ENDING = 30.0
"""How long it may take to end a process whose time is up, and to say so [s]."""
PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[2])
from study.run.own_training.server import main
main(int(sys.argv[1]))
"""
_server: tuple[int, subprocess.Popen[bytes], Connection] | None = None
"""The process that started it, which may have been forked since, the server, and the way to it."""


class ServerError(RuntimeError):
    """The server of cells ended. It trains nothing itself, so that the machine is to blame."""


def ask(order: Order | Probe) -> Ended:
    """Have a cell trained, or a function looked at, and wait for the end.

    What is printed goes to where standard error of this process leads now.

    Raises:
        ServerError: the server ended, or does not answer.
    """
    try:
        process, connection = _running()
        connection.send(order)
        send_handle(connection, 2, process.pid)
        # A function is first looked at, which has the same limit.
        if not connection.poll(2 * order.limit + STARTING + ENDING):
            raise ServerError("the process that starts cells does not answer")
        found = connection.recv()
    except (OSError, EOFError, ServerError) as error:
        end()
        raise ServerError(f"the process that starts cells ended ({error or type(error).__name__})") from error
    except BaseException:
        # Ctrl-C: a server that nobody listens to any more ends its cell.
        end()
        raise
    assert isinstance(found, Ended)
    return found


def _running() -> tuple[subprocess.Popen[bytes], Connection]:
    global _server
    if _server is None or _server[0] != os.getpid() or _server[1].poll() is not None:
        end()
        _server = os.getpid(), *_started()
    return _server[1:]


def _started() -> tuple[subprocess.Popen[bytes], Connection]:
    import json

    ours, its = socket.socketpair()
    with its:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM, str(its.fileno()), json.dumps(sys.path)],
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            # In a session of its own, so that Ctrl-C at a terminal does not end a cell before its worker.
            start_new_session=True,
            # A look for devices that leaves them usable after a fork.
            env={**os.environ, "PYTORCH_NVML_BASED_CUDA_CHECK": "1"},
        )
    return process, Connection(ours.detach())


def end() -> None:
    """End the server of this process, and the cell that it has in training."""
    global _server
    if _server is not None:
        owner, process, connection = _server
        _server = None
        with suppress(OSError):
            connection.close()
        if owner == os.getpid():
            with suppress(subprocess.TimeoutExpired):
                process.wait(ENDING)
            process.kill()


atexit.register(end)
