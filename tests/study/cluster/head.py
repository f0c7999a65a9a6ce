"""A head of a Ray cluster, as a process of its own on the loopback interface."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.pages import ROOT

PATIENCE = 60.0
"""How long a command, or the start of a head, may take on a busy machine [s]."""


@dataclass(frozen=True)
class Head:
    """A head that takes jobs.

    Attributes:
        address: of its dashboard. gcs: of the cluster itself.
        folder: where its home of studies, its logs and its user's home folder lie.
        environment: of clients on the same machine, without a token.
    """

    address: str
    gcs: str
    token: str
    folder: Path
    environment: dict[str, str]

    def client(self, *words: str, token: str | None, where: Path, **more: str) -> subprocess.Popen[str]:
        """Start a command of `study` that knows a token, or none, and nothing else of the head."""
        variables = self.environment | ({"RAY_AUTH_TOKEN": token} if token else {}) | more
        return subprocess.Popen(
            # -P keeps the current folder off its path, as the installed command has it.
            [sys.executable, "-P", "-m", "study.cli", *words],
            cwd=where,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def study(self, *words: str, where: Path, **more: str) -> tuple[int, str, str]:
        """Run a command that knows the token: its exit code, output and errors."""
        client = self.client(*words, token=self.token, where=where, **more)
        said, errors = client.communicate(timeout=2 * PATIENCE)
        return client.returncode, said, errors


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as open_:
        servers = [open_.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(server.getsockname()[1]) for server in servers]


@contextmanager
def head() -> Iterator[Head]:
    """A head that asks for a token; nothing of it is left afterwards."""
    gcs, dashboard, agent, metrics, client = free_ports(5)
    # Not pytest's own folder, whose path is too long for the sockets of Ray.
    with tempfile.TemporaryDirectory(prefix="study-", dir="/tmp", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        token = secrets.token_hex(32)
        (folder / "client").mkdir()
        plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        plain |= {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # so that it stays on the loopback interface
        }
        own = {
            "HOME": str(folder),
            "RAY_TMPDIR": str(folder),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": token,
            "RAY_JOB_STOP_WAIT_TIME_S": "30",
            "STABILITY_STUDY_HOME": str(folder / "studies"),
            # As from a shell that has it: no job may ask the cluster that it runs on.
            "STABILITY_STUDY_CLUSTER": f"http://127.0.0.1:{dashboard}",
        }
        command = [
            *(str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus=1"),
            *("--node-ip-address=127.0.0.1", f"--port={gcs}"),
            *("--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"),
            *(f"--dashboard-agent-listen-port={agent}", f"--metrics-export-port={metrics}"),
            *(f"--ray-client-server-port={client}", "--object-store-memory=100000000"),
        ]
        log = folder / "head.log"
        with log.open("w") as printed:
            started = subprocess.Popen(
                command, env=plain | own, stdout=printed, stderr=printed, start_new_session=True
            )
        try:
            deadline = time.monotonic() + PATIENCE
            while "Ray runtime started" not in log.read_text():
                assert started.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            client_home = plain | {"HOME": str(folder / "client"), "RAY_TMPDIR": str(folder)}
            yield Head(f"http://127.0.0.1:{dashboard}", f"127.0.0.1:{gcs}", token, folder, client_home)
        finally:
            end(started)


def end(started: subprocess.Popen[bytes]) -> None:
    """End a head and all processes that it started. Never by `ray stop`, which ends every Ray there is."""
    every: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        every = psutil.Process(started.pid).children(recursive=True)
    started.terminate()
    with suppress(subprocess.TimeoutExpired):
        started.wait(15)
    with suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)
    for process in every:
        # By psutil, which knows when a number has become that of another process.
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(every, timeout=10)
    started.wait(10)
