"""What a launch does with a tracker's address that has a password in it, and who can read a home."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from study.errors import UserError
from study.home import Home
from study.run.tracker import address_of
from tests.command import answer, study
from tests.conftest import ONE_CELL
from tracking import Ledger

PASSWORD = "v3ry-s3cret"


@pytest.fixture
def one_cell(tmp_path: Path) -> Path:
    """A spec file of one cell."""
    path = tmp_path / "one.yaml"
    path.write_text(ONE_CELL)
    return path


def test_a_password_is_written_and_shown_nowhere(
    one_cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a launch nor a sync puts it into the home, the terminal or the JSON; the host is said."""
    home, address = tmp_path / "home", f"http://user:{PASSWORD}@127.0.0.1:9"
    words = (str(one_cell), "--home", str(home), "--tracking-uri", address)
    rooms = [logging.getLogger(room) for room in ("study", "tracking", "trainers")]
    before = [(room.level, list(room.handlers)) for room in rooms]
    try:
        assert study("-v", "launch", *words, "--here") == 0
    finally:
        for room, (level, handlers) in zip(rooms, before, strict=True):
            room.setLevel(level)
            room.handlers = list(handlers)
    said = capsys.readouterr()
    assert "http://***@127.0.0.1:9" in said.out
    (hint,) = [line for line in said.out.splitlines() if "send it later with" in line]
    assert "--tracking-uri @FILE" in hint
    assert "***" not in hint.partition("send it later with")[2]
    assert "chmod 600 FILE" in said.out
    code, synced = answer(capsys, "sync", *words)
    assert code == 3
    assert "http://***@127.0.0.1:9" in json.dumps(synced)
    assert PASSWORD not in said.out + said.err + json.dumps(synced)
    files = [path for path in home.rglob("*") if path.is_file()]
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []


def test_an_address_in_a_file(one_cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`@FILE` is the address in that file; a file that is not there, or has none, is named with exit 2."""
    home, file = tmp_path / "home", tmp_path / "address"
    words = ("launch", str(one_cell), "--home", str(home), "--here", "--tracking-uri", f"@{file}")
    assert study(*words) == 2
    assert "cannot be read (No such file or directory)" in capsys.readouterr().err
    file.write_text("two words\n")
    assert study(*words) == 2
    assert "has 2 words; wanted one" in capsys.readouterr().err
    assert not home.exists()
    database = f"sqlite:///{tmp_path / 'other.db'}"
    file.write_text(f"{database}\n")
    assert study(*words) == 0
    assert len(Ledger(Home(home).ledger, create=False).runs("tiny", database)) == 1


@pytest.mark.parametrize(
    "address", ["http://me:2024/{}@host:5000", "http://me:a {}@host", "http://me:{}#x@host"]
)
def test_an_unclear_address_is_refused(
    address: str, one_cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is written, with exit 2, what to write instead, and no part of the password."""
    home = tmp_path / "home"
    words = ("launch", str(one_cell), "--home", str(home), "--here")
    assert study(*words, "--tracking-uri", address.format(PASSWORD)) == 2
    said = capsys.readouterr()
    assert "--tracking-uri http://***@host" in said.err
    assert "%2F" in said.err
    assert PASSWORD not in said.out + said.err
    assert not home.exists()


def test_a_file_that_others_may_read_is_refused(
    one_cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only if there is a password in it; the command that closes it is said, and nothing is written."""
    home, file = Home(tmp_path / "home"), tmp_path / "my address"
    file.write_text(f"http://me:{PASSWORD}@127.0.0.1:9\n")
    file.chmod(0o640)
    words = ("launch", str(one_cell), "--home", str(home.root), "--here", "--tracking-uri", f"@{file}")
    assert study(*words) == 2
    said = capsys.readouterr()
    assert f"chmod 600 '{file}'" in said.err
    assert PASSWORD not in said.out + said.err
    assert not home.root.exists()
    file.chmod(0o600)
    assert address_of(f"@{file}", home) == f"http://me:{PASSWORD}@127.0.0.1:9"
    file.chmod(0o644)
    for address in ("http://127.0.0.1:9", "postgresql://me@127.0.0.1:9/mlflow"):
        file.write_text(f"{address}\n")
        assert address_of(f"@{file}", home) == address


def test_a_secret_that_a_container_mounts_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can close a file on a read-only file system, although it is readable to all and one's own."""
    home, file, address = Home(tmp_path / "home"), tmp_path / "secret", f"http://me:{PASSWORD}@127.0.0.1:9"
    file.write_text(f"{address}\n")
    file.chmod(0o444)
    with pytest.raises(UserError, match="chmod 600"):
        address_of(f"@{file}", home)
    writable = os.statvfs(file)
    mounted = os.statvfs_result([*writable[:8], writable.f_flag | os.ST_RDONLY, writable.f_namemax])
    monkeypatch.setattr(os, "fstatvfs", lambda file: mounted)
    assert address_of(f"@{file}", home) == address


@pytest.mark.parametrize("path", ["mlruns/a@b", "~/a@b", "file:a@b"])
def test_a_path_with_an_at_sign_is_told_how_paths_begin(path: str, tmp_path: Path) -> None:
    """It is not taken for an address whose password has to be escaped."""
    with pytest.raises(UserError, match="wanted a path that begins with /") as found:
        address_of(path, Home(tmp_path / "home"))
    assert "%2F" not in str(found.value)
    for good in (f"./{path}", f"{tmp_path}/{path}", "https://host/x?user=a@b"):
        assert address_of(good, Home(tmp_path / "home")) == good


@pytest.mark.parametrize("mask", [0o000, 0o777 - 0o700])
def test_a_new_home_is_its_owners(one_cell: Path, tmp_path: Path, mask: int) -> None:
    """Its folder is 0700, its ledger and MLflow database are 0600, whatever the umask."""
    home, before = Home(tmp_path / "home"), os.umask(mask)
    try:
        assert study("launch", str(one_cell), "--home", str(home.root), "--here") == 0
    finally:
        os.umask(before)
    assert mode(home.root) == 0o700
    assert (mode(home.ledger), mode(home.mlflow_database)) == (0o600, 0o600)


def test_a_home_that_was_opened_to_others_stays_open(one_cell: Path, tmp_path: Path) -> None:
    """Whoever lets colleagues read a home goes on doing so: a launch changes no mode that it finds."""
    home = Home(tmp_path / "home")
    assert study("launch", str(one_cell), "--home", str(home.root), "--here") == 0
    home.root.chmod(0o755)
    home.ledger.chmod(0o644)
    assert study("launch", str(one_cell), "--home", str(home.root), "--here") == 0
    assert (mode(home.root), mode(home.ledger)) == (0o755, 0o644)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777
