"""A study on the containers' cluster: launched from outside, counted on the head, seen in MLflow."""

from __future__ import annotations

import csv
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.tools.cluster.stack import Stack, run
from tests.tools.faults.subject import AUDIT, Counts

PREPARE = """
import sqlite3, sys
from contextlib import closing
from pathlib import Path
from study.home import Home
home = Home(Path(sys.argv[1])); home.prepare(); home.open_ledger().close()
with closing(sqlite3.connect(home.ledger)) as connection:
    connection.executescript(sys.argv[2])
"""
COUNT = """
import sqlite3, sys, json
from contextlib import closing
file = f"file:{sys.argv[1]}/ledger.sqlite?mode=ro"
with closing(sqlite3.connect(file, uri=True, timeout=30)) as connection:
    rows = connection.execute("SELECT key FROM handed WHERE outcome != 'failed'").fetchall()
print(json.dumps([key for key, in rows]))
"""
HOME = "/var/lib/stability-study"
LIMIT = 900.0
"""No launch of a drill may take longer [s]."""
COMPARED = ("key", "outcome", "reason", "diverged_step", "loss_final", "metric_final", "metric_best")
"""Columns that do not depend on where a cell was trained, and when."""


class AwayError(RuntimeError):
    """The head does not answer."""


class There:
    """One study on a stack.

    Args:
        text: the spec, without its name.
        cells: how many it has.
    """

    def __init__(self, stack: Stack, folder: Path, name: str, text: str, cells: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.stack, self.folder, self.name, self.cells = stack, folder, name, cells
        self.file, self.log = folder / f"{name}.yaml", folder / f"{name}.txt"
        self.file.write_text(f"name: {name}\n{text}")
        self.file.chmod(0o644)
        # Once for all studies of the stack: they share the head's home.
        audit = AUDIT.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS")
        audit = audit.replace("CREATE TRIGGER", "CREATE TRIGGER IF NOT EXISTS")
        self.ask(PREPARE, audit)
        self.earlier = len(self._handed())

    def _handed(self) -> list[str]:
        return list(json.loads(self.ask(COUNT).splitlines()[-1]))

    def ask(self, program: str, *words: str) -> str:
        """What a few lines of Python on the head print.

        Raises:
            AwayError: the head is not there.
        """
        code, said = self.stack.execute("head", "python", "-c", program, HOME, *words)
        if code != 0:
            raise AwayError(said[-500:])
        return said

    def handed(self) -> list[str]:
        """Keys of the records that were handed to the ledger for this study, in their order.

        Drills come one after another, and each study has cells of its own.
        """
        return self._handed()[self.earlier :]

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """`study launch --cluster`, in a container that is no member of the cluster."""
        with self.log.open("ab") as log:
            return subprocess.Popen(self.stack.guest("launch", self.file, *words), stdout=log, stderr=log)

    def end(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for a client; its exit code."""
        try:
            return process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            raise

    def wait_for(self, more_than: int, limit: float = 240.0) -> float | None:
        """How long until more records than that were handed over [s]; None where the limit comes first."""
        started = time.monotonic()
        while time.monotonic() - started < limit:
            try:
                if len(self.handed()) > more_than:
                    return time.monotonic() - started
            except AwayError:
                pass
            time.sleep(0.5)
        return None

    def export(self) -> dict[str, tuple[str, ...]]:
        """What `study export --cluster` brings back, by cell."""
        out = self.folder / f"{self.name}-out"
        code, said = run(self.stack.guest("export", self.file, out=out), 300)
        if code not in (0, 3):
            raise RuntimeError(said)
        return exported(out)

    def runs(self) -> list[Any]:
        """The study's cell runs in MLflow, as its reader sees them."""
        client = self.stack.tracker()
        experiment = client.get_experiment_by_name(self.name)
        found: list[Any] = []
        token = None
        while experiment is not None:
            page = client.search_runs(
                [experiment.experiment_id],
                "tags.stability_study = 'cell'",
                max_results=1000,
                page_token=token,
            )
            found += page
            token = page.token
            if not token:
                break
        return found

    def counts(self) -> Counts:
        """What a drill is judged by."""
        handed, runs = self.handed(), self.runs()
        keys = [run.data.tags["cell_key"] for run in runs]
        stored = {key for key, row in self.export().items() if row[0] in ("finished", "diverged")}
        return Counts(
            cells=self.cells,
            trained=len(handed),
            repeated=len(handed) - len(set(handed)),
            lost=self.cells - min(len(stored), len(set(keys))),
            duplicate_runs=len(keys) - len(set(keys)),
            open_runs=sum(run.info.status == "RUNNING" for run in runs),
        )


def exported(folder: Path) -> dict[str, tuple[str, ...]]:
    """Outcome and numbers of each cell of an export, by key."""
    with (folder / "cells.csv").open(encoding="utf-8") as file:
        return {row["key"]: tuple(row[name] for name in COMPARED[1:]) for row in csv.DictReader(file)}
