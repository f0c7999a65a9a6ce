"""Every drill in its long form, as a table: `make faults`. Exit code 1 where a promise was broken."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tests.tools import malformed
from tests.tools.faults import cluster, drills, homes, own_code, storage
from tests.tools.faults.drills import Row

console = Console(width=None if sys.stdout.isatty() else 220)


def malformed_specs(folder: Path, n: int, seed: int) -> Row:
    """Specs that are wrong in every way that a generator thinks of, given to `study launch`."""
    row = Row("malformed specs", repetitions=n)
    found = malformed.run(n, seed)
    row.notes.append(", ".join(f"{count} {name}" for name, count in found.items()))
    return row


DRILLS: dict[str, Callable[[Path, int, int], Row]] = {
    "driver": lambda folder, times, seed: drills.driver_killed(folder, times, seed),
    "function": lambda folder, times, seed: own_code.function_killed(folder, max(2, times // 4), seed),
    "worker": lambda folder, times, seed: drills.worker_killed(folder, times, seed),
    "poisoned": lambda folder, times, seed: drills.worker_always_killed(folder, seed),
    "head": lambda folder, times, seed: drills.head_killed(folder, max(2, times // 5), seed),
    "machine": lambda folder, times, seed: cluster.machine_killed(folder, max(2, times // 5), seed),
    "away": lambda folder, times, seed: drills.tracker_dead(folder, seed),
    "tracker": lambda folder, times, seed: drills.tracker_killed(folder, max(2, times // 4), seed),
    "torn": lambda folder, times, seed: storage.torn_write(folder, times, seed),
    "power": lambda folder, times, seed: storage.power_lost(folder, times, seed),
    "full": lambda folder, times, seed: storage.disk_full(folder, seed),
    "unwritable": lambda folder, times, seed: storage.unwritable(folder, seed),
    "two": lambda folder, times, seed: storage.two_launches(folder, seed),
    "half": lambda folder, times, seed: homes.half_made(folder, 2 * times, seed),
    "new": lambda folder, times, seed: homes.struck(
        folder, "driver SIGKILL in a new home", homes.killed, max(2, times // 5), seed
    ),
    "ctrl-c": lambda folder, times, seed: homes.struck(
        folder, "Ctrl-C twice in a new home", homes.ctrl_c_twice, max(2, times // 5), seed
    ),
    "terminal": lambda folder, times, seed: homes.struck(
        folder, "terminal closed in a new home", homes.terminal_closed, max(2, times // 5), seed
    ),
    "copied": lambda folder, times, seed: homes.copied(folder, seed),
    "mlflow-full": lambda folder, times, seed: homes.mlflow_full(folder, seed),
    "damaged": lambda folder, times, seed: homes.damaged_rows(folder, times, seed),
    "shared": lambda folder, times, seed: homes.shared_cells(folder, seed),
    "own": lambda folder, times, seed: own_code.own_code_misbehaves(folder, seed),
    "malformed": lambda folder, times, seed: malformed_specs(folder, 50 * times, seed),
}
"""By name, each with how often (20 in the long form) and the seed of its moments."""


def table(rows: list[Row], seed: int) -> Table:
    """One line per drill."""
    title = (
        f"Faults, seed {seed}, {platform.machine()}, Python {platform.python_version()} "
        "(cells and runs are sums over the studies of a drill)"
    )
    found = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in (
        "drill",
        "times",
        "cells",
        "trained",
        "repeated",
        "lost",
        "duplicate runs",
        "runs left open",
        "s to resume",
        "",
        "what was seen",
    ):
        found.add_column(
            name, justify="left" if name in ("drill", "what was seen") else "right", overflow="fold"
        )
    for row in rows:
        numbers = [
            f"{value:,}"
            for value in (
                row.repetitions,
                row.cells,
                row.trained,
                row.repeated,
                row.lost,
                row.duplicate_runs,
                row.open_runs,
            )
        ]
        found.add_row(
            row.drill,
            *numbers,
            row.resumed,
            "[green]good[/]" if row.good else "[red]BROKEN[/]",
            "; ".join([*row.problems, *row.notes]),
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="faults per drill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=DRILLS, default=list(DRILLS))
    parser.add_argument("--json", type=Path, help="write the rows there, too")
    asked = parser.parse_args()
    rows = []
    folder = Path(tempfile.mkdtemp(prefix="stability-study-faults-"))
    for name in asked.only:
        started = time.monotonic()
        rows.append(DRILLS[name](folder / name, asked.times, asked.seed))
        verdict = "good" if rows[-1].good else f"BROKEN, see {folder / name}"
        console.print(
            f"{name}: {verdict}, {time.monotonic() - started:.0f} s", highlight=False, soft_wrap=True
        )
    console.print(table(rows, asked.seed))
    if asked.json:
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    if all(row.good for row in rows):
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if all(row.good for row in rows) else 1)


if __name__ == "__main__":
    main()
