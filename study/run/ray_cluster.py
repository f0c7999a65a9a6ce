"""A connection to a Ray cluster: reached in seconds, or refused in words.

With `ray_pool.py` the only file that imports Ray. Call `ray_environment.set_environment` before.
"""

from __future__ import annotations

import gc
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import ray
from ray.job_config import JobConfig

from study.errors import PoolError, UserError
from study.run.ray_environment import temporary_folder
from study.run.tile_log import captured
from study.spec.user_source import INSTALLED

AUTO = "auto"
CONNECT_SECONDS = 30.0
"""How long Ray may try to connect to a cluster [s]."""
REPLY = 5.0
"""How long a port may take to answer [s]."""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How a client of gRPC begins: the words of HTTP/2 and an empty frame of settings."""
SETTINGS = 4
"""The kind of frame that a server of gRPC begins with."""
PLACE = re.compile(r"^\[[^\]]*\] \S+\.(cc|h):\d+: ")
"""When, and where in its source, Ray's core wrote a line."""
log = logging.getLogger(__name__)


class SafePath(JobConfig):  # type: ignore[misc]  # Ray is not typed
    """A job whose workers do not look for modules in the current folder of the launch.

    Ray puts it first on their path, where a file of the user's called `torch.py` would replace torch. Where
    the user's own modules lie is said by each choice of a method. Only this package's own folder is kept.
    """

    def _serialize(self) -> bytes:
        house = Path(__file__).resolve().parents[2]
        # An installed package is on the path of the workers already, behind Python's own modules.
        self._py_driver_sys_path = [] if house.name in INSTALLED else [str(house)]
        found: bytes = super()._serialize()
        return found


@contextmanager
def connected(address: str | None, say: Callable[[str], None] = log.info) -> Iterator[None]:
    """A connection to a cluster, or to one that is started on this machine and ends with the block.

    Where this process is connected already, it stays so.

    Args:
        say: told what is done, and which cluster it is and what named it, when this process was not connected
            yet.

    Raises:
        PoolError: there is no such cluster, or Ray does not start here.
        UserError: the address has a name or a password.
    """
    if ray.is_initialized():
        yield
        return
    if address:
        # Ray itself looks there for what `auto` means.
        refuse_password((os.environ.get("RAY_ADDRESS") or AUTO) if address == AUTO else address)
        say(f"connecting to Ray at {address}")
        check_reachable(address)
    else:
        say("starting Ray")
    own: dict[str, Any] = {} if address else {"include_dashboard": False, "num_cpus": os.cpu_count()}
    try:
        # Ray's core writes lines of its own to standard error, which no level of logging stops.
        with captured() as printed, _deadline(CONNECT_SECONDS if address else None):
            ray.init(
                address=address or "local",
                job_config=SafePath(),
                logging_level=logging.ERROR,
                log_to_driver=False,
                **own,
            )
    except _TooLong:
        _disconnect()
        raise _unreachable(address, f"no answer of Ray's in {CONNECT_SECONDS:g} s", printed.end) from None
    except Exception as error:
        _disconnect()
        raise _unreachable(address, _in_one_line(error), printed.end) from error
    finally:
        if printed.end:
            log.info("Ray said: %s", printed.end.decode(errors="replace").strip())
    try:
        (say if address else log.info)(f"Ray cluster: {found_at(address)}")
        yield
    finally:
        _disconnect()


def _disconnect() -> None:
    # Tune leaves reference cycles that hold Ray objects. One of them collected after the shutdown would make
    # Ray end this process.
    gc.collect()
    ray.shutdown()


def found_at(address: str | None) -> str:
    """Which cluster this process is connected to and what named it: `auto` takes whatever it finds."""
    where = ray.get_runtime_context().gcs_address
    if address is None:
        return f"{where}, started here"
    named = os.environ.get("RAY_ADDRESS")
    if named not in (None, "", AUTO) and address in (named, AUTO):
        return f"{where}, named by RAY_ADDRESS={named}"
    if address != AUTO:
        return f"{where}, named by --address {address}"
    file = temporary_folder()[1] / "ray" / "ray_current_cluster"
    try:
        noted = file.read_text().strip()
    except OSError:
        noted = ""
    if noted == where:
        return f"{where}, found by the address `auto` in {file}, of user {file.owner()}"
    return f"{where}, found by the address `auto` among the running processes of this machine"


def refuse_password(address: str) -> None:
    """Refuse an address with a name or a password, which Ray would not use and everybody would see.

    Raises:
        UserError: it has one.
    """
    _, found, host = address.rpartition("@")
    if found:
        raise UserError(
            f"--address ***@{host}: found a name or password, which Ray does not know; "
            "wanted HOST:PORT or ray://HOST:PORT; for Ray's own token, set RAY_AUTH_MODE=token"
        )


def check_reachable(address: str) -> None:
    """Refuse an address where no Ray listens: Ray would try for minutes, a socket knows at once.

    Raises:
        PoolError: nobody listens there, or something else than Ray.
    """
    host, _, port = address.rpartition("/")[2].rpartition(":")
    if not port.isdecimal():
        return
    host = host.strip("[]")
    if host in ("localhost", "127.0.0.1", "::1"):
        # As Ray does: its clusters do not listen on the loopback interface.
        host = ray.util.get_node_ip_address()
    try:
        with socket.create_connection((host, int(port)), timeout=REPLY) as connection:
            if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
                return
            connection.sendall(PREFACE)
            frame = connection.recv(9)
    except TimeoutError:
        raise _unreachable(address, f"no answer in {REPLY:g} s") from None
    except (OSError, OverflowError, UnicodeError) as error:
        raise _unreachable(address, getattr(error, "strerror", None) or str(error)) from None
    if len(frame) < 4 or frame[3] != SETTINGS:
        raise _unreachable(address, "what listens there is not Ray")


def _unreachable(address: str | None, why: str, printed: bytes = b"") -> PoolError:
    """The error of a cluster that cannot be reached.

    Args:
        printed: what Ray's core wrote meanwhile, whose last line often has the cause.
    """
    lines = [PLACE.sub("", line) for line in printed.decode(errors="replace").splitlines() if line.strip()]
    said = f"; Ray: {lines[-1][:300]}" if lines else ""
    # Ray takes the user's token by itself for a cluster that it starts or finds, not for an address.
    do = "set RAY_AUTH_MODE=token" if "AuthToken" in said else "start it"
    return PoolError(
        f"cannot connect to Ray at {address or 'this machine'} ({why}{said}); "
        f"{do}, name another --address, or train with --here"
    )


def _in_one_line(error: Exception) -> str:
    """The whole text: which versions differ, say, stands in the lines between the first and the last."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"


class _TooLong(BaseException):
    """The time is over; no `except Exception` of Ray's own tries can catch it."""


@contextmanager
def _deadline(seconds: float | None) -> Iterator[None]:
    """Raise `_TooLong` after a time, in the main thread; other threads wait as long as it takes."""
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(number: int, frame: FrameType | None) -> None:
        raise _TooLong

    handler, started = signal.signal(signal.SIGALRM, over), time.monotonic()
    left, every = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:  # somebody else's alarm
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - started), 0.01), every)
