"""Drills: a study, a fault at random moments (seeded), and what is left of the study afterwards."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.tools.faults.server import Server
from tests.tools.faults.subject import (
    PATIENCE,
    Counts,
    Subject,
    contents,
    end,
    expected,
    family,
    left_over,
    numbers,
)

STUDY = """
workload: digits
model: mlp
optimizer: adamw
transforms: [{transforms}]
lr: [1e-3, 1e-2, 0.1, 30]
weight_decay: [1e-2, 0.1, 10]
seeds: {seeds}
budget: {{steps: {steps}, batch_size: 64, points: 4}}
workers: {{tile: {tile}, checkpoint_every: {every}, retries: {retries}, cpus_per_worker: {cpus}}}
"""


TILES = {
    12: ("none, unit_norm, clip_norm", 4),
    4: ("none, unit_norm", 2),
    2: ("none", 2),
    1: ("none", 1),
}
"""Transforms and the number of seeds, by the number of tiles of twelve cells."""


def study(
    steps: int = 300, tile: int = 12, every: float = 60.0, retries: int = 2, cpus: int = 1, tiles: int = 12
) -> str:
    """Twelve cells per transform and seed, some of which diverge: a tile of the full width."""
    transforms, seeds = TILES[tiles]
    return STUDY.format(
        steps=steps, tile=tile, every=every, retries=retries, cpus=cpus, transforms=transforms, seeds=seeds
    )


@dataclass
class Row:
    """A line of the table: sums over all studies of a drill; `problems` says in words what must not be."""

    drill: str
    repetitions: int = 0
    cells: int = 0
    trained: int = 0
    repeated: int = 0
    lost: int = 0
    duplicate_runs: int = 0
    open_runs: int = 0
    resume: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, counts: Counts) -> None:
        """Count a study."""
        for name in ("cells", "trained", "repeated", "lost", "duplicate_runs", "open_runs"):
            setattr(self, name, getattr(self, name) + getattr(counts, name))

    def check(self, promise: bool, problem: str) -> None:
        if not promise:
            self.problems.append(problem)

    @property
    def good(self) -> bool:
        return not self.problems and self.repeated == self.lost == self.duplicate_runs == self.open_runs == 0

    @property
    def resumed(self) -> str:
        """Median and largest seconds to the first new cell."""
        return f"{statistics.median(self.resume):.1f} (≤ {max(self.resume):.1f})" if self.resume else "–"


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    """A running MLflow server, gone afterwards."""
    server = Server(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def undisturbed(
    folder: Path, name: str, text: str, tracker: str | None = None, *words: str, inside: bool = False
) -> tuple[Subject, float]:
    """The same study without any fault, and how long it took [s]."""
    return without_fault(Subject(folder, name, text, tracker, inside=inside), *words)


def without_fault(subject: Subject, *words: str) -> tuple[Subject, float]:
    """A study launched to its end, and how long it took [s]."""
    started = time.monotonic()
    code = subject.run("launch", *words)
    if code != 0:
        raise RuntimeError(f"the undisturbed study ended with {code}; see {subject.log}")
    return subject, time.monotonic() - started


def driver_killed(
    folder: Path,
    kills: int,
    seed: int,
    steps: int = 300,
    *,
    name: str = "driver",
    text: str = "",
    make: Callable[[Path, str, str, str], Subject] = Subject,
    small: bool = False,
    survivors: list[psutil.Process] | None = None,
) -> Row:
    """SIGKILL to `study launch`, at any moment from its start to its end; launched again until it is done.

    Args:
        name: the row's, and the beginning of those of its studies.
        text: the spec, without its name; empty takes one of the small MLP.
        make: a study in a folder, of a name and a text, and with an MLflow server.
        small: the moment is that of the first stored tile.
        survivors: gets the processes that killed launches had started, for the caller to wait for. None waits
            here, a minute, which Ray's agents take to end.
    """
    rng, row = random.Random(seed), Row(f"{name} SIGKILL")
    text = text or study(steps, tiles=4 if small else 12)
    members: list[psutil.Process] = []
    with served(folder / "server") as server:
        if small:
            truth, seconds = expected(text), PATIENCE
        else:
            undisturbed_study, seconds = without_fault(make(folder / "truth", "truth", text, server.uri))
            truth = numbers(undisturbed_study)
        round_ = 0
        while row.repetitions < kills:
            round_ += 1
            title = f"{name}-{round_}"
            subject, code = make(folder / title, title, text, server.uri), -1
            while code != 0:
                before = subject.handed
                process = subject.start()
                limit = rng.uniform(0.0, seconds) if row.repetitions < kills and not small else PATIENCE
                resume = subject.seconds_to_progress(process, before, limit)
                row.resume += [resume] if before and resume is not None else []
                left = 0.0 if small and row.repetitions < kills else max(0.0, limit - (resume or limit))
                try:
                    code = process.wait(left)
                except subprocess.TimeoutExpired:
                    members += end(process)
                    row.repetitions += 1
                else:
                    row.check(code == 0, f"a launch ended with {code}; see {subject.log}")
                    if code != 0:
                        return row
            row.add(subject.counts())
            row.check(
                numbers(subject) == truth, f"{subject.name}: numbers differ from the undisturbed study's"
            )
    row.notes.append(f"{round_} studies, each equal to the undisturbed one bit by bit")
    if survivors is not None:
        survivors += members
        return row
    left_behind = left_over(members)
    row.notes.append(f"{left_behind} processes left behind")
    row.check(left_behind == 0, f"{left_behind} processes outlived their driver")
    return row


def worker_killed(folder: Path, kills: int, seed: int, steps: int = 1500, *, small: bool = False) -> Row:
    """SIGKILL to a Ray worker in the middle of a tile that takes long; its tile goes on from its checkpoint.

    Args:
        small: the moment is when a checkpoint is there, and the study is one tile.
    """
    rng, row = random.Random(seed), Row("worker SIGKILL")
    text = study(steps, tile=36, every=0.1 if small else 0.5, retries=kills, tiles=1 if small else 12)
    truth = expected(text) if small else numbers(undisturbed(folder / "truth", "truth", text)[0])
    round_ = kept = 0
    while row.repetitions < kills:
        round_ += 1
        subject = Subject(folder / f"worker-{round_}", f"worker-{round_}", text)
        process = subject.start()
        while process.poll() is None and row.repetitions < kills:
            time.sleep(0.02 if small else rng.uniform(0.3, 4.0))
            files = subject.home.checkpoints(subject.name).glob("*")
            there = any(not file.name.startswith(".") for file in files)  # others are half written
            training = trainables(process.pid) if there or not small else []
            if not training:
                continue
            kept += there
            before = subject.handed
            rng.choice(training).kill()
            row.repetitions += 1
            if (resume := subject.seconds_to_progress(process, before)) is not None:
                row.resume.append(resume)
        row.check(process.wait(PATIENCE) == 0, f"a launch ended with {process.returncode}; see {subject.log}")
        row.add(subject.counts())
        row.check(numbers(subject) == truth, f"{subject.name}: numbers differ from the undisturbed study's")
        row.check(
            not subject.home.checkpoints(subject.name).exists(), f"{subject.name}: checkpoints are left"
        )
    row.notes.append(
        f"{round_} studies, each equal to the undisturbed one bit by bit; "
        f"at {kept} kills a checkpoint was there"
    )
    return row


def trainables(pid: int) -> list[psutil.Process]:
    """Ray workers that are training a tile of that driver."""
    found = []
    for member in family(pid):
        try:
            if "Trainable.train" in " ".join(member.cmdline()):
                found.append(member)
        except psutil.Error:
            continue
    return found


def worker_always_killed(folder: Path, seed: int, *, small: bool = False) -> Row:
    """A tile whose worker dies each time: failed with its reason, others go on; another launch mends it."""
    row = Row("worker dies each time", repetitions=2)
    # One worker alone, so that the tile whose checkpoint is seen is the tile whose worker is killed.
    cpus, tiles = os.cpu_count() or 1, 2 if small else 12
    text = study(steps=200, tile=36, every=0.05, retries=1, cpus=cpus, tiles=tiles)
    subject = Subject(folder / "poisoned", "poisoned", text, inside=small)
    cells = subject.spec.size
    process, kept, killed = subject.start(), subject.home.checkpoints("poisoned"), 0
    victim, seen = None, 0.0
    while process.poll() is None and killed < 2:
        time.sleep(0.02)
        victim = victim or next(
            (path for path in kept.glob("*") if not path.name.startswith(".")), None
        )  # the first tile that is trained
        if victim is None or not victim.exists() or victim.stat().st_mtime <= seen:
            continue
        for member in trainables(process.pid):
            member.kill()
        killed, seen = killed + 1, victim.stat().st_mtime + 1.0
    code = process.wait(PATIENCE)
    outcomes = [record.outcome for record in subject.records().values()]
    reasons = {record.reason for record in subject.records().values() if record.outcome == "failed"}
    row.check(code == 3, f"exit code {code}, wanted 3")
    row.check(
        outcomes.count("failed") == 12 and len(outcomes) == cells,
        f"{outcomes.count('failed')} failed of {len(outcomes)}, wanted 12 of {cells}",
    )
    row.check(all(reasons) and bool(reasons), "failed without a reason")
    row.notes.append(
        f"retries: 1, killed twice: exit 3, {outcomes.count('failed')} cells failed: "
        f"{next(iter(reasons), '')!r}"
    )
    row.check(subject.run("launch", "--here") == 0, "launching again did not mend it")
    row.add(subject.counts())
    return row


def tracker_dead(folder: Path, seed: int, *, small: bool = False) -> Row:
    """The tracker dies before the first cell; `study sync` then gives an undisturbed study's content."""
    row, text = Row("tracker dead, then sync", repetitions=1), study(steps=100, tiles=2 if small else 12)
    with served(folder / "server") as server:
        truth, _ = undisturbed(folder / "truth", "truth", text, server.uri, "--here", inside=small)
        server.kill()
        subject = Subject(folder / "away", "away", text, server.uri, inside=small)
        row.check(subject.run("launch", "--here") == 0, "the launch failed")
        said = subject.log.read_text()
        row.check(
            any(
                words in said
                for words in ("MLflow is unreachable", "MLflow was unreachable", "MLflow was away")
            ),
            "the launch did not say that MLflow is unreachable",
        )
        row.check(len(subject.records()) == subject.spec.size, "cells are missing")
        row.check(subject.run("sync") == 3, "sync without a tracker did not end with 3")
        server.start()
        started = time.monotonic()
        row.check(subject.run("sync") == 0, "sync failed")
        row.notes.append(f"back-filled in {time.monotonic() - started:.0f} s")
        row.add(subject.counts())
        row.check(
            contents(subject) == contents(truth), "MLflow's content differs from the undisturbed study's"
        )
    return row


