"""What all verbs of the command line have in common. Their answers are tested in the rooms behind them."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pytest

from study.home import Home
from tests.command import study
from tests.fabricated import fabricate, hill


def test_exit_codes(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 done, 3 the study is incomplete, 2 the input is wrong: then a message without a traceback."""
    home = tmp_path / "home"
    assert study("plan", str(tiny), "--home", str(home)) == 0
    assert study("status", str(tiny), "--home", str(home)) == 3
    fabricate(tiny, home, hill)
    assert study("status", str(tiny), "--home", str(home)) == 0
    capsys.readouterr()
    for words in (
        ("plan", "no-such-spec"),
        ("ui", "--home", str(tmp_path / "none")),
        ("no-such-verb",),
        ("plan",),
    ):
        assert study(*words) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err
        assert "Traceback" not in said.err


def test_a_ledger_that_cannot_be_read_is_not_the_users_mistake(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1, and one message."""
    home = Home(tmp_path / "home")
    home.prepare()
    home.ledger.write_bytes(b"no database " * 1000)
    assert study("status", str(tiny), "--home", str(home.root)) == 1
    assert capsys.readouterr().err.startswith("error ")


@pytest.mark.parametrize(
    "words", [("export", "{spec}"), ("figures", "{spec}"), ("compare", "{spec}", "none", "unit_norm")]
)
def test_an_out_that_is_no_folder(
    words: tuple[str, ...], tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every verb that writes refuses a file in place of a folder with exit 2, and leaves the file alone."""
    home, file = tmp_path / "home", tmp_path / "file"
    fabricate(tiny, home, hill)
    file.write_text("mine")
    command = [word.format(spec=tiny) for word in words]
    assert study(*command, "--home", str(home), "--out", str(file)) == 2
    assert "is a file; give a folder" in " ".join(capsys.readouterr().err.split())
    assert file.read_text() == "mine"


@pytest.mark.parametrize("words", [("specs",), ("--help",), ("plan", "--help"), ()], ids=" ".join)
def test_a_reader_that_leaves_is_no_fault_of_the_users_code(words: tuple[str, ...]) -> None:
    """`study --help | head` ends in silence: rich ends Python where a pipe is closed, in any console."""
    code = (
        "import os, sys\n"
        "read, write = os.pipe()\nos.close(read)\nos.dup2(write, 1)\n"
        f"sys.argv = {['study', *words]}\nfrom study.cli import main\nmain()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version of the installed distribution and nothing else, with exit 0, even before a wrong verb."""
    for words in (("--version",), ("--version", "no-such-verb")):
        assert study(*words) == 0
        assert capsys.readouterr().out == f"{version('stability-study')}\n"


def test_verbose_logs_to_standard_error_only(capsys: pytest.CaptureFixture[str]) -> None:
    """With `-v` or `--verbose` the parts of the program log to standard error; standard output stays JSON."""
    rooms = [logging.getLogger(room) for room in ("study", "tracking", "trainers")]
    before = [(room.level, list(room.handlers)) for room in rooms]
    for flag, expected in (((), 0), (("-v",), 3), (("--verbose",), 3)):
        try:
            assert study(*flag, "specs", "--json") == 0
            for name in ("study.run.launch", "tracking.ledger", "trainers.fused", "mlflow.store"):
                logging.getLogger(name).info("said by %s", name)
        finally:
            for room, (level, handlers) in zip(rooms, before, strict=True):
                room.setLevel(level)
                room.handlers = list(handlers)
        said = capsys.readouterr()
        assert json.loads(said.out)[0]["name"]
        assert len(re.findall(r"^[\d: ,-]+ [\w.]+: said by (?!mlflow)", said.err, re.MULTILINE)) == expected
        assert len(said.err.splitlines()) == expected


@pytest.mark.parametrize(
    ("shell", "word"), [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "--command")]
)
def test_completion(
    shell: str, word: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--show-completion` prints a script that the shell reads."""
    # Without this typer takes the shell that started the tests, if any, and not the one that is named.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    assert study("--show-completion", shell) == 0
    script = capsys.readouterr().out
    assert word in script
    assert f"complete_{shell}" in script


LIGHT = """
import sys
sys.argv = ["study", *sys.argv[1:]]
from study.cli import main
try:
    main()
except SystemExit as end:
    assert end.code in (0, 3), end.code
heavy = {"numpy", "scipy", "scipy.optimize", "pandas", "torch", "matplotlib", "optuna", "mlflow", "ray"}
print(*heavy & set(sys.modules), file=sys.stderr)
"""
NEEDED: Mapping[str, set[str]] = {"plan": {"numpy", "scipy"}, "status": set()}
"""The power that a plan says is a matter of scipy's distributions."""


@pytest.mark.parametrize("verb", ["plan", "status"])
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["words", "JSON"])
def test_answers_without_heavy_libraries(verb: str, form: tuple[str, ...], tmp_path: Path) -> None:
    """What a study would train and what is stored of it takes no library that is not needed for it."""
    command = [sys.executable, "-c", LIGHT, verb, "quickstart", "--home", str(tmp_path / "none"), *form]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stderr.split()) == NEEDED[verb]
    assert done.stdout
