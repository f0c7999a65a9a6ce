"""A launch: the cells that the spec asks for, less those that are stored, trained; then everything shown."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import FrameType

from rich.console import Console

from search_spaces import Cell
from study.analysis import Analysis
from study.errors import UserError
from study.home import Home
from study.plan.cells import Plan, make_plan, settings
from study.plan.changes import refuse_other_meaning
from study.plan.job import Job
from study.run.dry_run import rehearse
from study.run.pool import Failure, Pool, in_this_process
from study.run.progress import Display
from study.run.ray_pool import ray_pool
from study.run.records import failed_records
from study.run.rounds import Rounds
from study.run.sync import EVIDENCE, conclude, mirrored, runs_of
from study.run.tile import Kept
from study.spec.build import fingerprint_of, workload_of
from study.spec.model import StudySpec
from study.spec.user_code import told
from tracking import CellRecord, Ledger

FALLBACK = 8
"""Cells per tile where the best number could not be measured."""


@dataclass(frozen=True)
class Launch:
    """How a launch ended."""

    analysis: Analysis
    trained: int
    failures: list[Failure]
    interrupted: bool
    exports: Path
    seconds: float
    mlflow_runs: int
    trouble: str | None
    own_tracker: bool


def fingerprints_of_data(spec: StudySpec) -> dict[str, str]:
    """Load every workload and return what stands for it in the keys of cells.

    Raises:
        UserError: a workload cannot be loaded, a model not be built, the batch is larger than the data, or a user's own code fails.
    """
    found = {}
    for setting in {each.name: each for each in settings(spec)}.values():
        try:
            workload = workload_of(setting.workload, setting.model)
            found[setting.name] = fingerprint_of(setting.workload, setting.model)
        except Exception as error:  # a user's own workload may raise anything
            raise UserError(
                f"{setting.name} cannot be made: {error if isinstance(error, (ValueError, TypeError)) else told(error)}"
            ) from None
        if spec.budget.batch_size > len(workload.train_x):
            raise UserError(
                f"budget.batch_size is {spec.budget.batch_size}, but {setting.name} has {len(workload.train_x)} training examples; lower it to at most that"
            )
    for setting in {(each.name, each.optimizer): each for each in settings(spec)}.values():
        rehearse(spec, setting, workload_of(setting.workload, setting.model))
    return found


def launch(
    spec: StudySpec,
    home: Home,
    console: Console,
    *,
    here: bool = False,
    address: str | None = None,
    tracking_uri: str | None = None,
) -> Launch:
    """Train what is missing, store it, show it in MLflow, analyse it and write the exports.

    Args:
        here: train in this process instead of on Ray's workers.
        address: an existing Ray cluster.
        tracking_uri: an MLflow server, or the home's own database.

    Raises:
        UserError: the spec cannot be run, stored cells of the study have another meaning, somebody else launches it, or the
            home cannot be used, and nothing was changed then; or no machine can hold a worker, and no cell was trained.
        LedgerError: the home can no longer be written, for want of room, say; what was stored is whole.
    """
    started = time.monotonic()
    console.print(f"loading {', '.join({setting.name: None for setting in settings(spec)})}", highlight=False)
    prints = fingerprints_of_data(spec)
    plan = make_plan(spec, prints)
    home.prepare()
    with home.hold(spec.name), closing(home.open_ledger()) as ledger:
        refuse_other_meaning(plan, ledger.meanings(spec.name))
        ledger.note_fingerprints(spec.name, prints)
        ledger.note_study(spec.name, spec.canonical(), plan.meanings)
        return _run(plan, home, ledger, console, here, address, tracking_uri or home.mlflow_uri, started)


def _run(
    plan: Plan,
    home: Home,
    ledger: Ledger,
    console: Console,
    here: bool,
    address: str | None,
    uri: str,
    started: float,
) -> Launch:
    outcomes = plan.own(ledger.outcomes(plan.settings))
    stored = [key for key, outcome in outcomes.items() if outcome in EVIDENCE]
    failures: list[Failure] = []
    interrupted = False
    diverged = sum(outcome == "diverged" for outcome in outcomes.values())
    with (
        mirrored(plan, stored, ledger, home, uri) as mirror,
        Display(console, len(stored), diverged, lambda: mirror.waiting, lambda: mirror.trouble) as display,
    ):

        def done(records: list[CellRecord]) -> None:
            ledger.add(records)
            kept.clear(records)
            mirror.add(record.key for record in records)
            display.add(records)

        def train(jobs: list[Job], pool: Pool) -> list[Failure]:
            failed = pool.train(jobs, done)
            large = [
                failure for failure in failed if failure.out_of_memory and len(failure.job.tile.cells) > 1
            ]
            rest = [failure for failure in failed if failure not in large]
            ledger.add(record for failure in rest for record in failed_records(failure.job, failure.reason))
            return rest + (
                train([half for failure in large for half in failure.job.halves()], pool) if large else []
            )

        kept = Kept(home.checkpoints(plan.spec.name).resolve(), plan.spec.workers.checkpoint_every)
        try:
            rounds = iter(Rounds(plan, ledger.get))
            first = next(rounds, None)
            if first and missing_of(first, ledger):
                with (
                    in_this_process(kept) if here else ray_pool(plan.spec.workers, kept, address) as pool,
                    stopped_like_ctrl_c(),
                ):
                    for part in chain([first], rounds):
                        missing = missing_of(part, ledger)
                        display.expect(len(missing))
                        widths = {
                            key: width_of(key, plan, ledger, pool)
                            for key in plan.settings
                            if any(cell.setting == key for cell in missing)
                        }
                        failures += train(part.jobs(missing, widths), pool)
            with stopped_like_ctrl_c():
                mirror.finish(display.refresh)
        except KeyboardInterrupt:
            interrupted = True
    analysis, trouble = (
        Analysis(plan, ledger.get(plan.keys), ledger.runs(plan.spec.name, uri)),
        mirror.trouble,
    )
    if analysis.complete:
        shutil.rmtree(kept.folder, ignore_errors=True)
    if not interrupted:
        trouble = conclude(analysis, home, uri, console, away=trouble)
    seconds, runs = time.monotonic() - started, runs_of(plan, ledger, uri)
    return Launch(
        analysis,
        display.trained,
        failures,
        interrupted,
        home.exports(plan.spec.name),
        seconds,
        runs,
        trouble,
        uri == home.mlflow_uri,
    )


def missing_of(part: Plan, ledger: Ledger) -> list[Cell]:
    """The cells of a round that are not stored as evidence."""
    outcomes = part.own(ledger.outcomes(part.settings))
    return part.missing({key for key, outcome in outcomes.items() if outcome in EVIDENCE})


@contextmanager
def stopped_like_ctrl_c() -> Iterator[None]:
    """SIGTERM, with which schedulers and containers stop a process, ends the training as Ctrl-C does: what finished is kept."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread alone
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def width_of(key: str, plan: Plan, ledger: Ledger, pool: Pool) -> int:
    """The spec's width, or the remembered one, or a measured one."""
    if plan.spec.workers.tile is not None:
        return plan.spec.workers.tile
    job = plan.largest(key)
    width = ledger.width(key, pool.name, len(job.tile.cells))
    if width is None:
        try:
            width = pool.width(job)
        except Exception:  # whatever breaks a measurement will be the reason of a tile, which has retries; this width is not remembered
            return min(FALLBACK, len(job.tile.cells))
        ledger.note_width(key, pool.name, width, len(job.tile.cells))
    return width
