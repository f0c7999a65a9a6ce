"""Cells against resolution: edge-seeking designs beside full grids. `python -m tests.tools.benchmarks.edges`.

Every full grid is trained once, for real, and kept in a ledger. Then the designs are replayed on it, which
takes seconds, and each cell's class is compared with the one that the full grid gives it.
Interrupt it at will. It goes on where it stopped.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from study.measures.edge_search import Search, searches
from study.measures.evidence import gather
from study.measures.landscape import Landscape, landscapes
from study.measures.reference import reference_scores
from study.measures.regions import measured_region
from study.plan.cells import Plan, make_plan
from study.plan.job import Job
from study.run.launch import fingerprints_of_data
from study.run.tile import run_job
from study.spec.model import StudySpec
from study.spec.read import read_spec
from tracking import CellRecord, Ledger

TRANSFORMS = tuple(choice.name for choice in read_spec("quickstart").transforms)
TWO = ("none", "gradient_stabilizer")
TILE = 256
"""Cells per tile: the widest that is still faster on a CPU."""
EVERY = 10.0
"""Seconds between two lines of progress."""


@dataclass(frozen=True)
class Bench:
    """A grid, and the least factor that a design should save on it."""

    model: str
    side: int
    transforms: tuple[str, ...]
    seeds: int
    factor: float
    steps: int = 200

    def spec(self, name: str) -> StudySpec:
        """The ranges and the budget of `quickstart`, with as many values on each axis as the side says."""
        axis = {"lr": (-5.0, 1.5), "weight_decay": (-4.0, 1.0)}
        values = {
            key: [float(f"{10 ** (low + (high - low) * k / (self.side - 1)):.10g}") for k in range(self.side)]
            for key, (low, high) in axis.items()
        }
        content = {
            "name": f"bench-{name}",
            "workload": "digits",
            "model": self.model,
            "optimizer": "adamw",
            "transforms": list(self.transforms),
            "seeds": self.seeds,
        }
        return StudySpec.model_validate(
            content | values | {"budget": {"steps": self.steps, "batch_size": 64, "points": 1}}
        )


BENCHES = {
    "mlp-32": Bench("mlp", 32, TRANSFORMS, 3, 5.0),
    "mlp-64": Bench("mlp", 64, TWO, 1, 10.0),
    "mlp-128": Bench("mlp", 128, TWO, 1, 20.0),
    "convnet-32": Bench("convnet", 32, TWO, 1, 5.0),
}
SMALL = {"small": Bench("mlp", 16, TWO, 1, 1.0, steps=60)}
"""Only when asked for by name: a minute, to see that the command works."""
ALIKE, AREA = 0.99, 0.02
"""Least share of cells classified alike, and largest difference of areas."""


@dataclass(frozen=True)
class Comparison:
    """A design beside its full grid: cells trained, share classified alike, ratio of areas, and the audit.

    Attributes:
        frayed: see `beyond_one_run`.
    """

    grid: int
    trained: int
    alike: float
    area: float
    grid_area: float
    frayed: float
    search: Search

    def row(self) -> str:
        audit = self.search.design.audit
        return " | ".join(
            (
                str(self.grid),
                str(self.trained),
                f"{self.grid / self.trained:.2f}",
                f"{self.alike:.2%}",
                difference(self.area, self.grid_area),
                f"{self.frayed:.2%}",
                f"{audit.away_wrong}/{audit.away}",
                f"{audit.near_wrong}/{audit.near}",
                str(len(audit.filled)),
                str(len(audit.fell_back)),
                str(self.search.design.batches),
            )
        )


def difference(area: float, of: float) -> str:
    """`+1.2 %`, or in words where the grid has no region."""
    return (
        f"{area / of - 1:+.1%}"
        if of > 0
        else ("none in both" if area == 0 else f"{area:.3g} instead of none")
    )


def compare(
    landscape: Landscape,
    truth_SWL: np.ndarray,
    search: Search,
    records: Mapping[str, CellRecord],
    spec: StudySpec,
) -> Comparison:
    """Replay a design on the stored grid."""
    search.tell(lambda keys: {key: records[key] for key in keys})
    inside_SWL = search.class_SWL == 1
    areas = [
        measured_region(landscape, flags, "competitive", "own", spec.region).area.mean
        for flags in (inside_SWL, truth_SWL)
    ]
    return Comparison(
        inside_SWL.size,
        len(search.design.known.told),
        float((inside_SWL == truth_SWL).mean()),
        *areas,
        beyond_one_run(truth_SWL),
        search,
    )


def beyond_one_run(truth_SWL: np.ndarray) -> float:
    """Share of cells that lie off the best single run of columns of their row.

    A design that knew that run of every row and trained nothing else would be wrong in just these cells.
    They are islands and holes along the edge, which no neighbour tells.
    """
    wrong = 0
    for row_L in truth_SWL.reshape(-1, truth_SWL.shape[-1]):
        gain, best = 0, 0
        for inside in row_L:
            gain = max(gain + (1 if inside else -1), 0)
            best = max(best, gain)
        wrong += int(row_L.sum()) - best
    return wrong / truth_SWL.size


def comparisons(plan: Plan, records: Mapping[str, CellRecord]) -> Iterator[tuple[str, str, Comparison]]:
    """(transform, reference, comparison), with each design's own best score, and with the full grid's."""
    (piece,) = gather(landscapes(plan, records), plan.spec.region)
    for landscape, search in zip(piece.landscapes.values(), searches(plan), strict=True):
        truth_SWL = piece.regions[landscape.transform, "competitive", "own"].inside_SWL
        given = Search(
            list(search.cells.values()),
            search.shape,
            plan.spec.region,
            ("competitive",),
            reference_scores([landscape.plateau_SN]),
        )
        yield landscape.transform, "own", compare(landscape, truth_SWL, search, records, plan.spec)
        yield landscape.transform, "grid's", compare(landscape, truth_SWL, given, records, plan.spec)


def train(plan: Plan, ledger: Ledger, processes: int) -> None:
    """Train what is missing of a full grid, with a line of progress every few seconds."""
    missing = plan.missing(plan.own(ledger.outcomes(plan.settings)).keys())
    jobs = plan.jobs(missing, dict.fromkeys(plan.settings, TILE))
    started = printed = time.monotonic()
    done = 0
    with pool(processes) as workers:
        for future in as_completed(submit(workers, job) for job in jobs):
            records = future.result()
            ledger.add(records)
            done += len(records)
            now = time.monotonic()
            if now - printed >= EVERY or done == len(missing):
                printed, rate = now, done / (now - started)
                print(
                    f"{plan.spec.name}: {done}/{len(missing)} cells trained, {rate:.1f} cells/s, "
                    f"{(len(missing) - done) / rate:.0f} s left",
                    flush=True,
                )


def submit(workers: Executor | None, job: Job) -> Future[list[CellRecord]]:
    """Train a tile, in another process if there is one."""
    if workers is not None:
        return workers.submit(run_job, job, "cpu")
    future: Future[list[CellRecord]] = Future()
    future.set_result(run_job(job, "cpu"))
    return future


@contextmanager
def pool(processes: int) -> Iterator[Executor | None]:
    """So many processes of one thread each; none for 0."""
    if not processes:
        yield None
        return
    workers = ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("spawn"), initializer=one_thread
    )
    try:
        yield workers
    finally:
        workers.shutdown(cancel_futures=True)


def one_thread() -> None:
    """A worker uses one core."""
    import torch

    torch.set_num_threads(1)


HEAD = (
    "grid | transform | reference | cells of the grid | cells of the design | factor | alike | area | "
    "off the best run of their row | audit: disagreed away from edges | beside edges | rows filled in | "
    "rows fallen back | batches"
)


def run(name: str, bench: Bench, folder: Path, processes: int) -> list[str]:
    """Train or read one grid, replay the designs, and return the rows of its table and its verdict."""
    spec = bench.spec(name)
    plan = make_plan(spec, fingerprints_of_data(spec))
    ledger = Ledger(folder / "ledger.sqlite")
    try:
        train(plan, ledger, processes)
        records = ledger.get(plan.keys)
    finally:
        ledger.close()
    found = list(comparisons(plan, records))
    rows = [f"| {name} | {transform} | {reference} | {one.row()} |" for transform, reference, one in found]
    for reference in ("own", "grid's"):
        chosen = [one for _, own, one in found if own == reference]
        factor = sum(one.grid for one in chosen) / sum(one.trained for one in chosen)
        alike = float(np.mean([one.alike for one in chosen]))
        area = sum(one.area for one in chosen) / max(sum(one.grid_area for one in chosen), 1e-12) - 1
        frayed = float(np.mean([one.frayed for one in chosen]))
        met = [
            f"{label} {'met' if holds else 'NOT met'}"
            for label, holds in (
                ("factor", factor >= bench.factor),
                ("alike", alike >= ALIKE),
                ("area", abs(area) <= AREA),
            )
        ]
        shape = (
            f"{bench.side} x {bench.side}, {len(bench.transforms)} transforms, "
            f"{bench.seeds} seed{'s' * (bench.seeds > 1)}, {bench.steps} steps"
        )
        wanted = f"wanted >= {bench.factor:g}x, >= {ALIKE:.0%}, within {AREA:.0%}"
        rows.append(
            f"{name} ({shape}), {reference} reference: {factor:.2f}x fewer cells, {alike:.2%} alike, "
            f"area {area:+.1%}, {frayed:.2%} of cells off the best run of their row "
            f"({wanted}: {', '.join(met)})"
        )
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description="Edge-seeking designs beside full grids: cells against resolution."
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("bench-edges"),
        help="where the full grids are kept (default: %(default)s)",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=[*BENCHES, *SMALL],
        default=list(BENCHES),
        help="which grids (default: all but small)",
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=os.cpu_count() or 1,
        help="of one thread each; 0 trains in this one (default: %(default)s)",
    )
    options = parser.parse_args()
    lines = []
    for name in options.only:
        found = run(name, (BENCHES | SMALL)[name], options.folder, options.processes)
        print("\n".join(found), flush=True)
        lines += found
    table = [line for line in lines if line.startswith("|")]
    print(
        "\n".join(
            [
                "",
                f"| {HEAD} |",
                "|" + "---|" * (HEAD.count("|") + 1),
                *table,
                "",
                *(line for line in lines if not line.startswith("|")),
            ]
        )
    )


if __name__ == "__main__":
    main()
