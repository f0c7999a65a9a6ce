"""The MLflow UI of a home: the command that serves it, and for whom it answers."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Sequence

from study.errors import UserError
from study.home import Home
from study.run import ui_answers
from tracking.mlflow_page import CELLS, table
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


def serve(
    home: Home, host: str, port: int, hosts: Sequence[str], lines: Sequence[str], opened: str = ""
) -> None:
    """Become the server of a home's MLflow UI; does not return.

    The server takes this process over, so that signals reach it.

    Args:
        host: the interface to listen on.
        hosts: the names that requests may have in `Host:`, see `answered`.
        lines: what to say once it answers.
        opened: the address to open in a browser then; empty for none.

    Raises:
        UserError: the interface is none of this machine, or something else listens there.
    """
    line, environment = command(home, host, port, hosts), server_environment()
    refuse_taken(host, port)
    told = {"pid": os.getpid(), "host": reached_at(host), "port": port, "lines": lines, "open": opened}
    subprocess.run(
        [sys.executable, "-I", "-S", ui_answers.__file__], input=json.dumps(told).encode(), check=True
    )
    # Both `python -m` and MLflow's own server put the current folder first on Python's path, where a file
    # called `mlflow.py` would be run and one called `statistics.py` would replace Python's. A home may be
    # somebody else's, so the server runs in neither.
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
        # The same is assumed where nothing is given, and said so.
        *("--registry-store-uri", home.mlflow_uri),
        *("--default-artifact-root", home.mlflow_artifacts.resolve().as_uri()),
        *("--host", host),
        *("--port", str(port)),
        # A line per request, and one per start of a worker, would bury what is said here.
        *("--uvicorn-opts", "--no-access-log --log-level warning"),
        # With any port: a tunnel or a container may show it at another one.
        *("--allowed-hosts", ",".join(f"{name}{end}" for name in map(_escaped, hosts) for end in ("", ":*"))),
        *("--cors-allowed-origins", ",".join(map(_escaped, origins))),
    ]


def addresses(at: str, studies: Sequence[tuple[str, str, bool]]) -> dict[str, str]:
    """The address of each study's page, by its name.

    Args:
        at: the address of the server.
        studies: as `tracking.mlflow_listing.pages` has them.
    """
    return {name: f"{at}/{table(experiment, CELLS if view else '')}" for name, experiment, view in studies}


def address(host: str, port: int, hosts: Sequence[str]) -> str:
    """The address of the server, by a name that it answers to."""
    own = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{own if own in hosts else hosts[0]}:{port}"


def reached_at(host: str) -> str:
    """Where this machine itself reaches an interface that is listened on."""
    own = host.strip("[]")
    try:
        named = ipaddress.ip_address(own)
    except ValueError:
        return own
    if named.is_unspecified:
        return "::1" if named.version == 6 else "127.0.0.1"
    return own


def refuse_taken(host: str, port: int) -> None:
    """Refuse a port on which something else answers, which would be taken for the server.

    Raises:
        UserError: it cannot be listened on.
    """
    own = host.strip("[]")
    with socket.socket(socket.AF_INET6 if ":" in own else socket.AF_INET) as probe:
        # As uvicorn does: a server that was just ended leaves connections behind, which hinder nobody.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((own, port))
        except OSError as error:
            raise UserError(
                f"--host {host} --port {port}: cannot listen there ({error.strerror}); "
                "end what listens there, or choose another with --port"
            ) from None


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
