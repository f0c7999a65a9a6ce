"""The process that cells are forked from: torch and the user's module are loaded there, and nothing trains.

It is a program of its own and not the worker. A fork of a worker would have Ray's threads, locks and sockets
in it; this process has one thread and none of them.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle

from study.run.own_training.function import Function, function_of, no_steps, train
from study.run.own_training.group import adopt_orphans, begin_group, end_orphans, watched
from study.run.own_training.order import FOLDER, REPORTS, Ended, Order, Probe
from study.spec.command_template import search_path
from study.spec.method_choice import Choice
from study.spec.own_training import CELL_FILE
from study.spec.user_code import error_line

FORKABLE, NOT_FORKABLE = "forkable", "not forkable"
"""What a probe says of a module that runs well. The second leaves threads or a device in use behind."""
LONGEST_PROBLEM = 600
Code = tuple[Choice, str | None]
"""A function, and the folder of its module."""


def serve(connection: Connection) -> None:
    """Take orders until nobody gives any."""
    adopt_orphans()
    loaded: dict[Code, Function | None] = {}
    while True:
        try:
            order = connection.recv()
            log = recv_handle(connection)
        except EOFError:
            return
        _print_to(log)
        try:
            connection.send(_answer(order, loaded, connection))
        except OSError:
            return  # the worker is gone
        finally:
            _print_to(os.open(os.devnull, os.O_WRONLY))


def _print_to(log: int) -> None:
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        with suppress(OSError, ValueError):
            stream.flush()
        os.dup2(log, descriptor)
    os.close(log)


def _answer(order: Order | Probe, loaded: dict[Code, Function | None], connection: Connection) -> Ended:
    gone = connection.fileno()
    if order.workload.form == "command":
        assert isinstance(order, Order)
        return _run_command(order, gone)
    # Two files of the same content are two places, which a function may look beside.
    code = order.workload, order.workload.folder
    if code not in loaded:
        said = _probe(order, gone)
        if said not in (FORKABLE, NOT_FORKABLE):
            return Ended(problem=said)
        # The probe has shown that this is safe. What it leaves in memory is not loaded again for every cell.
        loaded[code] = function_of(order.workload) if said == FORKABLE else None
        gc.collect()
        gc.freeze()
    if isinstance(order, Probe):
        return Ended()
    return _fork(lambda: train(order, loaded[code]), order.limit, gone)


def _fork(work: Callable[[], None], limit: float, gone: int) -> Ended:
    """Do some work in a forked process, and wait for its end."""
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process:
        return watched(process, limit, gone)
    status = 1
    try:
        begin_group()
        os.close(gone)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        me = os.getpid()
        work()
        # A process that the user's code forked, and that came back, has no word here.
        status = 0 if os.getpid() == me else 1
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _probe(order: Order | Probe, gone: int) -> str:
    """Import a function in a process that may end, hang or train, and see whether it can be called.

    Returns:
        `FORKABLE`, `NOT_FORKABLE`, or what is wrong.
    """
    reading, writing = os.pipe()

    def look() -> None:
        os.close(reading)
        try:
            with no_steps():
                function_of(order.workload)
            said = FORKABLE if _forkable() else NOT_FORKABLE
        except BaseException as error:
            said = str(error) if isinstance(error, (ValueError, TypeError)) else error_line(error)
        os.write(writing, said.encode(errors="replace")[:LONGEST_PROBLEM])

    try:
        ended = _fork(look, order.limit, gone)
    finally:
        os.close(writing)
    with open(reading, encoding="utf-8", errors="replace") as pipe:
        said = pipe.read()
    module = order.workload.name.partition(":")[0]
    if ended.late:
        return f"module {module!r} was not imported in {order.limit:g} s; put what it does into the function"
    # A module that ends Python says nothing, whatever its exit status.
    return said or f"module {module!r}, when it was imported, {ended.words or 'ended with exit status 0'}"


def _forkable() -> bool:
    """Whether a fork of this process can do what a new one could."""
    import torch

    # A device that is in use before a fork cannot be used after it, and threads are not forked.
    process = os.fork()
    if not process:
        status = 1
        with suppress(BaseException):
            torch.ones((), requires_grad=True).backward()  # it refuses where another one left threads
            status = int(torch.cuda._is_in_bad_fork())
        os._exit(status)
    return os.waitpid(process, 0)[1] == 0 and threading.active_count() == 1


def _run_command(order: Order, gone: int) -> Ended:
    """Run a command's cell, without a shell."""
    environment = {
        **os.environ,
        "PATH": search_path(),
        REPORTS: str(order.reports),
        CELL_FILE: str(order.directory / "cell.json"),
        FOLDER: str(order.scratch),
        **order.environment,
    }
    started = time.monotonic()

    def run() -> None:
        try:
            os.chdir(order.folder or ".")
            os.execvpe(  # noqa: S606  # no shell is what is wanted
                order.command[0], list(order.command), environment
            )
        except OSError as error:
            # The log says so; the status is a shell's for a command that is not there.
            print(f"{order.command[0]}: {error.strerror}", file=sys.stderr)
            raise SystemExit(127) from None

    ended = _fork(run, order.limit, gone)
    if ended.status == 127 and time.monotonic() - started < 1:
        return Ended(127, problem=f"{order.command[0]} cannot be run, or ended with exit status 127")
    return ended


def warm() -> None:
    """Load what cells need, most of which torch imports when it is first used."""
    import torch

    from trainers import attach, make_transform

    # A pool of threads does not survive a fork, so none is begun here. Cells have their own number.
    torch.set_num_threads(1)
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.zeros(1)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    attach(optimizer, make_transform("none"))
    optimizer.step()


def main(descriptor: int) -> None:
    """Serve the process that started this one."""
    warm()
    serve(Connection(descriptor))
    end_orphans()
