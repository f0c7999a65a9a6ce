"""How many cells the whole road carries, beside Ray Tune: `python -m tests.tools.benchmarks.scale`."""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console

from study.home import Home
from study.plan.cells import Plan, make_plan, settings
from study.spec.read import parse_spec
from tests.tools.benchmarks import tune
from tracking import CellRecord

SPEC = """
name: {name}
workload: {{name: synthetic, shape: [2], classes: 2, examples: 64}}
model: {{name: mlp, hidden: [2]}}
optimizer: sgd
transforms: {transforms}
lr: {{low: 1e-5, high: 1, points_per_decade: {density}}}
weight_decay: {{low: 1e-5, high: 1, points_per_decade: {density}}}
seeds: {seeds}
budget: {{steps: 1, batch_size: 1, points: 1}}
workers: {{tile: 400}}
"""
"""One step on one example: next to no training, so that what is measured is the road."""
PUBLISHED = 10_000 / 715
"""Ray's own figure for Tune: 10,000 one-second trials on 16 processors in 715 s [trials/s]."""
MEBI = 2**20

console = Console(width=None if sys.stdout.isatty() else 160)


@dataclass(frozen=True)
class Road:
    """What a launch of many tiny cells took."""

    cells: int
    seconds: float
    """From the start of the command to the last cell in the ledger."""
    mlflow_seconds: float
    """From there to the last run in MLflow."""
    total_seconds: float
    growth: float
    """Largest memory of the driver while it trained, less that at the first stored cell [MiB]."""
    whole_growth: float
    """The same up to its end, analysis included [MiB]."""


def road(folder: Path, density: int, seeds: int) -> Road:
    """Launch a study on Ray with MLflow embedded, and watch it from outside."""
    text = SPEC.format(name="scale", transforms="[none]", density=density, seeds=seeds)
    (folder / "scale.yaml").write_text(text)
    home, spec = Home(folder / "home"), parse_spec(text)
    started = time.monotonic()
    with (folder / "scale.txt").open("w") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "study.cli",
                "launch",
                str(folder / "scale.yaml"),
                "--home",
                str(home.root),
            ],
            stdout=log,
            stderr=log,
        )
    driver = psutil.Process(process.pid)
    first = most = whole = 0
    trained = shown = math.nan
    while process.poll() is None:
        time.sleep(0.2)
        now = time.monotonic() - started
        cells, runs = stored(home)
        try:
            memory = driver.memory_info().rss
        except psutil.Error:
            continue
        first = first or (memory if cells else 0)
        whole = max(whole, memory)
        if math.isnan(trained):
            most = max(most, memory)
            trained = now if cells == spec.size else math.nan
        elif math.isnan(shown):
            shown = now if runs == spec.size else math.nan
    if math.isnan(shown) and stored(home)[1] == spec.size:
        shown = time.monotonic() - started
    if process.returncode != 0:
        raise RuntimeError(
            f"the launch ended with {process.returncode}: {(folder / 'scale.txt').read_text()[-2000:]}"
        )
    return Road(
        spec.size,
        trained,
        shown - trained,
        time.monotonic() - started,
        (most - first) / MEBI,
        (whole - first) / MEBI,
    )


def stored(home: Home) -> tuple[int, int]:
    """Cells in the ledger, and runs that it knows of."""
    import sqlite3

    if not home.ledger.exists():
        return 0, 0
    try:
        with closing(sqlite3.connect(f"file:{home.ledger}?mode=ro", uri=True, timeout=5.0)) as connection:
            return connection.execute(
                "SELECT (SELECT COUNT(*) FROM cells), (SELECT COUNT(*) FROM runs)"
            ).fetchone()  # type: ignore[no-any-return]
    except sqlite3.OperationalError:
        return 0, 0


