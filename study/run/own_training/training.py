"""Training of the user's own: a job's cell is trained in a process, and its reports become a record."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from study.plan.job import Job
from study.run.own_training.client import ask
from study.run.own_training.order import Order, Probe
from study.run.own_training.outcome import OwnFailureError, record_of
from study.run.own_training.reports import ReportError, read_reports
from study.run.records import failed_records
from study.spec.command_template import files_of_command, filled, hash_of_files
from study.spec.method_choice import Choice
from study.spec.own_training import OwnTraining, own_training_of
from tracking import CellRecord

LOADING = 600.0
"""How long a function's module may take to be imported [s]."""


def check_function(choice: Choice) -> None:
    """Import a function's module in a process of its own, and see that it can be called with a cell.

    Raises:
        ValueError: it cannot; one sentence.
    """
    if choice.form == "function":
        ended = ask(Probe(choice, min(own_training_of(choice).limit, LOADING)))
        if ended.problem:
            raise ValueError(ended.problem)


def train_own(job: Job, device: str, provenance: dict[str, Any], threads: int) -> list[CellRecord]:
    """Train the cells of a job, each in a process of its own.

    A cell that fails is a record that says why, and no exception: trying it again would fail likewise.

    Args:
        provenance: versions, device and commit of this machine.
        threads: that torch may use in a cell.

    Raises:
        ServerError: this machine cannot train.
        ValueError: it has other files than the launch had.
    """
    found = []
    for one in job.parts(1):
        try:
            found.append(_trained(one, device, provenance, threads))
        except (OwnFailureError, ReportError) as error:
            found += failed_records(one, str(error))
    return found


def _trained(job: Job, device: str, provenance: dict[str, Any], threads: int) -> CellRecord:
    own, cell = own_training_of(job.workload), job.tile.cells[0]
    # Removed when the cell has ended, but not with a worker that is killed: it lies where systems tidy up.
    directory = Path(tempfile.mkdtemp(prefix="stability-study-cell-"))
    try:
        order = Order(
            workload=job.workload,
            transform=job.transform,
            model=job.model.name,
            optimizer=job.optimizer.name,
            lr=cell.lr,
            weight_decay=cell.weight_decay,
            seed=cell.seed,
            budget=job.budget,
            metric=own.metric,
            device=device,
            threads=threads,
            directory=directory,
            limit=own.limit,
            command=_command(job, own, directory, device),
            folder=job.workload.folder or "",
        )
        order.scratch.mkdir()
        (directory / "cell.json").write_text(json.dumps(told(order)), encoding="utf-8")
        ended = ask(order)
        reported = read_reports(order.reports, own.metric, job.budget.steps)
        return record_of(job, own, ended, reported, provenance)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _command(job: Job, own: OwnTraining, directory: Path, device: str) -> tuple[str, ...]:
    if not own.command:
        return ()
    here = hash_of_files(files_of_command(own.command, own.inputs, job.workload.folder or ""))
    if here != job.workload.source:
        raise ValueError(
            f"the files of {job.workload.name} are {here} here and were {job.workload.source} when the study "
            "was launched; launch again, with the same files on all machines"
        )
    cell = job.tile.cells[0]
    values = {
        **vars(job.budget),
        **job.transform.keywords(),
        "lr": cell.lr,
        "weight_decay": cell.weight_decay,
        "seed": cell.seed,
        "transform": job.transform.name,
        "model": job.model.name,
        "optimizer": job.optimizer.name,
        "device": device,
        "directory": directory / "scratch",
    }
    return tuple(filled(own.command, values))


def told(order: Order) -> dict[str, Any]:
    """A cell as a command finds it in the file that its environment names."""
    return {
        "lr": order.lr,
        "weight_decay": order.weight_decay,
        "seed": order.seed,
        "transform": {"name": order.transform.name, "constants": order.transform.keywords()},
        "model": order.model,
        "optimizer": order.optimizer,
        "budget": vars(order.budget),
        "metric": order.metric,
        "device": order.device,
        "directory": str(order.scratch),
    }
