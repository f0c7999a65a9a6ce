"""The same cells trained by what a user would pick instead: `python -m tests.tools.benchmarks.peers`.

Every tool is a command of its own, and its seconds count from its start to its end, imports and compiling
included. A slow one trains a random sample. Its whole time is then that of a run of two cells, and the rest
at the rate of the sample.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from tests.pages import ROOT
from tests.tools.benchmarks.figures import Figures, about, spread, where
from tests.tools.benchmarks.peers.task import Task, written

LIMIT = 1200
"""Longest that a command may take [s]."""
CALM = 3.2e-3
"""Learning rates up to this one are compared: above, rounding alone decides what a cell gives."""
APART = 1e-2
"""Largest relative difference of a calm cell's final loss."""
APART_EXACT = 1e-6
"""The same where both train in float64."""
FEW = 2


@dataclass(frozen=True)
class Peer:
    """Another tool.

    Attributes:
        module: its file here.
        sample: how many cells it trains, or None for all.
        needs: libraries without which it is left out.
        exact: it is compared in float64, by runs of one seed whose time does not count. It rounds otherwise,
            and training makes much of that.
    """

    title: str
    module: str
    sample: int | None
    needs: tuple[str, ...] = ()
    exact: bool = False


PEERS = (
    Peer("Ray Tune as documented", "tune_documented", 24),
    Peer("Ray Tune, tuned", "tune_tuned", 80),
    Peer("Optuna, a process per core", "optuna_loops", 60),
    Peer("joblib over plain loops", "joblib_loops", 80),
    Peer("JAX vmap and scan, a process per core", "jax_scan", None, ("jax",), exact=True),
)
OURS = {"this project": "", "this project, design: edges": "design: edges\n"}
"""What is added to the spec. Each round of an edge design begins with new workers, of 3 s each."""


@dataclass(frozen=True)
class Measured:
    """What a tool took for all cells.

    Attributes:
        seconds: of each run.
        scaled: from how many cells, if not from all.
        apart: largest relative difference of the final loss of a calm cell to this project's.
        apart_exact: the same in float64; None where it is not compared so.
    """

    title: str
    seconds: tuple[float, ...]
    scaled: int | None
    apart: float | None
    apart_exact: float | None = None

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def agrees(self) -> bool:
        """Whether its cells are this project's. In float64 rounding hides nothing, so that it decides."""
        if self.apart_exact is not None:
            return self.apart_exact <= APART_EXACT
        return self.apart is None or self.apart <= APART

    @property
    def told(self) -> str:
        """How far its losses are from this project's."""
        if self.apart is None:
            return ""
        word = "equal" if self.agrees else "DIFFERENT"
        if self.apart_exact is None:
            return f"{word} to {self.apart:.1e}"
        return f"{word} to {self.apart_exact:.1e} in float64, to {self.apart:.1e} in float32"


