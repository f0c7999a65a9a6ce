"""One stack of `docker/compose.yaml`: a project of its own, with secrets, ports and a folder of its own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
DOCKER = ROOT / "docker"
SECRETS = (
    *("RAY_AUTH_TOKEN", "MLFLOW_ADMIN_PASSWORD", "MLFLOW_WRITER_PASSWORD", "MLFLOW_READER_PASSWORD"),
    *("MLFLOW_SECRET_KEY", "POSTGRES_PASSWORD"),
)
WORKER = "stability-study-worker:0.1.0"
GUEST = "stability-study.guest-of"
"""The label of containers outside of a stack that use it."""
HEALTHY = 300.0
"""How long every container may take until it is healthy [s]."""


def missing() -> str | None:
    """Why no stack can be brought up here; None where one can."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    if subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        return "no Docker engine answers"
    return None if compose() else "docker compose is not installed"


def compose() -> list[str]:
    """The command for compose: the plugin of today, or the program before it."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else []


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def run(words: Sequence[str], seconds: float = 120, **more: object) -> tuple[int, str]:
    """Exit code and all that a command printed; 124 where it took too long."""
    try:
        done = subprocess.run(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            **more,  # type: ignore[call-overload]
        )
    except subprocess.TimeoutExpired as late:
        return 124, str(late.stdout or "")
    return done.returncode, done.stdout


@dataclass
class Stack:
    """A compose project. Its secrets are in its `.env`, and never on a command line."""

    folder: Path
    name: str
    settings: dict[str, str]
    more: list[Path] = field(default_factory=list)
    """Files that say something else than `docker/compose.yaml`."""

    @property
    def file(self) -> Path:
        return self.folder / ".env"

    @property
    def dashboard(self) -> str:
        return f"http://127.0.0.1:{self.settings['RAY_PORT']}"

    @property
    def mlflow(self) -> str:
        return f"http://127.0.0.1:{self.settings['MLFLOW_PORT']}"

    def write(self, **changes: str) -> None:
        """Write the settings; a change holds from the next `up` on."""
        self.settings |= changes
        self.file.touch(mode=0o600)
        self.file.write_text("".join(f"{name}={value}\n" for name, value in self.settings.items()))

    def compose(self, *words: str, seconds: float = 900) -> tuple[int, str]:
        files = [word for file in (DOCKER / "compose.yaml", *self.more) for word in ("-f", str(file))]
        command = [*compose(), *files, "--env-file", str(self.file)]
        # What the shell has set would win over the file.
        clean = {name: value for name, value in os.environ.items() if name not in self.settings}
        return run([*command, *words], seconds, env=clean)

    def up(self, *words: str) -> str:
        code, said = self.compose("up", "-d", *words)
        if code != 0:
            raise RuntimeError(f"the stack does not start:\n{said}")
        return said

    def down(self, *, volumes: bool = False) -> None:
        self.compose("down", *(["--volumes"] if volumes else []))

    def container(self, service: str, number: int = 1) -> str:
        """The id of a container of a service."""
        _, said = self.compose("ps", "-q", service)
        return said.split()[number - 1]

    def execute(self, service: str, *words: str, seconds: float = 120) -> tuple[int, str]:
        return run(["docker", "exec", self.container(service), *words], seconds)

    def healthy(self) -> float:
        """Wait until every container is healthy; how long that took [s].

        Raises:
            RuntimeError: one is not, after some minutes.
        """
        began = time.monotonic()
        mine = f"label=com.docker.compose.project={self.name}"
        found: dict[str, str] = {}
        while time.monotonic() - began < HEALTHY:
            _, ids = run(["docker", "ps", "-aq", "--filter", mine])
            _, said = run(["docker", "inspect", *ids.split()])
            found = {
                one["Name"].lstrip("/"): one["State"].get("Health", {}).get("Status", "none")
                for one in json.loads(said)
            }
            if found and set(found.values()) == {"healthy"}:
                return time.monotonic() - began
            time.sleep(1)
        raise RuntimeError(f"not healthy after {HEALTHY:g} s: {found}")

    def guest(self, verb: str, spec: Path, *words: str, out: Path | None = None) -> list[str]:
        """`study VERB SPEC --cluster` in a container that is no member of the cluster.

        Ray's token is in a file: command lines are for everybody to see.
        """
        token = self.folder / "token"
        token.write_text(self.settings["RAY_AUTH_TOKEN"])
        token.chmod(0o644)  # the user in the container is another
        volumes = ["-v", f"{token}:/run/token:ro", "-v", f"{spec}:/specs/{spec.name}:ro"]
        if out is not None:
            out.mkdir(exist_ok=True)
            out.chmod(0o777)
            volumes += ["-v", f"{out}:/out"]
            words = (*words, "--out", "/out", "--force")
        return [
            *("docker", "run", "--rm", "--network", "host", "--label", f"{GUEST}={self.name}"),
            *("--env", "RAY_AUTH_TOKEN_PATH=/run/token", *volumes, WORKER),
            *("study", verb, f"/specs/{spec.name}", "--cluster", self.dashboard, *words),
        ]

    def guests(self) -> list[str]:
        """Containers of guests that run."""
        return run(["docker", "ps", "-q", "--filter", f"label={GUEST}={self.name}"])[1].split()

    def end_guests(self) -> None:
        """End what was started outside of the stack."""
        for one in self.guests():
            run(["docker", "kill", one])

    def tracker(self) -> Any:
        """A client of its MLflow server, as the account that only reads."""
        from mlflow.tracking import MlflowClient

        os.environ["MLFLOW_TRACKING_USERNAME"] = "reader"
        os.environ["MLFLOW_TRACKING_PASSWORD"] = self.settings["MLFLOW_READER_PASSWORD"]
        return MlflowClient(self.mlflow)

    def client(
        self, *words: str, network: str = "host", environment: Mapping[str, str] | None = None, **more: float
    ) -> tuple[int, str]:
        """Run a command in a container of the worker image that is no member of the stack."""
        told = dict(environment or {})
        # By name alone: docker takes the values from this process, and no command line has them.
        options = [word for name in told for word in ("--env", name)]
        command = ["docker", "run", "--rm", "--network", network, *options, WORKER, *words]
        return run(command, more.get("seconds", 120), env=os.environ | told)


@contextmanager
def stack(**settings: str) -> Iterator[Stack]:
    """A stack that is up, and gone with all its volumes afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="stack-"))
    name = f"study{secrets.token_hex(3)}"
    told = {one: secrets.token_hex(24) for one in SECRETS}
    told |= {
        "COMPOSE_PROJECT_NAME": name,
        "COMPOSE_PROFILES": "cpu",
        "STUDY_DATA_FOLDER": str(folder / "data"),
    }
    told |= {"RAY_PORT": str(free_port()), "MLFLOW_PORT": str(free_port())}
    (folder / "data").mkdir()
    one = Stack(folder, name, told)
    one.write(**settings)
    try:
        one.up("--build")
        yield one
    finally:
        one.end_guests()
        one.down(volumes=True)
        shutil.rmtree(folder, ignore_errors=True)
