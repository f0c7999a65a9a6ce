"""What a command says of itself while somebody waits for it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from tests.fabricated import fabricate, hill


def on_a_terminal(command: list[str]) -> tuple[bytes, str]:
    """Standard output of a command, and what it showed on a terminal that is its standard error."""
    ours, theirs = pty.openpty()
    # Some systems that run tests say that their terminal can do nothing.
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    # A file: of a pipe that nobody reads meanwhile the command would wait for the reader.
    with TemporaryFile() as file:
        process = subprocess.Popen(command, stdout=file, stderr=theirs, env=environment)
        os.close(theirs)
        seen = b""
        # Linux answers with an error when the other side is closed.
        with suppress(OSError):
            while part := os.read(ours, 65_536):
                seen += part
        os.close(ours)
        assert process.wait(timeout=60) == 0, seen
        file.seek(0)
        return file.read(), seen.decode()


def test_long_work_is_named_on_a_terminal(tiny: Path, tmp_path: Path) -> None:
    """While a study is read and analysed a line says so; standard output is JSON and nothing else."""
    fabricate(tiny, tmp_path / "home", hill)
    command = [sys.executable, "-m", "study.cli", "analyse", str(tiny), "--home", str(tmp_path / "home")]
    out, seen = on_a_terminal([*command, "--json"])
    assert json.loads(out)["cells"]["finished"] > 0
    reading = seen.index("reading what is stored of ")
    assert reading < seen.index("analysing 36 cells")


def test_scripts_are_told_nothing(tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Where standard error is no terminal, nobody waits at it, and it stays empty."""
    from tests.command import study

    fabricate(tiny, tmp_path / "home", hill)
    capfd.readouterr()
    assert study("export", str(tiny), "--home", str(tmp_path / "home"), "--out", str(tmp_path / "out")) == 0
    assert capfd.readouterr().err == ""