def timed(command: list[str], folder: Path) -> float:
    """Seconds that a command takes.

    Raises:
        RuntimeError: it failed.
    """
    settings = {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with (folder / "said.txt").open("w+") as said:
        started = time.monotonic()
        code = subprocess.run(
            command, stdout=said, stderr=said, cwd=folder, env={**os.environ, **settings}, timeout=LIMIT
        ).returncode
        seconds = time.monotonic() - started
        said.seek(0)
        if code != 0:
            raise RuntimeError(f"{' '.join(command[:4])} ended with {code}: {said.read()[-1500:]}")
    return seconds


def exactly(peer: Peer, folder: Path) -> float:
    """Largest relative difference of a calm cell's final loss where both train in float64."""
    folder.mkdir()
    task = written(folder, 1, precision="float64")
    _, wanted = ours(task, folder / "ours", "", "--here")
    _, found = theirs(peer, task, folder / "theirs", None)
    return apart(task, found, wanted)


def ours(task: Task, folder: Path, more: str, *options: str) -> tuple[float, dict[str, float]]:
    """Seconds of a launch into a new home, and the final loss of each cell that it trained.

    Args:
        more: of the spec. options: of the command.
    """
    folder.mkdir()
    spec = folder / "peers.yaml"
    spec.write_text(f"name: peers\n{task.text}{more}")
    command = [sys.executable, "-m", "study.cli", "launch", str(spec), "--home", str(folder / "home")]
    seconds = timed([*command, *options], folder)
    places = {
        (seed, f"{lr:.9g}", f"{weight_decay:.9g}"): str(number)
        for number, (seed, lr, weight_decay) in enumerate(task.cells)
    }
    found = {}
    with (folder / "home" / "exports" / "peers" / "cells.csv").open(newline="") as rows:
        for row in csv.DictReader(rows):
            where = int(row["seed"]), f"{float(row['lr']):.9g}", f"{float(row['weight_decay']):.9g}"
            found[places[where]] = float(row["loss_final"] or "nan")
    return seconds, found


def theirs(peer: Peer, task: Task, folder: Path, sample: int | None) -> tuple[float, dict[str, float]]:
    """Seconds for all cells, and the final loss of each that was trained."""
    folder.mkdir()

    def run(name: str, cells: list[int]) -> tuple[float, dict[str, float]]:
        place = folder / name
        place.mkdir()
        module = f"tests.tools.benchmarks.peers.{peer.module}"
        command = [sys.executable, "-m", module, str(task.file), str(place / "out.json")]
        seconds = timed([*command, *map(str, cells)], place)
        return seconds, json.loads((place / "out.json").read_text())

    if sample is None:
        return run("all", list(range(len(task.cells))))
    start, _ = run("few", task.sample(FEW))
    seconds, losses = run("sample", task.sample(sample))
    each = (seconds - start) / (sample - FEW)
    return start + (len(task.cells) - FEW) * each, losses


def apart(task: Task, found: dict[str, float], wanted: dict[str, float]) -> float:
    """Largest relative difference of a calm cell's final loss."""
    worst = 0.0
    for number, loss in found.items():
        if task.cells[int(number)][1] <= CALM and number in wanted:
            worst = max(worst, abs(loss - wanted[number]) / abs(wanted[number]))
            if math.isnan(worst):
                return math.inf
    return worst


def measure(
    folder: Path, seeds: int, repeats: int, share: float, designs: bool, console: Console
) -> tuple[Task, list[Measured]]:
    """Every tool, this project first: its losses are what the others are compared with.

    Args:
        share: of the cells that slow tools train.
        designs: by each design, not by the full grid alone.
    """
    task = written(folder, seeds)
    rows, wanted = [], dict[str, float]()
    for title, more in list(OURS.items())[: None if designs else 1]:
        runs = [ours(task, folder / f"{title}{number}", more) for number in range(repeats)]
        rows.append(Measured(title, tuple(seconds for seconds, _ in runs), None, None))
        wanted = wanted or runs[0][1]
        console.print(f"{title}: {rows[-1].median:.1f} s", highlight=False)
    for peer in PEERS:
        if missing := [name for name in peer.needs if find_spec(name) is None]:
            console.print(f"{peer.title}: left out, {', '.join(missing)} is not installed", highlight=False)
            continue
        sample = peer.sample and max(FEW + 6, round(peer.sample * share))
        found = [theirs(peer, task, folder / f"{peer.module}{number}", sample) for number in range(repeats)]
        worst = max(apart(task, losses, wanted) for _, losses in found)
        exact = exactly(peer, folder / f"{peer.module} exact") if peer.exact else None
        rows.append(Measured(peer.title, tuple(seconds for seconds, _ in found), sample, worst, exact))
        console.print(f"{peer.title}: {rows[-1].median:.1f} s", highlight=False)
    return task, rows


def figures(found: dict[str, Any]) -> Figures:
    """The table; a ratio only where results agree."""
    rows = [Measured(**{**row, "seconds": tuple(row["seconds"])}) for row in found["tools"]]
    cells, mine = found["cells"], rows[0].median
    table = []
    for row in rows:
        how = "" if row.scaled is None else f" (from {row.scaled} cells)"
        ratio = f"{row.median / mine:.2f}" if row.agrees else "–"
        table.append([row.title + how, spread(row.seconds), f"{cells / row.median:.2f}", ratio, row.told])
    head = ("tool", "seconds, median (least–greatest)", "cells/s", "times this project's", "final losses")
    said = (
        f"{cells:,} cells of the digits MLP with AdamW, imports and compiling included, "
        f"n = {len(rows[0].seconds)}; {where(found)}. "
        f"Results are compared up to a learning rate of {CALM:g}."
    )
    return Figures(said, head, table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=21, help="84 cells each")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sample", type=float, default=1.0, help="share of the cells that slow tools train")
    parser.add_argument("--grid", action="store_true", help="this project's full grid alone, no edge design")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 140)
    with tempfile.TemporaryDirectory(prefix="peers-") as place:
        task, rows = measure(Path(place), asked.seeds, asked.repeats, asked.sample, not asked.grid, console)
    found = {
        **about("torch", "ray", "optuna", "mlflow", "joblib", "jax"),
        "cells": len(task.cells),
        "tools": [asdict(row) for row in rows],
    }
    figures(found).show()
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if all(row.agrees for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
