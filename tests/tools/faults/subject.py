"""A study that faults are done to: real processes, and a ledger that counts what is handed to it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from study.home import Home
from study.plan.cells import make_plan
from study.run.data import fingerprints_of_data
from study.run.tile import run_job
from study.spec.model import StudySpec
from study.spec.read import parse_spec, read_spec
from tests import command, database
from tracking import CellRecord, Ledger

AUDIT = """
CREATE TABLE handed (key TEXT NOT NULL, outcome TEXT NOT NULL);
CREATE TRIGGER audit BEFORE INSERT ON cells BEGIN INSERT INTO handed VALUES (NEW.key, NEW.outcome); END;
"""
"""Counts every record that is handed to the ledger, even one that is stored. The product does not know."""
LOCAL = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Threads that spin while they wait for each other take minutes on a busy machine, so there is one.

Ray stays on the loopback interface.
"""
PATIENCE = 240.0
"""No process of a drill may take longer [s]."""


@dataclass(frozen=True)
class Counts:
    """What a drill is judged by; `trained` counts records handed to the ledger."""

    cells: int
    trained: int
    repeated: int
    lost: int
    duplicate_runs: int
    open_runs: int


class Subject:
    """One study in one home.

    Args:
        text: the spec, without its name.
        tracker: an MLflow server; None takes the home's own database.
        inside: `run` takes this process, which has imported torch and MLflow already.
    """

    def __init__(
        self, folder: Path, name: str, text: str, tracker: str | None = None, *, inside: bool = False
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._inside = inside
        self.folder, self.name, self.tracker = folder, name, tracker
        self.home, self.file, self.log = Home(folder / "home"), folder / "spec.yaml", folder / "log.txt"
        self.file.write_text(f"name: {name}\n{text}")
        self.home.prepare()
        if tracker is None:
            database.begin(self.home.mlflow_database)
        with closing(Ledger(self.home.ledger)):
            pass
        with closing(sqlite3.connect(self.home.ledger)) as connection:
            connection.executescript(AUDIT)

    @property
    def spec(self) -> StudySpec:
        return read_spec(str(self.file))

    @property
    def uri(self) -> str:
        return self.tracker or self.home.mlflow_uri

    def words(self, verb: str = "launch", *words: str) -> list[str]:
        """What stands behind `study` on the command line."""
        tracker = ["--tracking-uri", self.tracker] if self.tracker else []
        if verb == "check":
            return [verb, "--home", str(self.home.root), *words]
        return [verb, str(self.file), "--home", str(self.home.root), *tracker, *words]

    def command(self, verb: str = "launch", *words: str) -> list[str]:
        """The command as a process of its own."""
        return [sys.executable, "-m", "study.cli", *self.words(verb, *words)]

    def start(self, verb: str = "launch", *words: str) -> subprocess.Popen[bytes]:
        """The command as a process of its own; its output goes to the log."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command(verb, *words),
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                env=LOCAL,
            )

    def run(self, verb: str = "launch", *words: str) -> int:
        """The command, to its end; its exit code."""
        if self._inside:
            with self.log.open("a") as log, redirect_stdout(log), redirect_stderr(log):
                return command.study(*self.words(verb, *words))
        process = self.start(verb, *words)
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            left_over(end(process), patience=0.0)
            raise

    def scalar(self, query: str) -> Any:
        with closing(
            sqlite3.connect(f"file:{self.home.ledger}?mode=ro", uri=True, timeout=30.0)
        ) as connection:
            return connection.execute(query).fetchone()[0]

    @property
    def handed(self) -> int:
        return int(self.scalar("SELECT COUNT(*) FROM handed WHERE outcome != 'failed'"))

    def records(self) -> dict[str, CellRecord]:
        """What is stored of the study's cells."""
        with closing(Ledger(self.home.ledger, create=False)) as ledger:
            return ledger.get(make_plan(self.spec, ledger.fingerprints(self.name)).keys)

    def runs(self) -> list[Any]:
        """The study's cell runs in MLflow."""
        from mlflow.tracking import MlflowClient

        client = MlflowClient(self.uri)
        experiment = client.get_experiment_by_name(self.name)
        return (
            []
            if experiment is None
            else list(
                client.search_runs(
                    [experiment.experiment_id], "tags.stability_study = 'cell'", max_results=5000
                )
            )
        )

    def counts(self) -> Counts:
        """Cells against what was handed over and what MLflow shows."""
        runs = self.runs()
        keys = [run.data.tags["cell_key"] for run in runs]
        distinct = int(self.scalar("SELECT COUNT(DISTINCT key) FROM handed WHERE outcome != 'failed'"))
        stored = sum(record.outcome != "failed" for record in self.records().values())
        return Counts(
            cells=self.spec.size,
            trained=self.handed,
            repeated=self.handed - distinct,
            lost=self.spec.size - min(stored, len(set(keys))),
            duplicate_runs=len(keys) - len(set(keys)),
            open_runs=sum(run.info.status == "RUNNING" for run in runs),
        )

    def seconds_to_progress(
        self, process: subprocess.Popen[bytes], before: int, limit: float = PATIENCE
    ) -> float | None:
        """How long until more cells than `before` are stored [s]; None if the process or limit ends first."""
        started = time.monotonic()
        while process.poll() is None and time.monotonic() - started < limit:
            if self.handed > before:
                return time.monotonic() - started
            time.sleep(0.05)
        return None


Numbers = dict[str, tuple[object, ...]]
"""What cells ended with, by key: everything but how long it took and what it ran on."""


def numbers(subject: Subject) -> Numbers:
    """What is stored of a study."""
    return numbers_of(subject.records())


def numbers_of(records: Mapping[str, CellRecord]) -> Numbers:
    return {
        key: (
            record.outcome,
            record.reason,
            record.diverged_step,
            record.loss_final,
            record.metric_final,
            record.metric_best,
            record.curve,
            record.dynamics,
        )
        for key, record in records.items()
    }


def expected(text: str) -> Numbers:
    """What a study must find, trained tile by tile in this process: no Ray, no ledger, no fault.

    Takes a fifth of the processor time of an undisturbed launch, which imports and draws as well.
    """
    spec = parse_spec(f"name: expected\n{text}")
    plan = make_plan(spec, fingerprints_of_data(spec))
    jobs = plan.jobs(plan.cells, dict.fromkeys(plan.settings, spec.workers.tile or 1))
    return numbers_of({record.key: record for job in jobs for record in run_job(job, "cpu")})


def contents(subject: Subject) -> dict[str, tuple[object, ...]]:
    """What MLflow shows of each cell, by key, but for times, ids and versions."""
    found = {}
    for run in subject.runs():
        metrics = {name: value for name, value in run.data.metrics.items() if name != "seconds"}
        tags = {name: run.data.tags.get(name) for name in ("outcome", "reason", "mlflow.runName")}
        found[run.data.tags["cell_key"]] = (run.info.status, run.data.params, metrics, tags)
    return found


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it started."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def end(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """SIGKILL a process alone, and return all that it had started."""
    members = family(process.pid)
    process.kill()
    process.wait(60)
    return [member for member in members if member.pid != process.pid]


def left_over(members: list[psutil.Process], patience: float = 150.0) -> int:
    """How many processes do not end by themselves, and end them.

    Ray's agents take a minute to see that their head is gone.
    """
    alive = still_running(members, patience)
    for member in alive:
        member.kill()
    still_running(alive, 10.0)
    return len(alive)


def still_running(members: list[psutil.Process], patience: float) -> list[psutil.Process]:
    """Those that have not ended within a time [s].

    One that ended and was not reaped counts as ended. There are such in containers whose first process reaps
    nobody, and psutil would wait for them.
    """
    deadline = time.monotonic() + patience
    while (alive := [member for member in members if running(member)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    return alive


def running(member: psutil.Process) -> bool:
    try:
        return bool(member.is_running() and member.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
