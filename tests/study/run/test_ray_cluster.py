"""A cluster is reached or refused in seconds, in words, and before anything else is done."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from study.errors import PoolError, UserError
from study.run import launch as launching
from study.run import ray_cluster
from study.run.ray_environment import check_temporary_folder
from tests.command import study
from tests.conftest import ONE_CELL

RAW = b"[2026-11-27 16:23:30,357 W 29406 29406] gcs_client.cc:210: Failed to get cluster ID: %b\n"


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Ray would take the machine's own address, these tests stay on the loopback interface."""
    monkeypatch.setattr(ray_cluster.ray.util, "get_node_ip_address", lambda: "127.0.0.1")


@contextmanager
def website() -> Iterator[int]:
    """The port of a web server, as Ray's own dashboard is one."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        server.RequestHandlerClass.log_message = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


@contextmanager
def silence() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    "address", ["ray://me:{}@127.0.0.1:9", "http://me:2024/{}@127.0.0.1:9", "me:a {}@h:1"]
)
def test_a_password_in_an_address_is_refused(address: str) -> None:
    """Ray has no use for one, and it is not shown; with `/` or a blank in it, too."""
    told: list[str] = []
    connection = ray_cluster.connected(address.format("s3cr3t"), told.append)
    with pytest.raises(UserError, match="RAY_AUTH_MODE") as caught, connection:
        pass
    assert "s3cr3t" not in f"{caught.value}{told}"


@pytest.mark.parametrize(
    ("peer", "why"), [(website, "what listens there is not Ray"), (silence, "no answer in 0.3 s")]
)
def test_what_is_not_ray_is_refused_at_once(peer: object, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A web server, or a port that stays silent: Ray itself would try for minutes."""
    monkeypatch.setattr(ray_cluster, "REPLY", 0.3)
    started = time.monotonic()
    with peer() as port, pytest.raises(PoolError, match=why):  # type: ignore[operator]
        ray_cluster.check_reachable(f"127.0.0.1:{port}")
    assert time.monotonic() - started < 2


def test_a_wrong_address_is_said_before_data_is_loaded(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1 with the address, no data loaded, no home made, and the same words in the JSON."""
    monkeypatch.setattr(launching, "fingerprints_of_data", lambda spec: pytest.fail("data was loaded"))
    home = tmp_path / "home"
    with website() as port:
        address = f"127.0.0.1:{port}"
        assert study("launch", str(tiny), "--home", str(home), "--address", address, "--json") == 1
    said = capsys.readouterr()
    assert f"cannot connect to Ray at {address} (what listens there is not Ray)" in said.err
    assert f"cannot connect to Ray at {address} (what listens there is not Ray)" in said.out
    assert not home.exists()


def test_a_study_that_lacks_nothing_needs_no_cluster(tmp_path: Path) -> None:
    """It is shown and analysed with whatever address, and with whatever temporary folder."""
    spec, home = tmp_path / "one.yaml", tmp_path / "home"
    spec.write_text(ONE_CELL)
    assert study("launch", str(spec), "--home", str(home), "--here") == 0
    assert study("launch", str(spec), "--home", str(home), "--address", "127.0.0.1:9") == 0


def test_rays_raw_lines_are_not_shown_but_their_cause_is() -> None:
    """The last line of Ray's core is part of the error, without its time and place; a token is advised."""
    raw = RAW % b"TimedOut" + RAW % b"RPC error: InvalidAuthToken: token is missing"
    said = str(ray_cluster._unreachable("host:1", "ConnectionError: no", raw))
    assert "gcs_client.cc" not in said
    assert "Failed to get cluster ID: RPC error: InvalidAuthToken: token is missing" in said
    assert "set RAY_AUTH_MODE=token" in said
    assert "start it, name another" in str(ray_cluster._unreachable("host:1", "refused"))


def stubborn() -> None:
    """As Ray's own tries do, go on after any error."""
    while True:
        with suppress(Exception):
            time.sleep(5)


def test_a_try_that_takes_too_long_is_ended() -> None:
    """Not even code that catches every error goes on after the time is over; the alarm is gone afterwards."""
    started = time.monotonic()
    with pytest.raises(ray_cluster._TooLong), ray_cluster._deadline(0.2):
        stubborn()
    assert time.monotonic() - started < 2
    with ray_cluster._deadline(0.2):
        pass
    time.sleep(0.3)


@pytest.mark.parametrize(
    ("address", "named", "noted", "words"),
    [
        ("10.0.0.7:6379", None, "", "10.0.0.7:6379, named by --address 10.0.0.7:6379"),
        ("10.0.0.7:6379", "10.0.0.7:6379", "", "10.0.0.7:6379, named by RAY_ADDRESS=10.0.0.7:6379"),
        ("auto", "10.0.0.7:6379", "", "10.0.0.7:6379, named by RAY_ADDRESS=10.0.0.7:6379"),
        ("auto", None, "10.0.0.7:6379", "found by the address `auto` in {file}, of user "),
        ("auto", None, "10.0.0.9:6379", "found by the address `auto` among the running processes"),
        ("auto", "auto", "", "found by the address `auto` among the running processes"),
    ],
)
def test_the_cluster_that_is_used_is_named(
    address: str, named: str | None, noted: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `auto` too, which takes any cluster of the machine: its address and what led to it."""
    monkeypatch.setattr(
        ray_cluster.ray, "get_runtime_context", lambda: SimpleNamespace(gcs_address="10.0.0.7:6379")
    )
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    if named is None:
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
    else:
        monkeypatch.setenv("RAY_ADDRESS", named)
    file = tmp_path / "ray" / "ray_current_cluster"
    if noted:
        file.parent.mkdir()
        file.write_text(noted)
    said = ray_cluster.found_at(address)
    assert said.startswith("10.0.0.7:6379, ")
    assert words.format(file=file) in said


@pytest.mark.parametrize(
    ("folder", "words"),
    [("/tmp/" + "l" * 60, "has 65 characters; wanted at most "), ("/tmp/übung", "is not ASCII")],
)
def test_a_temporary_folder_that_ray_cannot_use_is_named(
    folder: str,
    words: str,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Too long for a socket, or not ASCII: exit 2 with the variable's name before Ray is started."""
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", folder)
    assert study("launch", str(tiny), "--home", str(tmp_path / "home")) == 2
    said = capsys.readouterr().err
    assert f"TMPDIR={folder} {words}" in said
    assert "set RAY_TMPDIR to a short path" in said
    assert not (tmp_path / "home").exists()
    # Ray looks at its own variable first.
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    check_temporary_folder()


def test_the_longest_temporary_folder_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many characters as the refusal allows are taken, and one more is refused."""
    monkeypatch.setenv("RAY_TMPDIR", "/" + "l" * 200)
    with pytest.raises(UserError, match=r"wanted at most \d+") as refused:
        check_temporary_folder()
    most = int(str(refused.value).partition("at most ")[2].partition(",")[0])
    monkeypatch.setenv("RAY_TMPDIR", "/" + "l" * (most - 1))
    check_temporary_folder()
    monkeypatch.setenv("RAY_TMPDIR", "/" + "l" * most)
    with pytest.raises(UserError):
        check_temporary_folder()
