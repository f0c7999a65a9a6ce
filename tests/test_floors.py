"""Rooms know only the rooms before them, and each foreign library has its file."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GROUND = ("search_spaces", "trainers", "tracking")
ORDER = (
    *("errors", "file_names", "home_files", "drawn", "home"),
    *("spec", "plan", "measures", "claims"),
    *("best", "frames", "analysis", "launch_result", "stored"),
    *("export_files", "check", "comparison", "zoom_result", "live_map", "watcher"),
    *("papers", "report", "run", "sampler", "", "cluster", "cli"),
)
"""Rooms and files of `study`: each imports only those before it. The empty name is `study` itself."""
DRAWING = (
    "cells",
    "heatmaps",
    "key",
    "plots",
    "saving",
    "style",
    "training_figures",
    "difference_map",
    "zoom_picture",
)
"""Files of `study/report/pictures` that draw. The others hold the numbers behind pictures."""
ONE_FILE = {
    "ray": {"study/run/ray_cluster.py", "study/run/ray_pool.py", "study/cluster/jobs.py"},
    "optuna": {"study/measures/importance.py", "study/run/optuna_file.py", "study/sampler.py"},
    "mlflow": {
        *("tracking/mlflow_store.py", "tracking/mlflow_runs.py"),
        *("tracking/mlflow_database.py", "tracking/mlflow_file.py", "tracking/mlflow_parent.py"),
    },
    "matplotlib": {
        *(f"study/report/pictures/{name}.py" for name in DRAWING),
    },
    "sqlite3": {
        *("tracking/ledger_file.py", "tracking/ledger_schema.py", "tracking/ledger_errors.py"),
        *("tracking/ledger_runs.py",),
        *("tracking/mlflow_file.py", "tracking/mlflow_addresses.py", "tracking/mlflow_listing.py"),
    },
    "yaml": {"study/spec/yaml.py"},
    "jinja2": {"study/report/page/report_page.py"},
    "sklearn": {"trainers/workloads/images.py"},
    "torchvision": {"trainers/vision.py"},
    "lightning": {"study/run/own_training/lightning_callback.py"},
    "transformers": {"study/run/own_training/transformers_callback.py"},
    "tokenizers": {"trainers/workloads/tokens.py"},
}


def modules(root: Path) -> dict[str, Path]:
    """Every module of the house by its dotted name."""
    found = {}
    for room in (*GROUND, "study"):
        for path in sorted((root / room).rglob("*.py")):
            name = ".".join(path.relative_to(root).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


@cache
def imported(path: Path) -> tuple[str, ...]:
    """Dotted names that a file imports anywhere: inside functions and for type checkers, too."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found += (f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(found)


@cache
def arrows(root: Path) -> dict[str, set[str]]:
    """For each module of the house the modules of the house that it imports."""
    known = modules(root)
    found: dict[str, set[str]] = {}
    for name, path in known.items():
        targets = set()
        for dotted in imported(path):
            target = dotted if dotted in known else dotted.rpartition(".")[0]
            if target in known and target != name:
                targets.add(target)
        found[name] = targets
    return found


def place(module: str) -> int:
    """Where a module of `study` stands in the order."""
    _, _, inside = module.partition(".")
    return ORDER.index(inside.partition(".")[0])


def arrows_back_up(found: Mapping[str, set[str]]) -> list[str]:
    """Imports of `study` that run against the order, as `importer -> imported`."""
    return [
        f"{importer} -> {target}"
        for importer, targets in found.items()
        for target in targets
        if importer.startswith("study") and target.startswith("study") and place(target) > place(importer)
    ]


def circle(found: Mapping[str, set[str]]) -> list[str]:
    """The modules of one circle of imports; empty where there is none."""
    try:
        TopologicalSorter(found).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


FILES = modules(ROOT)


@pytest.mark.parametrize("name", FILES)
def test_libraries(name: str) -> None:
    """A foreign library is imported only by the files where it is at home."""
    packages = {dotted.partition(".")[0] for dotted in imported(FILES[name])}
    where = FILES[name].relative_to(ROOT).as_posix()
    for library, homes in ONE_FILE.items():
        assert library not in packages or where in homes, (
            f"{where} imports {library}, which belongs to {homes}"
        )


