"""The whole way on a real head that asks for a token: launched, left, stopped, gone on with, brought back."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from study.run.token_question import asks_for_token
from tests.command import study
from tests.making import every_format
from tests.study.cluster.head import PATIENCE, Head, head

SPEC = """
name: there.v1
workload: digits
model: mlp
optimizer: adamw
transforms: [none, {factory: 'own:mine'}]
claims: 'rules:more'
lr: [1e-3]
weight_decay: [1e-2]
seeds: 1
budget: {steps: 20, batch_size: 32, points: 2}
workers: {tile: 2}
"""
OWN = """
import sys
from beside import STRENGTH
from trainers.transforms import Transform

def mine():
    sys.stderr.write("ü\\r\\nloud\\x1b[2J\\n")
    return Transform(lambda params: {}, lambda g, s, p: ({k: STRENGTH * v for k, v in g.items()}, s))
"""
RULES = """
from study.claims import Finding, Rule

more = Rule("A claim of mine", "here", "none", lambda evidence, own: Finding("x", "", missing="nothing"))
"""
DIFFER = ("seconds", "device", "host", "machine", "provenance", "started", "ended")
"""Words in the names of columns that are about the machine and not about the cell."""


@pytest.fixture(scope="module")
def real() -> Iterator[Head]:
    with head() as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the spec and its modules."""
    for name, text in {"own.py": OWN, "beside.py": "STRENGTH = 0.5\n", "rules.py": RULES}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "there.yaml").write_text(SPEC)
    return tmp_path


def cells(file: Path) -> list[dict[str, str]]:
    """What an export has of each cell, but for times and machines."""
    with file.open(newline="") as table:
        rows = list(csv.DictReader(table))
    kept = [
        {name: value for name, value in row.items() if not any(word in name for word in DIFFER)}
        for row in rows
    ]
    return sorted(kept, key=lambda row: row["key"])


def holders(folder: Path, token: str) -> Iterator[Path]:
    """The files in a folder that have the token in them."""
    for path in folder.rglob("*"):
        # Ray removes files of its own at any time.
        with suppress(OSError):
            if path.is_file() and token.encode() in path.read_bytes():
                yield path


def until(client: subprocess.Popen[str], words: str) -> str:
    """What a client prints up to a line with these words."""
    assert client.stdout is not None
    said, deadline = "", time.monotonic() + PATIENCE
    while words not in said:
        assert time.monotonic() < deadline, said
        line = client.stdout.readline()
        assert line, f"{said}{client.communicate()}"
        said += line
    return said


@pytest.mark.parametrize("token", [None, "0123456789" * 7])
def test_no_token_no_cluster(token: str | None, real: Head, folder: Path) -> None:
    """Without a token, or with another one: exit 2 and one sentence."""
    client = real.client("status", "there.yaml", "--cluster", real.address, token=token, where=folder)
    said, errors = client.communicate(timeout=PATIENCE)
    assert (client.returncode, said) == (2, "")
    found = "found another one" if token else "found none"
    assert errors.startswith(f"error {real.address} asks for the token of its Ray cluster: {found}; set RAY_")
    assert errors.count("\n") == 1


def command_lines() -> set[str]:
    """Every word of the command lines of this machine."""
    found: set[str] = set()
    for process in psutil.process_iter(["cmdline"]):
        found.update(process.info["cmdline"] or ())
    return found