def tracker_killed(folder: Path, kills: int, seed: int) -> Row:
    """SIGKILL to the MLflow server while cells are written, and back again."""
    rng, row, text = random.Random(seed), Row("tracker SIGKILL"), study(steps=600)
    with served(folder / "server") as server:
        truth, _ = undisturbed(folder / "truth", "truth", text, server.uri)
        round_ = 0
        while row.repetitions < kills:
            round_ += 1
            subject = Subject(folder / f"tracker-{round_}", f"tracker-{round_}", text, server.uri)
            process = subject.start()
            while process.poll() is None and row.repetitions < kills:
                time.sleep(rng.uniform(2.0, 10.0))
                server.kill()
                row.repetitions += 1
                time.sleep(rng.uniform(0.0, 3.0))
                server.start()
            row.check(process.wait(PATIENCE) == 0, f"the launch failed; see {subject.log}")
            row.check(subject.run("sync") == 0, "sync failed")
            row.add(subject.counts())
            row.check(
                contents(subject) == contents(truth),
                f"{subject.name}: MLflow's content differs from the undisturbed study's",
            )
    row.notes.append(f"{round_} studies, each shown like the undisturbed one after study sync")
    return row


def head_killed(folder: Path, kills: int, seed: int) -> Row:
    """SIGKILL to one of Ray's two head processes, after the first tile: the launch ends, the next goes on.

    Workers outlive their raylet for half a minute. The study takes longer, or the launch would end well.
    """
    rng, row, text = random.Random(seed), Row("Ray head SIGKILL"), study(steps=1200)
    truth, _ = undisturbed(folder / "truth", "truth", text)
    for k in range(kills):
        subject = Subject(folder / f"head-{k}", f"head-{k}", text)
        process = subject.start()
        target = ("gcs_server", "raylet")[k % 2]
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and subject.handed == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(rng.uniform(0.0, 1.0))
        heads = [member for member in family(process.pid) if member.is_running() and target in member.name()]
        row.check(bool(heads) or process.poll() is not None, f"no {target} was seen")
        for head in heads:
            head.kill()
        struck = time.monotonic()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            row.check(False, f"the launch hung after {target} was killed")
            left_over(end(process), patience=0.0)
        said = subject.log.read_text()
        # Our last words, or Ray's own.
        explained = any(words in said for words in ("Ray stopped", "GCS may have been killed"))
        sound = (process.returncode == 1 and explained) or (
            process.returncode == 0 and subject.handed == subject.spec.size
        )
        row.check(
            sound and "Traceback" not in said, f"{target}: ended with {process.returncode}; see {subject.log}"
        )
        row.notes.append(
            f"{target}: the launch ended with {process.returncode} after {time.monotonic() - struck:.0f} s"
        )
        row.repetitions += 1
        before = subject.handed
        again = subject.start()
        row.resume += [resume] if (resume := subject.seconds_to_progress(again, before)) is not None else []
        row.check(again.wait(PATIENCE) == 0, f"launching again failed; see {subject.log}")
        row.add(subject.counts())
        row.check(
            numbers(subject) == numbers(truth), f"{subject.name}: numbers differ from the undisturbed study's"
        )
    return row
