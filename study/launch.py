"""A launch: the cells that the spec asks for, less those that are stored, trained; then everything shown."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from study import dispatch
from study.analysis import Analysis
from study.dispatch import Failure
from study.factories import told
from study.home import Home
from study.plan import Plan, make_plan, settings
from study.progress import Display
from study.rehearsal import rehearse
from study.spec import SpecError, StudySpec
from study.worker import failed_records, workload_of
from tracking import CellRecord, Ledger, Mirror

STORED = ("finished", "diverged")
"""Outcomes that are evidence; a failed cell is trained again."""


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
        SpecError: a workload cannot be loaded, a model not be built, the batch is larger than the data, or a user's own code fails.
    """
    found = {}
    for setting in settings(spec):
        try:
            workload = workload_of(setting.workload, setting.model)
            found[setting.name] = workload.fingerprint()
        except Exception as error:  # a user's own workload may raise anything
            raise SpecError(f"{setting.name} cannot be made: {error if isinstance(error, (ValueError, TypeError)) else told(error)}") from None
        if spec.budget.batch_size > len(workload.train_x):
            raise SpecError(f"budget.batch_size is {spec.budget.batch_size}, but {setting.name} has {len(workload.train_x)} training examples; lower it to at most that")
        rehearse(spec, setting, workload)
    return found


def read(spec: StudySpec, home: Home) -> Analysis:
    """What is stored of a study; nothing is written, and nothing is stored where there is no home."""
    if not home.ledger.exists():
        return Analysis(make_plan(spec, {}), {})
    with closing(Ledger(home.ledger, create=False)) as ledger:
        plan = make_plan(spec, ledger.fingerprints(setting.name for setting in settings(spec)))
        return Analysis(plan, ledger.get(plan.keys))


def launch(spec: StudySpec, home: Home, console: Console, *, here: bool = False, address: str | None = None, tracking_uri: str | None = None) -> Launch:
    """Train what is missing, store it, show it in MLflow, analyse it and write the exports.

    Args:
        here: train in this process instead of on Ray's workers.
        address: an existing Ray cluster.
        tracking_uri: an MLflow server, or the home's own database.

    Raises:
        SpecError: the spec cannot be run, or the home not be used; nothing was written then.
    """
    started = time.monotonic()
    console.print(f"loading {', '.join(setting.name for setting in settings(spec))}", highlight=False)
    prints = fingerprints_of_data(spec)
    home.prepare()
    with home.hold(spec.name), closing(home.open_ledger()) as ledger:
        for name, value in prints.items():
            ledger.note_fingerprint(name, value)
        ledger.note_study(spec.name, spec.canonical())
        return _run(make_plan(spec, prints), home, ledger, console, here, address, tracking_uri or home.mlflow_uri, started)


def _run(plan: Plan, home: Home, ledger: Ledger, console: Console, here: bool, address: str | None, uri: str, started: float) -> Launch:
    outcomes = ledger.outcomes(plan.keys)
    stored = {key for key, outcome in outcomes.items() if outcome in STORED}
    missing = plan.missing(stored)
    shown = ledger.runs(plan.spec.name, uri)
    mirror = Mirror(partial(open_mlflow, uri, plan.spec.name, home), home.ledger, plan.spec.name, uri)
    mirror.add(ledger.get(key for key in stored if key not in shown).values())
    failures: list[Failure] = []
    interrupted = False
    diverged = sum(outcome == "diverged" for outcome in outcomes.values())
    with Display(console, len(plan.cells), len(stored), diverged, lambda: mirror.waiting, lambda: mirror.trouble) as display:

        def done(records: list[CellRecord]) -> None:
            ledger.add(records)
            mirror.add(records)
            display.add(records)

        try:
            if missing:
                with dispatch.here() if here else dispatch.ray_pool(plan.spec.workers, address) as pool:
                    widths = {key: width_of(key, plan, ledger, pool) for key in {cell.setting for cell in missing}}
                    failures = pool.train(plan.jobs(missing, widths), done)
                ledger.add(record for failure in failures for record in failed_records(failure.job, failure.reason))
            mirror.finish(display.refresh)
        except KeyboardInterrupt:
            interrupted = True
            mirror.finish(give_up=True)
    analysis = Analysis(plan, ledger.get(plan.keys))
    folder = home.exports(plan.spec.name)
    if not interrupted:
        conclude(analysis, home, folder, uri, console)
    runs = len(ledger.runs(plan.spec.name, uri).keys() & set(plan.keys))
    return Launch(analysis, display.trained, failures, interrupted, folder, time.monotonic() - started, runs, mirror.trouble, uri == home.mlflow_uri)


def width_of(key: str, plan: Plan, ledger: Ledger, pool: dispatch.Pool) -> int:
    """The spec's width, or the remembered one, or a measured one."""
    if plan.spec.workers.tile is not None:
        return plan.spec.workers.tile
    job = plan.largest(key)
    width = ledger.width(key, pool.name, len(job.tile.cells))
    if width is None:
        width = pool.width(job)
        ledger.note_width(key, pool.name, width, len(job.tile.cells))
    return width


def conclude(analysis: Analysis, home: Home, folder: Path, uri: str, console: Console) -> None:
    """Regions, importances, claims and pictures: as files, in Optuna's storage, and on the study's MLflow run."""
    from study.export import export
    from study.importance import store

    console.print("analysing", highlight=False)
    written = export(analysis, folder)
    store(home.optuna(analysis.plan.spec.name), [landscape for piece in analysis.evidence for landscape in piece.landscapes.values() if landscape.seeds])
    try:
        open_mlflow(uri, analysis.plan.spec.name, home).finish(
            {f"cells_{name}": float(count) for name, count in analysis.counts.items()},
            {f"claim.{claim.id}": claim.verdict for claim in analysis.claims},
            [folder / "heatmaps", *(path for path in written if path.parent == folder)],
        )
    except Exception as error:  # a tracker that is away must not cost the study its result
        console.print(f"MLflow did not get the pictures ({type(error).__name__}); launching again sends them", highlight=False)


def open_mlflow(uri: str, study: str, home: Home):  # type: ignore[no-untyped-def]  # importing its type would import MLflow
    """The study's runs in MLflow."""
    from tracking.mlflow_store import MlflowStore

    return MlflowStore(uri, study, home.mlflow_artifacts)
