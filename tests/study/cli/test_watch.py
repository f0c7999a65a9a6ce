"""`study watch` in terminals of several sizes, while another process writes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from study.home import Home
from tests.fabricated import WIDE, fabricate, hill
from tests.terminals import ROOT, Terminal, plain


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A spec of 162 cells."""
    path = tmp_path / "tiny.yaml"
    path.write_text(WIDE)
    return path


@contextmanager
def watched(spec: Path, home: Path, width: int, height: int, **env: str) -> Iterator[Terminal]:
    """A terminal in which the study is watched."""
    terminal = Terminal(["watch", str(spec), "--home", str(home)], width, height, env)
    try:
        yield terminal
    finally:
        terminal.close()


def fits(terminal: Terminal, width: int, height: int) -> bool:
    """Whether every screen fits into the terminal."""
    assert terminal.screens
    return all(len(lines) <= height and max(map(len, lines)) <= width for lines in terminal.screens)


def test_a_map_fills_until_the_study_is_complete(spec: Path, tmp_path: Path) -> None:
    """The watch begins before the study, shows cells as they are stored, and ends with the study."""
    home = tmp_path / "home"
    with watched(spec, home, 80, 24) as terminal:
        assert terminal.until(lambda text: "waiting: nothing is stored yet" in plain(text))
        fabricate(spec, home, hill, skip=lambda cell: cell.seed > 0)
        assert terminal.until(lambda text: "54 of 162 cells" in plain(text))
        assert "\x1b[38;" in terminal.text  # colours
        fabricate(spec, home, hill)
        assert terminal.ended() == 0
        assert fits(terminal, 80, 24)
        assert "162 of 162 cells, complete" in terminal.left
        assert "██" in terminal.left
        assert "××" in terminal.left
        assert terminal.text.count("\x1b[?1049h") == terminal.text.count("\x1b[?1049l") == 1


def test_ctrl_c_leaves_the_last_look(spec: Path, tmp_path: Path) -> None:
    """Ctrl-C ends with 130, gives the terminal back, and leaves the maps in it; NO_COLOR is kept to."""
    fabricate(spec, tmp_path / "home", hill, skip=lambda cell: cell.seed > 0)
    with watched(spec, tmp_path / "home", 200, 60, NO_COLOR="1") as terminal:
        assert terminal.until(lambda text: "54 of 162 cells" in plain(text))
        terminal.interrupt()
        assert terminal.ended() == 130
        assert fits(terminal, 200, 60)
        assert "no launch runs on this machine" in terminal.left
        assert "Traceback" not in terminal.text
        assert "\x1b[38;" not in terminal.text


@pytest.mark.long
def test_a_real_launch_is_followed_and_outlived(spec: Path, tmp_path: Path) -> None:
    """Beside a launch in another process: its death is told, and the next launch is followed to the end."""
    home = tmp_path / "home"
    command = [sys.executable, "-m", "study.cli", "launch", str(spec), "--here", "--home", str(home)]

    def launched() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    with watched(spec, home, 80, 24) as terminal:
        assert terminal.until(lambda text: "waiting" in text, 120)
        writer = launched()
        assert terminal.until(lambda text: f"launched by process {writer.pid}" in plain(text), 200), (
            terminal.text[-1500:]
        )
        writer.kill()
        writer.wait()
        seen = len(terminal.text)
        assert terminal.until(lambda text: "no launch runs" in text[seen:] or "waiting" in text[seen:], 60), (
            terminal.screens[-1]
        )
        writer = launched()
        assert terminal.ended(280) == 0, terminal.text[-2000:]
        assert writer.wait() == 0
    assert not Home(home).trains("tiny")


def test_a_terminal_that_cannot_be_redrawn_gets_one_look(spec: Path, tmp_path: Path) -> None:
    """With TERM=dumb one look is printed, without a code, and the exit code says that it is incomplete."""
    fabricate(spec, tmp_path / "home", hill, skip=lambda cell: cell.seed > 0)
    with watched(spec, tmp_path / "home", 80, 24, TERM="dumb") as terminal:
        assert terminal.ended() == 3
        assert "\x1b" not in terminal.text
        assert "54 of 162 cells" in terminal.text
