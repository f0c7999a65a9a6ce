"""A cluster is reached by its address alone, or refused in one sentence."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from study.cluster import jobs
from study.cluster.address import check_address
from study.cluster.jobs import Jobs, RefusedError, UnreachableError
from study.errors import PoolError, UserError

VERSION = json.dumps({"version": "4", "ray_version": "2.60.0", "ray_commit": "", "session_name": ""})
DUPLICATE = """Traceback (most recent call last):
ValueError: Job with submission_id study-a already exists. Please use a different submission_id.
"""
Answers = dict[str, tuple[int, str]]


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setattr(jobs, "REQUEST_SECONDS", 0.5)


@contextmanager
def head(answers: Answers) -> Iterator[str]:
    """A web server that answers each path, takes every package, and has nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            other = (200, "") if self.path.startswith("/api/packages/") else (404, "does not exist")
            status, text = answers.get(self.path, other)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_PUT = do_DELETE = do_GET

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    "address",
    [
        *("head:8265", "ftp://head:8265", "http://", "http://head:port", "http://head:99999", "http://[::1"),
        *(
            "http://he ad:1",
            "http://head:1/\x1b[2J",
            "http://head:1/?token=s3cr3t",
            "http://head:1/#s3cr3t",
            "",
        ),
        *("http://me:s3cr3t@head:1", "http://s3cr3t@head:1", "http://me:s3/cr3t@head:1", "me:a s3cr3t@head"),
    ],
)
def test_an_address_that_is_none(address: str) -> None:
    """Refused with what is wanted; a password, or what may be one, is not shown."""
    with pytest.raises(UserError, match=r"--cluster ") as refused:
        check_address(address)
    assert "s3" not in str(refused.value)
    assert ("RAY_AUTH_TOKEN" in str(refused.value)) == ("@" in address)


def test_addresses_that_are_taken() -> None:
    """With a path too, as behind a proxy."""
    assert check_address("http://head:8265/") == "http://head:8265"
    assert check_address("https://proxy/ray/one/") == "https://proxy/ray/one"
    assert check_address("http://[::1]:8265") == "http://[::1]:8265"


@pytest.mark.parametrize(
    ("version", "kind", "words"),
    [
        ((404, ""), PoolError, "has no jobs of Ray's"),
        ((200, "<html>"), PoolError, "has no jobs of Ray's"),
        ((200, "{}"), PoolError, "has no jobs of Ray's"),
        ((200, "[]"), PoolError, "has no jobs of Ray's"),
        ((200, '{"ray_version": "new"}'), PoolError, "has no jobs of Ray's"),
        ((500, ""), PoolError, "has no jobs of Ray's"),
        ((200, VERSION.replace("2.60.0", "2.49.1")), PoolError, "has Ray 2.49.1; wanted at least 2.50"),
        (
            (401, "missing"),
            UserError,
            "asks for the token of its Ray cluster: found none; set RAY_AUTH_TOKEN",
        ),
        ((403, "Invalid"), UserError, "asks for the token of its Ray cluster: found another one; set RAY_"),
    ],
)
def test_what_is_no_cluster_for_us(version: tuple[int, str], kind: type[Exception], words: str) -> None:
    """Another server, an old Ray, a token that is missing or wrong: one sentence with the address."""
    with head({"/api/version": version}) as address, pytest.raises(kind, match=words) as refused:
        Jobs(address)
    assert str(refused.value).startswith(address)
    assert "\n" not in str(refused.value)


def nobody() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("why", ["Connection refused", "no answer in 0.5 s"])
def test_nobody_answers(why: str) -> None:
    """A closed port, and one that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1] if "answer" in why else nobody()
        with pytest.raises(UnreachableError, match=rf"cannot reach .*:{port} \({why}\); start it"):
            Jobs(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("name", ["RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"])
def test_no_variable_names_another_cluster(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray obeys them even where it is given an address: the launch would go elsewhere."""
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    with head({"/api/version": (200, VERSION), "/api/jobs/": (200, "[]")}) as address:
        assert Jobs(address).running("tiny") == []


def submit(found: Jobs, folder: Path) -> object:
    return found.submit("study-a", "true", folder, {})


QUESTIONS: dict[str, Callable[[Jobs, Path], object]] = {
    "/api/jobs/study-a": lambda found, folder: found.find("study-a"),
    "/api/jobs/": lambda found, folder: found.running("a"),
}


@pytest.mark.parametrize("path", QUESTIONS)
def test_a_head_that_is_starting_is_asked_again(path: str, tmp_path: Path) -> None:
    """It answers with errors of its own until it has all that jobs need."""
    answers = {"/api/version": (200, VERSION), path: (503, "Traceback\nRuntimeError: No available agent\n")}
    with head(answers) as address, pytest.raises(UnreachableError, match="Error: No available agent"):
        QUESTIONS[path](Jobs(address), tmp_path)


@pytest.mark.filterwarnings("ignore:ssl=None is deprecated")  # of Ray's own client
def test_what_nobody_knows() -> None:
    """An unknown job is None, its log ends at once, and forgetting it does nothing."""
    with head({"/api/version": (200, VERSION)}) as address:
        found = Jobs(address)
        assert found.find("study-a") is None
        assert list(found.follow("study-a")) == []
        found.forget("study-a")
        with pytest.raises(RefusedError, match="answered: does not exist"):
            found.text("study-a")


@pytest.mark.parametrize(("text", "new"), [(DUPLICATE, False), ("Traceback\nNo available agent\n", None)])
def test_an_id_that_is_taken(text: str, new: bool | None, tmp_path: Path) -> None:
    """Somebody submitted the same in this moment, which is no error; any other refusal is."""
    answers = {"/api/version": (200, VERSION), "/api/jobs/": (500, text)}
    with head(answers) as address:
        found = Jobs(address)
        if new is None:
            with pytest.raises(UnreachableError, match="No available agent"):
                submit(found, tmp_path)
        else:
            assert submit(found, tmp_path) is new
