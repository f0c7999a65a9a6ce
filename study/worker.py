"""One tile trained: from names and numbers to records. Runs in a worker's process, or in this one."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_spaces import digest
from study.job import Job
from study.methods import fingerprint_of, optimizer_of, transform_of, workload_of
from tracking import CellRecord

if TYPE_CHECKING:
    from torch import Tensor

    from trainers import Curves, Optimizer, Transform, Workload


SERIES = (
    "grad_std",
    "grad_norm",
    "scale",
    "update_ratio",
    "out_norm",
    "tensor_norm",
    "cosine",
    "least_cosine",
)
LAYERS = ("layer_std", "gain")
"""What a record keeps of the dynamics: one number per step, and one per step and layer. A record of before may lack some."""


@dataclass(frozen=True)
class Kept:
    """Where tiles that take long are kept while they train, and how often [s]."""

    folder: Path
    every: float

    def clear(self, records: Iterable[CellRecord]) -> None:
        """These cells of one tile are stored: the tile need not be kept."""
        key = digest([record.key for record in records])
        for file in (*self.folder.glob(f"{key}*"), *self.folder.glob(f".{key}*")):
            file.unlink(missing_ok=True)


def run_job(job: Job, device: str | None = None, kept: Kept | None = None) -> list[CellRecord]:
    """Train the cells of a tile together; where memory does not hold them, half of them at a time.

    Args:
        device: where; None takes a GPU if there is one.
        kept: where a tile goes on if a process died that trained it before.
    """
    import torch

    from trainers import Checkpoint
    from trainers.width import train_within_memory

    device = device or default_device()
    workload, transform, optimizer = parts(job)
    curves = train_within_memory(
        workload,
        transform,
        optimizer,
        job.budget,
        lr_C=torch.tensor([cell.lr for cell in job.tile.cells], dtype=torch.float64),
        weight_decay_C=torch.tensor([cell.weight_decay for cell in job.tile.cells], dtype=torch.float64),
        seed=job.tile.cells[0].seed,
        device=device,
        checkpoint=Checkpoint(kept.folder / job.tile.key, kept.every) if kept else None,
    )
    return records(job, workload, curves, json.dumps(provenance(device)))


def measure_width(job: Job, device: str | None = None) -> int:
    """How many cells like these are best trained together, at most as many as the tile has."""
    from trainers.width import best_width

    return best_width(*parts(job), job.budget, limit=len(job.tile.cells), device=device or default_device())


def parts(job: Job) -> tuple[Workload, Transform, Optimizer]:
    """What a job's names stand for.

    Raises:
        ValueError: data of that name lie here, but they are not those of the launch.
    """
    workload, here = workload_of(job.workload, job.model), fingerprint_of(job.workload, job.model)
    if here != job.fingerprint:
        raise ValueError(
            f"the data or network of {workload.name} on {platform.node()} have fingerprint {here}, those of the launch {job.fingerprint}; give every machine the same files"
        )
    return workload, transform_of(job.transform), optimizer_of(job.optimizer)


def default_device() -> str:
    """A GPU if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def records(job: Job, workload: Workload, curves: Curves, provenance: str) -> list[CellRecord]:
    """What a fused run says of each of its cells."""
    loss_CK, metric_CK = curves.loss_KC.T.tolist(), curves.metric_KC.T.tolist()
    final_C, initial_C, last_C, best_C = (
        t.tolist()
        for t in (curves.loss_final_C, curves.metric_initial_C, curves.metric_final_C, curves.metric_best_C)
    )
    return [
        CellRecord(
            key=cell.key,
            workload=cell.workload,
            optimizer=cell.optimizer,
            transform=cell.transform,
            constants=json.dumps(dict(cell.constants)),
            lr=cell.lr,
            weight_decay=cell.weight_decay,
            seed=cell.seed,
            setting=cell.setting,
            outcome=curves.outcome_C[c],
            reason=curves.reason_C[c],
            diverged_step=curves.diverged_step_C[c],
            steps=job.budget.steps,
            loss_initial=finite(curves.loss_initial),
            loss_final=finite(final_C[c]),
            metric_name=workload.metric_name,
            metric_direction="max" if workload.higher_is_better else "min",
            metric_initial=finite(initial_C[c]),
            metric_final=finite(last_C[c]),
            metric_best=finite(best_C[c]),
            seconds=curves.seconds / len(job.tile.cells),
            curve=tuple(
                (step, finite(loss), finite(metric))
                for step, loss, metric in zip(curves.step_K, loss_CK[c], metric_CK[c], strict=True)
            ),
            dynamics=json.dumps(dynamics_of(curves, c)),
            provenance=provenance,
        )
        for c, cell in enumerate(job.tile.cells)
    ]


def dynamics_of(curves: Curves, cell: int) -> dict[str, Any]:
    """What was measured of one cell's gradients, as plain lists over steps; None where it had ended or the number was not finite."""
    found = curves.dynamics
    if found is None:
        return {}
    series = {name: column(getattr(found, f"{name}_JC")[:, cell]) for name in SERIES}
    layers = {
        name: {
            layer: column(getattr(found, f"{name}_JCN")[:, cell, n]) for n, layer in enumerate(found.layers)
        }
        for name in LAYERS
    }
    return {"step": list(found.step_J), **series, **layers}


def column(values: Tensor) -> list[float | None]:
    """Plain numbers of seven digits, which is what float32 has; None where they are not finite."""
    return [float(f"{value:.7g}") if math.isfinite(value) else None for value in values.tolist()]


def failed_records(job: Job, reason: str) -> list[CellRecord]:
    """Cells whose infrastructure gave out: stored with the reason, never as evidence, and trained again at the next launch."""
    return [
        CellRecord(
            key=cell.key,
            workload=cell.workload,
            optimizer=cell.optimizer,
            transform=cell.transform,
            constants=json.dumps(dict(cell.constants)),
            lr=cell.lr,
            weight_decay=cell.weight_decay,
            seed=cell.seed,
            setting=cell.setting,
            outcome="failed",
            reason=reason,
            diverged_step=None,
            steps=0,
            loss_initial=None,
            loss_final=None,
            metric_name="",
            metric_direction="max",
            metric_initial=None,
            metric_final=None,
            metric_best=None,
            seconds=0.0,
            curve=(),
            dynamics="{}",
            provenance="{}",
        )
        for cell in job.tile.cells
    ]


def finite(value: float) -> float | None:
    """The number, or None when it is not finite: infinities do not survive the stores behind this."""
    return value if math.isfinite(value) else None


def provenance(device: str) -> dict[str, Any]:
    """Versions, device and commit behind a number."""
    import torch

    name = (
        torch.cuda.get_device_name()
        if device.startswith("cuda")
        else f"cpu ({platform.machine()}, {torch.get_num_threads()} threads)"
    )
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "device": name,
        "commit": commit(),
    }


@cache
def commit() -> str:
    """The commit of this package's source, or `release` where there is no repository."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return "release"
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
        return found.stdout.strip()[:12]
    except (OSError, subprocess.SubprocessError):
        return "unknown"
