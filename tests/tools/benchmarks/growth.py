"""How speed and memory grow with tile width, study size, workers and resolution.

`python -m tests.tools.benchmarks.growth` measures each series in processes of its own, and keeps it in a JSON
file as it ends. `--draw` makes the picture of what the file has.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from search_spaces import EdgeDesign
from tests.pages import ROOT
from tests.tools.benchmarks.figures import Figures

WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
SIZES = ((1, 3), (3, 4), (10, 4), (20, 10))
"""Points per decade of axes of five decades, and seeds: 108 to 102,010 cells."""
WORKERS = (1, 2, 4, 8, 16, 32)
SIDES = (16, 32, 64, 128, 256, 512)
STEPS, BATCH = 200, 64
TILES, NAP = 8, 2.0
"""Tiles per worker, and how long each sleeps [s]."""
Points = list[dict[str, float]]


def by_width(repeats: int) -> Points:
    """Cells per second of one process of one thread, and its peak memory, against cells trained together."""
    found = []
    for width in WIDTHS:
        runs = [said("width", str(width)) for _ in range(repeats)]
        rates = sorted(one["rate"] for one in runs)
        found.append(
            {
                "x": width,
                "y": median(rates),
                "least": rates[0],
                "greatest": rates[-1],
                "mebibytes": median(one["mebibytes"] for one in runs),
            }
        )
        print(found[-1], flush=True)
    return found


def train_width(width: int) -> dict[str, float]:
    """Train so many cells of the digits MLP, in this process."""
    import torch

    from trainers import Budget, make_optimizer, make_transform, make_workload, train_fused

    torch.set_num_threads(1)
    workload, transform, optimizer = (
        make_workload("digits", "mlp"),
        make_transform("none"),
        make_optimizer("adamw"),
    )

    def train(steps: int, width: int) -> float:
        started = time.perf_counter()
        train_fused(
            workload,
            transform,
            optimizer,
            Budget(steps=steps, batch_size=BATCH),
            lr_C=torch.logspace(-4, -2, width),
            weight_decay_C=torch.full((width,), 0.01),
            seed=0,
        )
        return time.perf_counter() - started

    train(2, 1)  # libraries load at their first use
    before = peak()
    return {"rate": width / train(STEPS, width), "mebibytes": peak() - before}


def peak() -> float:
    """Largest memory of this process so far [MiB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def by_size(repeats: int) -> Points:
    """Cells per second of a launch whose cells take next to no training, against the cells of the study.

    From the command to its end, with MLflow, analysis and pictures.
    """
    from tests.tools.benchmarks.scale import road

    found = []
    for density, seeds in SIZES:
        # The largest takes minutes, and what a start takes is lost in it.
        times = 1 if density == SIZES[-1][0] else repeats
        rates = []
        for _ in range(times):
            with tempfile.TemporaryDirectory(prefix="growth-") as place:
                one = road(Path(place), density, seeds)
            rates.append(one.cells / one.total_seconds)
        found.append({"x": one.cells, "y": median(rates), "least": min(rates), "greatest": max(rates)})
        print(found[-1], {"trained_seconds": one.seconds, "driver_grew": one.growth}, flush=True)
    return found


def by_workers(repeats: int) -> Points:
    """Tiles per second against workers that sleep instead of training, through Ray, ledger and MLflow."""
    found = []
    for count in WORKERS:
        rates = sorted(said("workers", str(count))["rate"] for _ in range(repeats if count < 16 else 1))
        found.append({"x": count, "y": median(rates), "least": rates[0], "greatest": rates[-1]})
        print(found[-1], flush=True)
    return found


def sleep_on(count: int) -> dict[str, float]:
    """Launch a study whose tiles sleep, on a Ray of so many processors: tiles per second once all sleep."""
    from study.run.ray_environment import set_environment

    set_environment(alone=True)
    import ray
    from rich.console import Console

    from study.home import Home
    from study.run.launch import launch
    from study.spec.read import read_spec
    from tracking import Ledger

    with tempfile.TemporaryDirectory(prefix="growth-") as place:
        folder = Path(place)
        (folder / "sleeping.py").write_text(SLEEPING)
        spec = folder / "sleeping.yaml"
        spec.write_text(SLEEPING_SPEC.format(lr=[1e-3 * (k + 1) for k in range(count * TILES)], nap=NAP))
        ray.init(num_cpus=count, include_dashboard=False, log_to_driver=False)
        stamps: list[float] = []
        add = Ledger.add

        def noted(self: Ledger, records: Any) -> None:
            add(self, records)
            stamps.append(time.monotonic())

        Ledger.add = noted  # type: ignore[assignment,method-assign]
        try:
            launch(
                read_spec(str(spec), allow=["sleeping"], runs=True),
                Home(folder / "home"),
                Console(file=(folder / "said.txt").open("w")),
            )
        finally:
            Ledger.add = add  # type: ignore[method-assign]
            ray.shutdown()
    # The first of each worker counts its start, which takes as long as its libraries on the cores there are.
    steady = stamps[count - 1 :]
    return {"rate": (len(steady) - 1) / (steady[-1] - steady[0])}


SLEEPING = '''
"""A network that sleeps at its first step, and else does next to nothing."""
import time

from torch import nn


class Sleeper(nn.Linear):
    def forward(self, x):
        if self.training:
            time.sleep(self.nap)
        return super().forward(x)


def sleeper(shape, outputs, nap=1.0):
    network = Sleeper(shape[0], outputs)
    network.nap = nap
    return network
'''
SLEEPING_SPEC = """
name: sleeping
workload: {{name: synthetic, shape: [2], classes: 2, examples: 64}}
model: {{factory: "sleeping:sleeper", nap: {nap}}}
optimizer: sgd
transforms: [none]
lr: {lr}
weight_decay: 0
seeds: 1
budget: {{steps: 1, batch_size: 1, points: 1}}
workers: {{tile: 1}}
"""


def by_resolution(repeats: int) -> Points:
    """Cells that an edge-seeking design asks for, against the side of the grid; a planted smooth region."""
    return [{"x": side, "y": asked(side)} for side in SIDES]


def asked(side: int) -> int:
    """Cells asked for on a grid of so many rows and columns."""

    def score(row: int, column: int) -> float:
        lr, decay = column / (side - 1), row / (side - 1)
        inside = 0.2 + 0.1 * decay**2 <= lr <= 0.8 - 0.25 * decay
        return 1.0 if inside else 0.1

    design = EdgeDesign(
        layers=1,
        rows=side,
        columns=side,
        classify=lambda scores: {point: int(value > 0.5) for point, value in scores.items()},
    )
    while batch := design.ask():
        design.tell({point: score(point[1], point[2]) for point in batch})
    return len(design.known.told)


SERIES: dict[str, tuple[Callable[[int], Points], str, str]] = {
    "width": (by_width, "cells trained together", "cells/s of one core"),
    "size": (by_size, "cells of a study (next to no training)", "cells/s of a launch"),
    "workers": (by_workers, "workers (asleep)", "tiles/s"),
    "resolution": (by_resolution, "side of the grid", "cells that edges trains"),
}
"""Each series: what measures it, and the names of its axes."""


def said(series: str, argument: str) -> dict[str, float]:
    """One point, measured in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, "--one", series, argument]
    settings = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **settings}, cwd=ROOT, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{series} {argument} ended with {done.returncode}: {done.stderr[-1500:]}")
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def figures(found: dict[str, Points]) -> Figures:
    """Every point of every series."""
    rows = []
    for name, (_, x_is, y_is) in SERIES.items():
        for one in found.get(name, []):
            least, greatest = one.get("least", one["y"]), one.get("greatest", one["y"])
            between = "" if least == greatest else f"{least:,.3g}–{greatest:,.3g}"
            memory = f"{one['mebibytes']:,.0f} MiB" if "mebibytes" in one else ""
            rows.append([f"{y_is}, against {x_is}", f"{one['x']:,.0f}", f"{one['y']:,.3g}", between, memory])
    said = "Medians, with least and greatest where a point was measured more than once; two cores (AMD EPYC)."
    return Figures(said, ("what", "at", "is", "least–greatest", "peak memory of a tile"), rows)


def draw(found: dict[str, Points], path: Path) -> None:
    """The picture: every series on logarithmic axes, memory beside the widths, what is promised dotted."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    def plain(axes: Any) -> None:
        """Numbers as people write them."""
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes.yaxis.set_minor_formatter(NullFormatter())

    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = dict(zip(SERIES, figure.subplots(2, 2).flat, strict=True))
    for name, (_, x_is, y_is) in SERIES.items():
        panel, points = panels[name], found.get(name, [])
        x, y = [one["x"] for one in points], [one["y"] for one in points]
        panel.set(xscale="log", yscale="log", xlabel=x_is, ylabel=y_is)
        panel.grid(alpha=0.3)
        if not points:
            continue
        panel.set_xticks(x, [f"{one:,.0f}" for one in x], fontsize="small")
        panel.xaxis.set_minor_locator(NullLocator())
        plain(panel)
        panel.plot(x, y, "o-", color="#0b3c5d", label=y_is)
        if "least" in points[0]:
            panel.vlines(x, [one["least"] for one in points], [one["greatest"] for one in points], "#0b3c5d")
        if name == "width":
            other = panel.twinx()
            other.plot(x, [max(one["mebibytes"], 0.1) for one in points], "s--", color="#b3541e")
            other.set(yscale="log", ylabel="peak memory of the tile [MiB]")
            other.yaxis.label.set_color("#b3541e")
            plain(other)
        if name == "workers":
            # A tile sleeps twice: for the loss of the untrained network, and at its step.
            panel.plot(x, [k / NAP / 2 for k in x], ":", color="grey", label="what sleeping allows")
            panel.legend(frameon=False)
        if name == "resolution":
            panel.plot(x, [k * k for k in x], ":", color="grey", label="the whole grid")
            panel.plot(x, [y[0] * k / x[0] for k in x], "--", color="grey", label="proportional to the side")
            panel.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(SERIES), default=list(SERIES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("growth.json"))
    parser.add_argument("--draw", type=Path, help="only draw what the JSON file has")
    parser.add_argument("--one", nargs=2, metavar=("SERIES", "VALUE"), help=argparse.SUPPRESS)
    asked_for = parser.parse_args()
    if asked_for.one:
        series, value = asked_for.one
        print(json.dumps({"width": train_width, "workers": sleep_on}[series](int(value))))
        return
    found = json.loads(asked_for.json.read_text()) if asked_for.json.exists() else {}
    if asked_for.draw:
        draw(found, asked_for.draw)
        return
    for name in asked_for.only:
        found[name] = SERIES[name][0](asked_for.repeats)
        asked_for.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
