"""Ray's token is this user's alone, whoever made it."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from study.run import ray_token
from study.run.ray_token import keep_token_private, use_found_token
from study.run.token_question import asks_for_token


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the token of a user with an empty home folder belongs."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".ray" / "auth_token"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_token_is_made_for_its_user_alone(token: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new token can be read by its user alone; what it is, is said once."""
    keep_token_private()
    assert (mode(token), mode(token.parent)) == (0o600, 0o700)
    said = capsys.readouterr().err
    assert f"{token}: made the password of your Ray clusters" in said
    assert len(made := token.read_text()) == 64
    assert made not in said
    keep_token_private()
    assert token.read_text() == made
    assert capsys.readouterr().err == ""


def test_a_token_of_rays_own_is_closed(token: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that Ray made for everybody to read keeps its content and loses its readers."""
    token.parent.mkdir()
    token.write_text("secret")
    token.chmod(0o644)
    keep_token_private()
    assert (mode(token), token.read_text()) == (0o600, "secret")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("name", "value"), [("RAY_AUTH_MODE", "disabled"), ("RAY_AUTH_TOKEN", "x")])
def test_no_token_where_none_is_used(
    name: str, value: str, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made where Ray asks for no token, or is given one."""
    monkeypatch.setenv(name, value)
    keep_token_private()
    assert not token.parent.exists()


@pytest.mark.parametrize(("asks", "used"), [(True, True), (False, False), (None, True)])
def test_a_found_token_is_used_where_it_is_asked_for(
    asks: bool | None, used: bool, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster without a token has workers that cannot send one; where it cannot be told, it is used."""
    monkeypatch.setattr(ray_token, "asks_for_token", lambda address: asks)
    monkeypatch.setenv("RAY_AUTH_MODE", "")
    assert not use_found_token("h:1")
    token.parent.mkdir()
    token.write_text("secret")
    assert use_found_token("h:1") is used
    assert os.environ["RAY_AUTH_MODE"] == ("token" if used else "")


@pytest.mark.parametrize(
    ("said", "asks"),
    [
        (b"\0\x0bgrpc-status\x0216\0\x0cgrpc-message>InvalidAuthToken: missing", True),
        (b"@\x0bgrpc-status\x010", False),
        (b"HTTP/1.1 400 Bad Request", None),
        (b"", None),
    ],
)
def test_a_cluster_says_whether_it_asks_for_a_token(said: bytes, asks: bool | None) -> None:
    """From its first answer; of anything else it cannot be told."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection = server.accept()[0]
            with connection:
                connection.recv(2**12)
                connection.sendall(said)

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        assert asks_for_token(f"127.0.0.1:{server.getsockname()[1]}") is asks
        serving.join()


def test_where_it_cannot_be_told() -> None:
    """Other kinds of addresses, and ports where nobody is."""
    for address in ("auto", "ray://127.0.0.1:10001", "127.0.0.1:99999", "127.0.0.1:9", "h"):
        assert asks_for_token(address) is None
