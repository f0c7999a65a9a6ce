"""The MLflow server of a team, as a process of its own on the loopback interface."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests import database
from tests.tools.cluster.refused import asked
from tests.tools.cluster.stack import free_port

SERVE = Path(__file__).resolve().parents[2] / "docker" / "mlflow" / "serve.py"
USERS = {name: (name, f"{name}-secret-123456") for name in ("admin", "writer", "reader")}
SECRETS = {f"MLFLOW_{name.upper()}_PASSWORD": password for name, (_, password) in USERS.items()}
SECRETS |= {"MLFLOW_SECRET_KEY": "key-secret-123456"}
PATIENCE = 120.0
READS = """
import os, re, sys
from mlflow.server.auth import create_app
from mlflow.server import app
create_app()
for rule in app.url_map.iter_rules():
    for method in sorted(rule.methods - {"HEAD", "OPTIONS", "GET"}):
        print(method, re.sub(r"<[^>]*>", "x", rule.rule))
"""
"""Prints each route of MLflow's that is not asked by GET."""


def environment(folder: Path, **changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    return kept | {
        **SECRETS,
        "MLFLOW_DATABASE_URL": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_ARTIFACTS_DESTINATION": str(folder / "artifacts"),
        "MLFLOW_PRIVATE_FOLDER": str(folder),
        "MLFLOW_LISTEN": "127.0.0.1",
        "MLFLOW_SERVER_WORKERS": "1",
        **changes,
    }


@dataclass
class Server:
    address: str
    folder: Path
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("service"), free_port()
    database.begin(folder / "mlflow.db")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, SERVE],
            env=environment(folder, MLFLOW_LISTEN_PORT=str(port)),
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    address, end = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
            break
        except OSError:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.2)
    yield Server(address, folder, process)
    members = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for one in members:
        one.kill()
    process.wait()


SEARCH = "/api/2.0/mlflow/experiments/search?max_results=5"


@pytest.mark.parametrize("user", [None, ("reader", "wrong-wrong-wrong"), ("nobody", "wrong-wrong-wrong")])
def test_strangers_see_nothing(server: Server, user: tuple[str, str] | None) -> None:
    """Without a password, or with a wrong one, nobody reads, writes, or gets a file."""
    for method, path in (
        ("GET", SEARCH),
        ("POST", "/api/2.0/mlflow/experiments/create"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/0/x"),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/x"),
        ("GET", "/"),
    ):
        status, _ = asked(server.address, method, path, {}, user)
        assert status == 401, (method, path)


def test_the_writer_writes_and_the_reader_reads(server: Server) -> None:
    """What the writer stores, runs and files, the reader sees, and cannot take away."""
    made = asked(
        server.address, "POST", "/api/2.0/mlflow/experiments/create", {"name": "one"}, USERS["writer"]
    )
    assert made[0] == 200
    file = "/api/2.0/mlflow-artifacts/artifacts/1/note.txt"
    assert asked(server.address, "PUT", file, "hello", USERS["writer"])[0] == 200
    status, words = asked(server.address, "GET", SEARCH, user=USERS["reader"])
    assert status == 200
    assert '"one"' in words
    assert asked(server.address, "GET", file, user=USERS["reader"]) == (200, '"hello"')
    body = {"experiment_ids": ["1"]}
    assert asked(server.address, "POST", "/api/2.0/mlflow/runs/search", body, USERS["reader"])[0] == 200
    assert asked(server.address, "DELETE", file, user=USERS["reader"])[0] == 403
    assert asked(server.address, "GET", file, user=USERS["reader"])[0] == 200


def test_the_reader_writes_nowhere(server: Server) -> None:
    """Every route of MLflow that is no GET refuses the reader, but for those known to change nothing."""
    told = environment(server.folder) | {
        "MLFLOW_AUTH_CONFIG_PATH": str(next(server.folder.glob("mlflow-*/auth.ini"))),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "k" * 32,
        "PYTHONPATH": str(SERVE.parent),
    }
    listed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READS], env=told, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    routes = {line for line in listed if line} | {"POST /v1/traces", "POST /ajax-api/3.0/jobs/"}
    assert len(routes) > 150
    passed = set()
    for route in sorted(routes):
        method, path = route.split(" ", 1)
        status, words = asked(server.address, method, path, {}, USERS["reader"])
        if (status, words) != (403, "the account reader only reads"):
            passed.add(path)
    asks = {path.rpartition("/mlflow/")[2] for path in passed}
    assert asks == {
        *("experiments/search", "experiments/search-datasets", "runs/search", "logged-models/search"),
        *("datasets/search", "registered-models/get-latest-versions", "traces/search", "traces/metrics"),
        *("traces/batchGetInfos", "traces/calculate-filter-correlation", "issues/search", "/graphql"),
    }


