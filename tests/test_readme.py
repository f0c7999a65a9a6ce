"""The README's commands and code run, its table is the study's, its tree is the tree."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every command line of the README, without its comment."""
    return [
        line.split("  #")[0].strip()
        for kind, text in BLOCKS
        if kind == "sh"
        for line in text.splitlines()
        if line.strip()
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with the README's files in it: the blocks that begin with a name."""
    place = tmp_path_factory.mktemp("readme")
    for _, text in BLOCKS:
        if named := re.match(r"# ([\w-]+\.(?:yaml|py))\n", text):
            (place / named[1]).write_text(text)
    return place


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("make ")])
def test_make_targets_exist(command: str) -> None:
    """Each make command names a target of the Makefile (this suite is inside of one of them, so they are not run here)."""
    assert (
        subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, check=False).returncode
        == 0
    )


def test_commands_run(folder: Path) -> None:
    """The `study` commands run one after another in an empty folder and exit with 0."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command in (c for c in commands() if not c.startswith("make ")):
        assert command.startswith("study "), command
        done = subprocess.run(
            [sys.executable, "-m", "study.cli", *command.split()[1:]],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert (folder / "out" / "claims.md").exists()


@pytest.mark.parametrize("code", [text for kind, text in BLOCKS if kind == "python"])
def test_code_runs(code: str, folder: Path) -> None:
    """Each Python block runs as it stands."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr


def between(name: str) -> str:
    return README.split(f"<!-- {name}: begin -->")[1].split(f"<!-- {name}: end -->")[0]


def test_tree_is_the_tree() -> None:
    """The README's tree has one line per Python file, with the first sentence of the file."""
    assert between("tree").strip() == tree().strip(), "run: python -m tests.test_readme"


def tree() -> str:
    """One line per file: its name and the first line of its docstring."""
    lines = ["```text"]
    for room in ("search_spaces", "trainers", "tracking", "study"):
        for path in sorted((ROOT / room).rglob("*.py")):
            said = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()
            if said:
                lines.append(f"{path.relative_to(ROOT).as_posix():<46}{said[0].rstrip('.')}")
    return "\n".join([*lines, "```"])


def test_picture_is_there_and_small() -> None:
    """The heatmap of the front page exists and is a small PNG."""
    picture = ROOT / ".github" / "quickstart.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 300_000


def test_found_table_names_n_and_every_measured_claim() -> None:
    """The table of findings gives an estimate with an interval, n and a verdict for each measured claim."""
    rows = [line for line in between("quickstart").splitlines() if line.startswith("| `")]
    assert len(rows) >= 6
    assert all(re.search(r"\| 3 \| \*\*(supported|refuted|inconclusive)\*\* \|", row) for row in rows)


if __name__ == "__main__":
    text = (
        README.split("<!-- tree: begin -->")[0]
        + "<!-- tree: begin -->\n"
        + tree()
        + "\n<!-- tree: end -->"
        + README.split("<!-- tree: end -->")[1]
    )
    (ROOT / "README.md").write_text(text, encoding="utf-8")
