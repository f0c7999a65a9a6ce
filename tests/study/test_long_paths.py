"""Paths that are longer than databases or file systems allow are refused by name, whatever the command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from study.errors import UserError
from study.home import LONGEST_PATH, Home
from tests.command import study
from tracking import Ledger

COMMANDS = [
    ("plan", "quickstart"),
    ("launch", "quickstart", "--here"),
    ("status", "quickstart"),
    ("analyse", "quickstart", "--json"),
    ("sync",),
    ("ui",),
]


def padded(folder: Path, length: int) -> Path:
    """A path of so many bytes in a folder."""
    while length - len(os.fsencode(folder)) > 200:
        folder /= "x" * 150
    return folder / ("ü" + "y" * (length - len(os.fsencode(folder)) - 3))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_home_that_no_database_can_open_is_refused(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reading and training commands say how long the path is and may be, with exit 2, and make nothing."""
    for home, words in (
        (padded(tmp_path, 510), "the path of its ledger.sqlite has 524 bytes; wanted at most 504"),
        (tmp_path / ("z" * 300), "a name in its path has 300 bytes; wanted at most 255"),
    ):
        assert study(*command, "--home", str(home)) == 2
        said = capsys.readouterr().err
        assert said.startswith("error home ")
        assert words in said
        assert "choose a shorter one with --home" in said
        assert not any(tmp_path.iterdir())


def test_the_limit_is_sqlites_own(tmp_path: Path) -> None:
    """The longest path that is accepted can be opened and written; a study's own storage counts too."""
    home = Home(padded(tmp_path, LONGEST_PATH - len("/ledger.sqlite")))
    home.prepare()
    Ledger(home.ledger).close()
    with (
        pytest.raises(UserError, match=r"the path of its a-study\.sqlite has 512 bytes"),
        home.hold("a-study"),
    ):
        pytest.fail("was held")
    with pytest.raises(UserError, match=r"ledger\.sqlite has 505 bytes"):
        Home(padded(tmp_path, LONGEST_PATH + 1 - len("/ledger.sqlite")))


def test_a_folder_for_exports_with_too_long_a_name_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--out` answers like `--home`."""
    place = str(tmp_path / ("z" * 300))
    assert study("export", "quickstart", "--home", str(tmp_path / "home"), "--out", place) == 2
    assert "cannot be written (File name too long); choose another folder" in capsys.readouterr().err