def planted(plan: Plan) -> list[CellRecord]:
    """Records of every cell of a plan, made up: stable in the middle, diverged at large learning rates."""
    records = []
    for cell in plan.cells:
        height = (
            1.0
            - 0.05 * (math.log10(cell.lr) + 2.5) ** 2
            - 0.01 * (math.log10(cell.weight_decay) + 3) ** 2
            + 0.01 * math.sin(cell.seed)
        )
        diverged = cell.lr > 0.1
        score = 0.5 if diverged else max(0.5, height)
        records.append(
            CellRecord(
                key=cell.key, workload=cell.workload, optimizer=cell.optimizer, transform=cell.transform,
                constants=json.dumps(dict(cell.constants)), lr=cell.lr, weight_decay=cell.weight_decay,
                seed=cell.seed, setting=cell.setting, outcome="diverged" if diverged else "finished",
                reason="nonfinite_loss" if diverged else None, diverged_step=7 if diverged else None,
                steps=100, loss_initial=0.7, loss_final=None if diverged else 1.0 - score,
                metric_name="accuracy", metric_direction="max", metric_initial=0.5,
                metric_final=None if diverged else score, metric_best=score, seconds=0.01,
                curve=tuple((10 * k, 1.0 - score, score) for k in range(11)), dynamics="{}",
                provenance='{"torch": "planted"}',
            )
        )  # fmt: skip
    return records


MANY = "[none, unit_norm, clip_norm, agc, zscore]"


def reading(folder: Path, density: int) -> tuple[int, dict[str, float]]:
    """Cells of a study as a launch leaves it, and seconds that commands take that read as many of them."""
    text = SPEC.format(name="many", transforms=MANY, density=density, seeds=3)
    home, spec, file = Home(folder / "many"), parse_spec(text), folder / "many.yaml"
    file.write_text(text)
    home.prepare()
    with closing(home.open_ledger()) as ledger:
        plan = make_plan(spec, {setting.name: "planted" for setting in settings(spec)})
        ledger.note_fingerprints("many", plan.fingerprints)
        ledger.note_study("many", spec.canonical(), plan.meanings)
        ledger.add(planted(plan))
    times = {}
    for verb in ("status", "analyse"):
        started = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "study.cli", verb, str(file), "--home", str(home.root)],
            check=True,
            capture_output=True,
        )
        times[verb] = time.monotonic() - started
    return spec.size, times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--density", type=int, default=10, help="points per decade of the road's two axes of five decades"
    )
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--read-density", type=int, default=17)
    parser.add_argument("--trials", type=int, default=60, help="trials of Ray Tune as documented")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stability-study-scale-") as place:
        folder = Path(place)
        found = road(folder, asked.density, asked.seeds)
        rate = found.cells / found.seconds
        console.print(
            f"{os.cpu_count()} processors. This road (tiles, Ray, ledger, MLflow embedded): "
            f"{found.cells:,} cells in {found.seconds:.1f} s from the start of the command "
            f"= {rate:.0f} cells/s, "
            f"{rate / PUBLISHED:.1f} x the published {PUBLISHED:.0f} trials/s; "
            f"MLflow complete {found.mlflow_seconds:.1f} s later; "
            f"the command took {found.total_seconds:.1f} s; "
            f"the driver grew by {found.growth:.0f} MiB while it trained, "
            f"{found.whole_growth:.0f} MiB with the analysis",
            highlight=False,
        )
        for with_mlflow in (False, True):
            trials, seconds = tune.measure(
                folder / f"tune-{with_mlflow}", asked.trials, with_mlflow=with_mlflow
            )
            what = "with its MLflow callback" if with_mlflow else "alone"
            console.print(
                f"Ray Tune as documented, {what}: {trials} of the same cells in {seconds:.1f} s = "
                f"{trials / seconds:.2f} trials/s; this road is {rate * seconds / trials:.0f} x as fast",
                highlight=False,
            )
        cells, times = reading(folder, asked.read_density)
        console.print(
            f"reading {cells:,} stored cells: "
            + ", ".join(f"study {what} {seconds:.2f} s" for what, seconds in times.items()),
            highlight=False,
        )


if __name__ == "__main__":
    main()
