"""What a launch does with a tracker's address that has a password in it, and who can read a home."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from study.home import Home
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
