"""The house stands as HOUSE says: rooms of the ground floor know nothing of each other, one foreign library has one file."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("search_spaces", "trainers", "tracking", "study")
MAY_IMPORT = {
    "search_spaces": set(),
    "trainers": set(),
    "tracking": set(),
    "study": {"search_spaces", "trainers", "tracking"},
}
ONE_FILE = {
    "ray": {"study/run/ray_pool.py"},
    "optuna": {"study/measures/importance.py", "study/sampler.py"},
    "mlflow": {"tracking/mlflow_store.py", "tracking/mlflow_runs.py", "tracking/mlflow_database.py"},
    "matplotlib": {"study/report/heatmaps.py", "study/report/training_figures.py"},
    "sqlite3": {"tracking/ledger.py"},
    "yaml": {"study/spec/yaml.py"},
    "sklearn": {"trainers/workloads/images.py"},
    "torchvision": {"trainers/vision.py"},
}
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_and_libraries(path: Path) -> None:
    """A file imports only the rooms below it, and a foreign library only where it is at home."""
    room, name, packages = path.relative_to(ROOT).parts[0], path.relative_to(ROOT).as_posix(), imported(path)
    assert packages & set(ROOMS) <= MAY_IMPORT[room] | {room}
    for library, homes in ONE_FILE.items():
        assert library not in packages or name in homes, f"{name} imports {library}, which belongs to {homes}"


def test_search_spaces_is_pure_python() -> None:
    """The room of cells and grids needs nothing but the standard library."""
    allowed = set(sys.stdlib_module_names) | {"search_spaces"}
    for path in (ROOT / "search_spaces").rglob("*.py"):
        assert imported(path) <= allowed


@pytest.mark.parametrize("command", [["--help"], ["plan", "quickstart"]])
def test_answers_in_under_a_second(command: list[str], tmp_path: Path) -> None:
    """`--help` and `plan` import nothing heavy: the best of three runs takes under a second."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "study.cli", *command],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        best = min(best, time.perf_counter() - start)
        assert done.returncode == 0, done.stderr
    assert best < 1.0
    assert not any(tmp_path.iterdir())


def test_top_level_is_the_customers() -> None:
    """Nothing but the agreed folders and files stands at the root."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    visible = {name.split("/")[0] for name in tracked if not name.startswith(".")}
    assert visible <= {
        *ROOMS,
        "docker",
        "tests",
        "pyproject.toml",
        "README.md",
        "Makefile",
        "constraints.txt",
        "CONTRIBUTING.md",
    }