def test_the_ground_floor_knows_nobody() -> None:
    """The rooms of the ground floor import neither each other nor `study`."""
    for importer, targets in arrows(ROOT).items():
        room = importer.partition(".")[0]
        if room in GROUND:
            assert {target.partition(".")[0] for target in targets} <= {room}, importer


def test_rooms_know_only_the_rooms_before_them() -> None:
    """No import of `study` runs back up, wherever in a file it stands."""
    assert arrows_back_up(arrows(ROOT)) == []


def test_no_circle() -> None:
    """No module imports itself, by however many others."""
    assert circle(arrows(ROOT)) == []


def test_a_planted_circle_is_found(tmp_path: Path) -> None:
    """A circle of imports inside functions and for type checkers is seen, and so is its way up."""
    sources = {
        "study/spec/a.py": "def f():\n    from study.plan.b import g\n",
        "study/plan/b.py": "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from study.spec import a\n",
    }
    for name, text in sources.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    found = arrows(tmp_path)
    assert set(circle(found)) == {"study.spec.a", "study.plan.b"}
    assert arrows_back_up(found) == ["study.spec.a -> study.plan.b"]


def test_search_spaces_is_pure_python() -> None:
    """The room of cells and grids needs nothing but the standard library."""
    allowed = set(sys.stdlib_module_names) | {"search_spaces"}
    for name, path in FILES.items():
        if name.startswith("search_spaces"):
            assert {dotted.partition(".")[0] for dotted in imported(path)} <= allowed, name


HEAVY = ("torch", "numpy", "scipy", "pandas", "ray", "mlflow", "optuna", "matplotlib", "sklearn")
LIGHT = "import typer.main, rich.console, rich.progress, pydantic.types, yaml"
"""What the commands are made of; their own seconds are counted in multiples of this import's."""
FIRST = f"""
import sys, time
def first(text, write=sys.stdout.write):
    sys.stdout.write = write
    heavy = [name for name in {HEAVY} if name in sys.modules]
    print("seconds", time.process_time(), "heavy", *heavy, file=sys.stderr)
    return write(text)
sys.stdout.write = first
from study.cli.command import main
main()
"""


def first_word(folder: Path, *arguments: str) -> tuple[float, list[str]]:
    """When a command begins to answer: the processor seconds it used, and which heavy libraries it loaded."""
    done = run(folder, FIRST, *arguments)
    assert ANSWERS[arguments] in done.stdout
    seconds, _, *heavy = done.stderr.partition("seconds ")[2].splitlines()[0].split()
    return float(seconds), heavy


def run(folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


ANSWERS = {("--help",): "launch", ("plan", "quickstart"): "= 7,056 cells"}


@pytest.mark.parametrize("arguments", ANSWERS)
def test_first_word_comes_in_under_a_second(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """`--help`, and the counts of `plan`, load nothing heavy and take about half a second of processor time.

    A busy machine takes twice as long for everything. So the second is four times what importing the
    libraries takes that the commands are made of, which is a quarter of one at rest.
    """
    words = [first_word(tmp_path, *arguments) for _ in range(3)]
    assert all(heavy == [] for _, heavy in words)
    light = f"{LIGHT}; import time; print(time.process_time())"
    basis = min(float(run(tmp_path, light).stdout) for _ in range(3))
    assert min(seconds for seconds, _ in words) < 4 * basis
    assert not any(tmp_path.iterdir())


def test_top_level_is_the_customers() -> None:
    """Nothing but the agreed folders and files stands at the root."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    tracked = done.stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    folders = {*GROUND, "study", "docker", "tests"}
    files = {"pyproject.toml", "README.md", "Makefile", "constraints.txt", "CONTRIBUTING.md", "CHANGELOG.md"}
    assert {name.split("/")[0] for name in tracked if not name.startswith(".")} <= folders | files
