"""Who may not: each try with what answered."""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.tools.cluster.stack import SECRETS, Stack

WRITES = (
    ("POST", "/api/2.0/mlflow/experiments/create", {"name": "mine"}),
    ("POST", "/api/2.0/mlflow/experiments/update", {"experiment_id": "0", "new_name": "x"}),
    ("POST", "/api/2.0/mlflow/experiments/delete", {"experiment_id": "0"}),
    (
        "POST",
        "/api/2.0/mlflow/experiments/set-experiment-tag",
        {"experiment_id": "0", "key": "a"},
    ),
    ("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": "0"}),
    ("POST", "/api/2.0/mlflow/runs/log-batch", {"run_id": "x"}),
    ("POST", "/api/2.0/mlflow/registered-models/create", {"name": "mine"}),
    ("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/mine.txt", {}),
    ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/0/mine.txt", {}),
    (
        "PATCH",
        "/api/2.0/mlflow/users/update-password",
        {"username": "reader"},
    ),
    ("POST", "/v1/traces", {}),
)
"""A few; `tests/docker/test_server.py` tries every route that MLflow has."""


@dataclass(frozen=True)
class Try:
    """One attempt.

    Attributes:
        refused: whether it was, as it should be; `allowed` marks one that has to pass.
    """

    who: str
    what: str
    answered: str
    refused: bool
    allowed: bool = False

    @property
    def right(self) -> bool:
        return self.refused != self.allowed


def asked(
    address: str,
    method: str,
    path: str,
    body: object = None,
    user: tuple[str, str] | None = None,
    **headers: str,
) -> tuple[int, str]:
    """Status and words of an answer."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    told = {"Content-Type": "application/json", **headers}
    if user:
        told["Authorization"] = "Basic " + base64.b64encode(":".join(user).encode()).decode()
    connection.request(method, path, json.dumps(body) if body is not None else None, told)
    answer = connection.getresponse()
    words = answer.read().decode(errors="replace")
    connection.close()
    return answer.status, words


def jobs(one: Stack) -> Iterator[Try]:
    """The Jobs API and the dashboard."""
    right = f"Bearer {one.settings['RAY_AUTH_TOKEN']}"
    tries = (("no token", {}), ("a wrong token", {"Authorization": "Bearer wrong"}))
    for who, headers in tries:
        for method, path in (("GET", "/api/jobs/"), ("POST", "/api/jobs/"), ("GET", "/nodes?view=summary")):
            status, words = asked(one.dashboard, method, path, {"entrypoint": "id"}, **headers)
            yield Try(who, f"{method} {path} of Ray", f"{status} {words[:60]}", status in (401, 403))
    status, words = asked(one.dashboard, "GET", "/api/jobs/", Authorization=right)
    yield Try(
        "the token", "GET /api/jobs/ of Ray", f"{status} {words[:30]}", status in (401, 403), allowed=True
    )


def members(one: Stack) -> Iterator[Try]:
    """Drivers and workers that want to join, from a container in Ray's own network."""
    for who, token in (("no token", None), ("a wrong token", "wrong" * 8), ("the token", "")):
        told = {"RAY_AUTH_MODE": "token" if token is not None else "disabled"}
        if token is not None:
            told["RAY_AUTH_TOKEN"] = token or one.settings["RAY_AUTH_TOKEN"]
        for what, words in (
            ("ray status --address=… (GCS)", ["ray", "status", "--address=head:6379"]),
            ("ray start --address=…", ["ray", "start", "--address=head:6379", "--num-cpus=0"]),
        ):
            code, said = one.client(*words, network=f"{one.name}_ray", environment=told, seconds=120)
            telling = [line for line in said.splitlines() if re.search("Error|Active:|started", line)]
            answered = f"exit {code}: {(telling or ['nothing'])[-1].strip()[:120]}"
            yield Try(who, what, answered, code != 0, allowed=token == "")


def tracker(one: Stack) -> Iterator[Try]:
    """MLflow."""
    search = "/api/2.0/mlflow/experiments/search?max_results=5"
    reader = ("reader", one.settings["MLFLOW_READER_PASSWORD"])
    for who, user in (
        ("nobody", None),
        ("a wrong password", ("reader", "wrong-wrong-wrong")),
        ("reader", reader),
    ):
        status, words = asked(one.mlflow, "GET", search, user=user)
        yield Try(
            who, f"GET {search}", f"{status} {words[:40]}", status in (401, 403), allowed=user == reader
        )
    for method, path, body in WRITES:
        status, words = asked(one.mlflow, method, path, body, reader)
        yield Try("reader", f"{method} {path}", f"{status} {words[:50]}", status == 403)
    for host in ("evil.example", "10.evil.example"):
        status, words = asked(one.mlflow, "GET", search, user=reader, Host=host)
        yield Try("reader", f"Host: {host}", f"{status} {words[:60]}", status == 403)


def networks(one: Stack) -> Iterator[Try]:
    """Who reaches what by name."""
    reach = (
        "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5); print('connected')"
    )
    for service, host, port, allowed in (
        ("head", "postgres", "5432", False),
        ("worker", "postgres", "5432", False),
        ("worker", "mlflow", "5000", False),
        ("head", "mlflow", "5000", True),
        ("mlflow", "postgres", "5432", True),
    ):
        code, said = one.execute(service, "python", "-c", reach, host, port)
        answered = (said.strip().splitlines() or [""])[-1][:80]
        yield Try(
            f"the container {service}", f"connects to {host}:{port}", answered, code != 0, allowed=allowed
        )


def empty(one: Stack) -> Iterator[Try]:
    """A secret that is not filled in."""
    for name in SECRETS:
        kept = one.settings[name]
        one.write(**{name: ""})
        code, said = one.compose("config")
        one.write(**{name: kept})
        answered = next((line for line in said.splitlines() if name in line), "")[:110]
        yield Try("an empty .env", f"{name}=", f"exit {code}: {answered}", code != 0)


def all_of(one: Stack) -> list[Try]:
    return [*jobs(one), *members(one), *tracker(one), *networks(one), *empty(one)]
