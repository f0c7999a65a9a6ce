"""The MLflow UI of a home: the command that serves it, and for whom it answers."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Sequence

from study.errors import UserError
from study.home import Home
from trainers.naming import short

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
FOR_ONE_READER = {
    "MLFLOW_WORKERS": "1",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "PYTHONWARNINGS": "ignore",
}
"""Without it MLflow starts four servers and eight consumers of jobs, which takes a minute. An environment may
say otherwise."""
UNTOLD = "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE"
"""Would have the server answer to every name."""


def serve(home: Home, host: str, port: int, hosts: Sequence[str]) -> None:
    """Become the server of a home's MLflow UI; does not return.

    The server takes this process over, so that signals reach it.

    Args:
        host: the interface to listen on.
        hosts: the names that requests may have in `Host:`, see `answered`.
    """
    line, environment = command(home, host, port, hosts), server_environment()
    # Both `python -m` and MLflow's own server put the current folder first on Python's path, where a file
    # called `mlflow.py` would be run and one called `statistics.py` would stand for Python's. A home may be
    # somebody else's, so the server stands in neither.
    os.chdir(os.path.abspath(os.sep))
    os.execve(sys.executable, line, environment)  # noqa: S606


def server_environment() -> dict[str, str]:
    """The environment of the server and of the processes that it starts."""
    kept = {name: value for name, value in os.environ.items() if name != UNTOLD}
    return {**FOR_ONE_READER, **kept, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONSAFEPATH": "1"}


def command(home: Home, host: str, port: int, hosts: Sequence[str]) -> list[str]:
    """The command line of the server."""
    # MLflow lets pages of the loopback interface ask, whatever is said here.
    others = [name for name in hosts if name not in LOOPBACK] or ["localhost"]
    origins = [
        f"{scheme}://{name}{end}" for name in others for scheme in ("http", "https") for end in ("", ":*")
    ]
    return [
        *(sys.executable, "-P", "-m", "mlflow", "server"),
        *("--backend-store-uri", home.mlflow_uri),
        *("--default-artifact-root", home.mlflow_artifacts.resolve().as_uri()),
        *("--host", host),
        *("--port", str(port)),
        # With any port: a tunnel or a container may show it at another one.
        *("--allowed-hosts", ",".join(f"{name}{end}" for name in map(_escaped, hosts) for end in ("", ":*"))),
        *("--cors-allowed-origins", ",".join(map(_escaped, origins))),
    ]


def answered(host: str, names: Sequence[str]) -> list[str]:
    """The names in `Host:` that requests may have. Any page of the web could send others.

    Args:
        host: the interface that is listened on.
        names: further names that the user gave.

    Raises:
        UserError: a name is none, or an interface of many names is given without one.
    """
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        address = None
    own = [f"[{address}]" if address and address.version == 6 else host]
    if host == "localhost" or (address and address.is_loopback):
        own = [*LOOPBACK, *own]
    if address and address.is_unspecified:
        if not names:
            do = "give the name or address that browsers will use with --name (repeatable)"
            raise UserError(f"--host {host} listens on every interface; {do}")
        own = []
    for name in (*own, *names):
        if not NAME.fullmatch(name):
            raise UserError(f"found {short(name)}; wanted the name or address of a machine, without a port")
    return list(dict.fromkeys((*own, *names)))


def _escaped(pattern: str) -> str:
    # MLflow compares by patterns, in which a bracket begins a set of characters.
    return pattern.replace("[", "[[]")
