"""`study ui` runs MLflow's own files alone, and answers to the names that it was given."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from study.errors import UserError
from study.home import Home
from study.report.terminal.ui import ui_lines
from study.run import ui_answers
from study.run.mlflow_ui import address, addresses, answered, command, reached_at, refuse_taken
from tests.listening import addresses as listening
from tracking.mlflow_page import CELLS, Page, View, column, table
from tracking.mlflow_store import MlflowStore

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


def answer_of(port: int, path: str) -> bytes:
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        asked.request("GET", path)
        return asked.getresponse().read()
    finally:
        asked.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def moved_home(tmp_path: Path) -> tuple[Home, str]:
    """A home with one study in MLflow, which was moved since; and the study's own run."""
    origin = Home(tmp_path / "origin")
    origin.root.mkdir()
    store = MlflowStore(origin.mlflow_uri, "tiny", origin.mlflow_artifacts)
    report = tmp_path / "report.html"
    report.write_text("<p>a report</p>")
    view = View("cells", {column("params", "lr"): 100}, column("params", "lr"))
    store.finish({}, {}, [report], lambda place: Page("note", {CELLS: view}))
    origin.root.rename(tmp_path / "home")
    return Home(tmp_path / "home"), store.parent_id


def test_the_ui_runs_no_file_of_the_current_folder_or_the_home(tmp_path: Path) -> None:
    """Files called `mlflow.py` and `statistics.py` are left alone, and other names than the given refused.

    Each study's page is named once the server answers, and nothing is said of requests. The files of a home
    that was moved are shown. All of it is on the loopback interface alone, and nothing listens once the
    command's process has ended.
    """
    home, run = moved_home(tmp_path)
    mark = tmp_path / "ran"
    for folder in (tmp_path, home.root):
        for name in ("mlflow.py", "statistics.py", "uvicorn.py", "json.py"):
            (folder / name).write_text(TRAP.format(mark=str(mark)))
    port = free_port()
    # -P keeps the current folder off the command's own path, as the installed command has it.
    line = [sys.executable, "-P", "-m", "study.cli", "ui", "--home", "home", "--port", str(port)]
    heard = tmp_path / "heard"
    with heard.open("wb") as out:
        process = subprocess.Popen(
            [*line, "--name", "studies.test"],
            cwd=tmp_path,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true"},
        )
    page = f"http://127.0.0.1:{port}/{table('1')}"
    try:
        deadline = time.monotonic() + 200
        while page not in heard.read_text() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        assert page in heard.read_text(), heard.read_text()
        for name in ("127.0.0.1", f"127.0.0.1:{port}", "[::1]:8080", "studies.test", "studies.test:80"):
            assert status(port, name) == 200, name
        for name in ("evil.test", "studies.test.evil.test", "10.0.0.5", "192.168.1.9:5000", "0.0.0.0"):
            assert status(port, name) == 403, name
        assert answer_of(port, f"/get-artifact?path=report.html&run_uuid={run}") == b"<p>a report</p>"
        # MLflow names the hosts that it answers to, and that cannot be told off.
        said = [one for one in heard.read_text().splitlines() if "Security middleware" not in one]
        live = said[-1].rsplit(" ", 1)[1]
        assert said == [
            "starting the MLflow UI of home",
            f"MLflow UI of home: http://127.0.0.1:{port}  (Ctrl-C ends it)",
            f"  tiny  {page}",
            f"reports that follow a launch: {live}",
        ]
        assert answer_of(int(live.rsplit(":", 1)[1]), "/").startswith(b"<!doctype html>")
        assert listening(process.pid) == {"127.0.0.1"}
    finally:
        process.terminate()
        process.wait(timeout=60)
    assert not mark.exists()
    ports = [port, int(live.rsplit(":", 1)[1])]
    deadline = time.monotonic() + 30
    while not all(map(is_free, ports)) and time.monotonic() < deadline:
        time.sleep(0.1)
    # The workers of the server and the pages end with it.
    assert all(map(is_free, ports))


def test_the_address_is_said_when_it_answers(tmp_path: Path) -> None:
    """Not before, not by whoever listens there with another answer, and never once the server has died.

    What was to be opened is opened then.
    """
    port, opened, browser = free_port(), tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {shlex.quote(str(opened))}\n')
    browser.chmod(0o700)
    pids = [os.getpid(), ended_process()]
    heard = [tmp_path / "heard", tmp_path / "unheard"]
    for pid, file in zip(pids, heard, strict=True):
        told = {"pid": pid, "host": "127.0.0.1", "port": port, "lines": ["here"], "open": "http://page"}
        with file.open("wb") as out:
            begun = [sys.executable, "-I", "-S", ui_answers.__file__]
            environment = {**os.environ, "BROWSER": f"{browser} %s"}
            subprocess.run(begun, input=json.dumps(told).encode(), stdout=out, check=True, env=environment)
    time.sleep(0.5)
    answers = iter([503, 200])

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(next(answers, 200))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Answering) as server:
        assert heard[0].read_text() == ""
        server.handle_request()
        assert heard[0].read_text() == ""
        server.handle_request()
        deadline = time.monotonic() + 30
        while not (opened.exists() and opened.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert [file.read_text() for file in heard] == ["here\n", ""]
    assert opened.read_text() == "http://page\n"


def ended_process() -> int:
    """The id of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    process.wait()
    return process.pid


def test_a_taken_port_is_wrong_input() -> None:
    """What listens there would be taken for the server: it is refused before MLflow is loaded."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match=r"cannot listen there .* choose another with --port"):
            refuse_taken("127.0.0.1", taken.getsockname()[1])
    refuse_taken("127.0.0.1", free_port())


def test_addresses_are_those_that_browsers_can_use() -> None:
    """Every interface at once is named by a name that was given; one of IPv6 stands in brackets."""
    assert address("0.0.0.0", 80, answered("0.0.0.0", ["a.test"])) == "http://a.test:80"
    assert address("fd00::1", 80, answered("fd00::1", [])) == "http://[fd00::1]:80"
    assert address("localhost", 80, answered("localhost", [])) == "http://localhost:80"
    assert (reached_at("0.0.0.0"), reached_at("::"), reached_at("a.test")) == ("127.0.0.1", "::1", "a.test")
    found = addresses("http://a.test", [("new", "1", True), ("old", "2", False)])
    assert found["old"] == "http://a.test/#/experiments/2/runs?workflowType=machine_learning"
    assert found["new"].endswith("&viewStateShareKey=study-cells")
    lines = ui_lines(Path("home"), "http://a.test", found, "http://a.test:81", plain=["old"])
    assert lines[3] == "reports that follow a launch: http://a.test:81"
    assert lines[2].split() == ["old", found["old"]]
    assert "to give old a table of its own" in lines[-1].replace("their own", "its own")
    assert "sync" in lines[-1]
    (line,) = (line for line in ui_lines(Path("home"), "at", {}, "", plain=[]) if "reports" in line)
    assert line.startswith("reports that follow a launch: not served, their process ended")


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
