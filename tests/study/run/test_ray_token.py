"""Ray's token is this user's alone, whoever made it."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.run.ray_token import keep_token_private


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
