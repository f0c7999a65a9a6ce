"""`study ui` runs MLflow's own files alone, and answers to the names that it was given."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from study.errors import UserError
from study.home import Home
from study.run.mlflow_ui import answered, command
from tests import database

TRAP = "from pathlib import Path\nPath({mark!r}).write_text('ran')\nraise RuntimeError('the wrong file')\n"
"""A file of the user's that has the name of a module which MLflow imports."""


def status(port: int, host: str) -> int:
    """Of the answer to a search for experiments, asked by that name."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        path = "/api/2.0/mlflow/experiments/search?max_results=1"
        asked.request("GET", path, headers={"Host": host})
        return asked.getresponse().status
    finally:
        asked.close()


def test_the_ui_runs_no_file_of_the_current_folder_or_the_home(tmp_path: Path) -> None:
    """Files called `mlflow.py` and `statistics.py` are left alone, and other names than the given refused."""
    home, mark = Home(tmp_path / "home"), tmp_path / "ran"
    home.root.mkdir()
    for folder in (tmp_path, home.root):
        for name in ("mlflow.py", "statistics.py", "uvicorn.py"):
            (folder / name).write_text(TRAP.format(mark=str(mark)))
    if database.template is None:
        database.migrate(home.mlflow_database)
    else:
        database.begin(home.mlflow_database)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # -P keeps the current folder off the command's own path, as the installed command has it.
    line = [sys.executable, "-P", "-m", "study.cli", "ui", "--home", "home", "--port", str(port)]
    process = subprocess.Popen(
        [*line, "--name", "studies.test"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true"},
    )
    try:
        deadline, found = time.monotonic() + 90, 0
        while found != 200 and time.monotonic() < deadline and process.poll() is None:
            try:
                found = status(port, f"localhost:{port}")
            except OSError:
                time.sleep(0.3)
        assert found == 200
        for name in ("127.0.0.1", f"127.0.0.1:{port}", "[::1]:8080", "studies.test", "studies.test:80"):
            assert status(port, name) == 200, name
        for name in ("evil.test", "studies.test.evil.test", "10.0.0.5", "192.168.1.9:5000", "0.0.0.0"):
            assert status(port, name) == 403, name
    finally:
        process.terminate()
        process.wait(timeout=30)
    assert not mark.exists()


def test_an_interface_of_many_names_needs_one() -> None:
    """Beside loopback only the given names are answered; every interface at once has none of its own."""
    assert answered("127.0.0.1", ["a.test"]) == ["localhost", "127.0.0.1", "[::1]", "a.test"]
    assert answered("192.168.1.9", []) == ["192.168.1.9"]
    assert answered("fd00::1", ["a.test"]) == ["[fd00::1]", "a.test"]
    assert answered("0.0.0.0", ["a.test", "a.test"]) == ["a.test"]
    for host in ("0.0.0.0", "::"):
        with pytest.raises(UserError, match="listens on every interface; give the name"):
            answered(host, [])
    for name in ("*", "a.test:80", "http://a.test", "", "a,b"):
        with pytest.raises(UserError, match="wanted the name or address of a machine, without a port"):
            answered("127.0.0.1", [name])
    line = command(Home(Path("home")), "192.168.1.9", 5000, answered("192.168.1.9", []))
    assert line[line.index("--allowed-hosts") + 1] == "192.168.1.9,192.168.1.9:*"
    assert "http://192.168.1.9:*" in line[line.index("--cors-allowed-origins") + 1].split(",")