def test_a_study_there_is_the_study_here(real: Head, folder: Path) -> None:
    """Launched and brought back: its cells are those of one here.

    Nothing that is stored, printed, listed or brought back has the token, and no command line does.
    """
    # A variable that names another cluster is of no account.
    words = ("launch", "there.yaml", "--cluster", real.address, "--json")
    client = real.client(*words, token=real.token, where=folder, RAY_ADDRESS="127.0.0.1:9")
    lines: set[str] = set()
    while client.returncode is None:
        lines |= command_lines()
        with suppress(subprocess.TimeoutExpired):
            launched, log = client.communicate(timeout=1)
    assert client.returncode == 0, log
    # As it was printed; what a terminal would obey is shown as its code.
    assert "launched there.v1" in log
    assert log.count("Running entrypoint") == 1
    assert "ü\nloud\\x1b[2J\n" in log
    answer = json.loads(launched)
    assert (answer["exit_code"], answer["status"]["complete"], answer["status"]["cells"]) == (0, True, 2)

    there = ("there.yaml", "--cluster", real.address)
    code, brought, errors = real.study("export", *there, "--out", "there", "--json", where=folder)
    assert code == 0, errors
    assert "there/cells.csv" in json.loads(brought)
    with every_format():
        assert study("launch", str(folder / "there.yaml"), "--here", "--home", str(folder / "home")) == 0
    here = folder / "home" / "exports" / "there.v1"
    assert cells(folder / "there" / "cells.csv") == cells(here / "cells.csv")
    ours = {path.relative_to(here) for path in here.rglob("*") if path.is_file()}
    # A launch alone notes what it has drawn.
    ours.remove(Path(".drawn.json"))
    assert {path.relative_to(folder / "there") for path in (folder / "there").rglob("*.*")} == ours

    assert any(real.address in line for line in lines)
    assert not any(real.token in line for line in lines)
    assert real.token not in f"{launched}{log}{brought}{errors}"
    assert [*holders(real.folder, real.token), *holders(folder, real.token)] == []


@pytest.mark.long
def test_a_launch_there_is_left_stopped_and_gone_on_with(real: Head, folder: Path) -> None:
    """Left with Ctrl-C, followed again, stopped, gone on with; nothing that is said has the token.

    `test_remote.py` holds each of these words against a cluster that is not there.
    """
    (folder / "there.yaml").write_text(SPEC.replace("there.v1", "left.v1"))
    there = ("there.yaml", "--cluster", real.address)
    first = real.client("launch", *there, token=real.token, where=folder, RAY_ADDRESS="127.0.0.1:9")
    said = until(first, "launched left.v1")
    lines = command_lines()
    first.send_signal(signal.SIGINT)
    more, errors = first.communicate(timeout=PATIENCE)
    assert first.returncode == 130, errors
    assert f"study.cli launch there.yaml --cluster {real.address}" in more

    second = real.client("launch", *there, token=real.token, where=folder)
    said += until(second, "is being launched on") + until(second, "Running entrypoint for job study-left.v1-")
    lines |= command_lines()
    code, stopped, errors = real.study("stop", *there, where=folder)
    assert (code, errors) == (0, "")
    assert "has ended; the same launch goes on" in stopped
    rest, errors = second.communicate(timeout=PATIENCE)
    assert second.returncode == 3, f"{rest}{errors}"

    code, launched, log = real.study("launch", *there, "--json", where=folder)
    assert code == 0, log
    # Of this launch alone.
    assert log.count("Running entrypoint") == 1
    answer = json.loads(launched)
    assert (answer["exit_code"], answer["status"]["complete"], answer["status"]["cells"]) == (0, True, 2)
    assert not any(real.token in line for line in lines)
    assert real.token not in f"{said}{more}{stopped}{rest}{launched}{log}{errors}"
    assert [*holders(real.folder, real.token), *holders(folder, real.token)] == []


def test_the_address_of_a_cluster_with_the_token_of_a_file(real: Head, folder: Path) -> None:
    """Only `~/.ray/auth_token` is there, as after any study on this machine: it is used, which is said.

    Workers find modules beside the spec, whose folder is on no path and is not the current one. Files there
    that have the names of installed packages or of Python's own modules are left alone.
    """
    for name in ("torch", "statistics", "pandas", "trainers", "study"):
        (folder / f"{name}.py").write_text("raise RuntimeError('the wrong file')\n")
    (folder / "specs").mkdir()
    for name in ("own.py", "beside.py", "rules.py"):
        (folder / name).rename(folder / "specs" / name)
    (folder / "specs" / "one.yaml").write_text(SPEC.replace("there.v1", "one"))
    own = folder / "me" / ".ray" / "auth_token"
    own.parent.mkdir(parents=True)
    own.write_text(real.token)
    own.chmod(0o600)
    assert asks_for_token(real.gcs)
    words = ("launch", "specs/one.yaml", "--address", real.gcs, "--home", "home")
    client = real.client(*words, token=None, where=folder, HOME=str(folder / "me"))
    said, errors = client.communicate(timeout=2 * PATIENCE)
    assert client.returncode == 0, f"{said}{errors}"
    assert "using the token of your Ray clusters" in said
    assert "2 cells trained" in said
    assert real.token not in f"{said}{errors}"
