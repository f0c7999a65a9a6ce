"""Standard output under `--json` is JSON, whatever goes wrong and whoever prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from study.plan import preview
from tests.command import answer, study
from tests.conftest import TINY
from tracking import LedgerError

LOUD = """
import os

print("from the module")
os.system("echo from a shell")
os.write(1, b"from a descriptor\\n")


def factory():
    print("from the factory")
    os.write(1, b"from a descriptor\\n")
    raise SystemExit(0)
"""


@pytest.mark.parametrize(
    ("words", "code", "kind", "message"),
    [
        (("plan", "no-such-spec"), 2, "UserError", "no-such-spec: neither a file"),
        (("plan",), 2, "UsageError", "Missing argument"),
        (("plan", "quickstart", "--no-such-option"), 2, "UsageError", "--no-such-option"),
        (("no-such-verb",), 2, "UsageError", "no-such-verb"),
        (("export", "quickstart", "--out", "{file}"), 2, "UserError", "is a file; give a folder"),
    ],
)
def test_errors_are_json(
    words: tuple[str, ...],
    code: int,
    kind: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A mistake of the user's is an object on standard output, the same words on standard error, exit 2."""
    (tmp_path / "file").write_text("mine")
    command = [word.format(file=tmp_path / "file") for word in words]
    assert study(*command, "--json") == code
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert (found["error"]["kind"], found["exit_code"]) == (kind, code)
    assert message in found["error"]["message"]
    assert message in " ".join(said.err.split())


@pytest.mark.parametrize("error", [KeyError("a bug"), LedgerError("a full disk")])
def test_faults_of_the_program_and_its_disk_are_json(
    error: Exception, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is nobody's mistake is an object too, with exit 1; standard output has nothing else."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(preview, "preview", fail)
    code, found = answer(capsys, "plan", str(tiny))
    assert code == 1
    assert found == {"error": {"kind": type(error).__name__, "message": str(error)}, "exit_code": 1}
    assert study("plan", str(tiny)) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert str(error) in said.err


def test_what_code_prints_is_not_in_the_json(tmp_path: Path) -> None:
    """Prints of Python, C and other programs go to standard error; `sys.exit(0)` is an error, exit 2."""
    (tmp_path / "loud.py").write_text(LOUD)
    (tmp_path / "spec.yaml").write_text(TINY.replace("[none, unit_norm]", "[{factory: 'loud:factory'}]"))
    command = [sys.executable, "-m", "study.cli", "plan", "spec.yaml", "--json"]
    root = Path(__file__).parents[3]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": f"{root}:{tmp_path}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = json.loads(done.stdout)
    assert (done.returncode, found["exit_code"]) == (2, 2)
    assert "SystemExit: 0 (loud.py, line 12)" in found["error"]["message"]
    for words in ("the module", "a shell", "the factory"):
        assert f"from {words}" in done.stderr
    assert done.stderr.count("from a descriptor") == 2