@pytest.mark.parametrize("host", ["evil.example", "10.evil.example", "127.0.0.1.evil.example"])
def test_a_foreign_host_is_refused(server: Server, host: str) -> None:
    """A page whose name was made to point at this server gets nothing, with the right password either."""
    status, words = asked(server.address, "GET", SEARCH, user=USERS["reader"], Host=host)
    assert (status, "Invalid Host" in words) == (403, True)


def test_secrets_are_on_no_command_line_and_in_no_log(server: Server) -> None:
    """No process of the server has a secret among its words, and none of the passwords in its environment."""
    members = [
        psutil.Process(server.process.pid),
        *psutil.Process(server.process.pid).children(recursive=True),
    ]
    for one in members:
        assert not [secret for secret in SECRETS.values() if secret in " ".join(one.cmdline())]
        held = {name for name, secret in SECRETS.items() if secret in one.environ().values()}
        assert held <= {"MLFLOW_SECRET_KEY"}
    assert not [secret for secret in SECRETS.values() if secret in (server.folder / "log").read_text()]
    (ini,) = server.folder.glob("mlflow-*/auth.ini")
    assert (ini.stat().st_mode & 0o777, ini.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"MLFLOW_READER_PASSWORD": ""}, "MLFLOW_READER_PASSWORD: found nothing"),
        ({"MLFLOW_SECRET_KEY": "short"}, "MLFLOW_SECRET_KEY: found 5 characters"),
        ({"MLFLOW_READER_PASSWORD": SECRETS["MLFLOW_WRITER_PASSWORD"]}, "one password for two accounts"),
        ({"MLFLOW_READER_USERNAME": "writer"}, "one name for two accounts"),
        ({"MLFLOW_READER_USERNAME": "Reader"}, "small letters"),
        ({"MLFLOW_ADMIN_PASSWORD": "", "MLFLOW_ADMIN_PASSWORD_FILE": "/nowhere"}, "cannot read /nowhere"),
        ({"MLFLOW_SERVER_WORKERS": "0"}, "MLFLOW_SERVER_WORKERS: found '0'"),
        ({"MLFLOW_DATABASE_URL": "postgresql://me:word@host/x"}, "found no file of sqlite"),
        ({"MLFLOW_DATABASE_URL": "postgresql://host/x?password=me:word"}, "found no file of sqlite"),
        ({"MLFLOW_DATABASE_URL": ""}, "MLFLOW_DATABASE_PASSWORD: found nothing"),
        ({"MLFLOW_DATABASE_PASSWORD": "me:word-123456"}, "found it beside MLFLOW_DATABASE_URL"),
        ({"MLFLOW_DATABASE_PASSWORD_FILE": "/nowhere"}, "found it beside MLFLOW_DATABASE_URL"),
    ],
)
def test_wrong_settings_start_nothing(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    """A missing or weak secret ends the server before it starts, with exit 2 and one line without secrets."""
    done = subprocess.run(
        [sys.executable, SERVE], env=environment(tmp_path, **changes), capture_output=True, text=True
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not [secret for secret in (*SECRETS.values(), "me:word") if secret in done.stderr]
    assert list(tmp_path.iterdir()) == []


def test_settings_show_no_secret(tmp_path: Path) -> None:
    """Printed, in a traceback say, neither they nor an account of theirs hold a password or key."""
    secrets = {**SECRETS, "MLFLOW_DATABASE_PASSWORD": "database-secret-123456"}
    code = "import os, settings; found = settings.read_settings(os.environ); print(found, found.admin)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(tmp_path, MLFLOW_DATABASE_URL="", **secrets),
        cwd=SERVE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "postgresql+psycopg2://mlflow@postgres:5432/mlflow" in done.stdout
    assert "'writer'" in done.stdout
    assert not [secret for secret in secrets.values() if secret in done.stdout]
