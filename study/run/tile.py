"""One tile trained: from names and numbers to records. Runs in a worker's process, or in this one."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_spaces import Tile, digest
from study.plan.job import Job
from study.run.records import records
from study.spec.build import fingerprint_of, optimizer_of, transform_of, workload_of
from tracking import CellRecord

if TYPE_CHECKING:
    from trainers import Checkpoint, Optimizer, Transform, Workload


@dataclass(frozen=True)
class Checkpoints:
    """Where tiles that train for long are saved.

    Attributes:
        every: time between two checkpoints of a tile [s].
    """

    folder: Path
    every: float

    def of(self, tile: Tile, part: Tile | None = None) -> Checkpoint:
        """The checkpoint of one tile, or of a part of it.

        A part's name begins with its tile's: it is removed with that, when the ledger has the whole tile.
        """
        from trainers import Checkpoint

        name = tile.key if part in (None, tile) else f"{tile.key}-{part.key}"
        return Checkpoint(self.folder / name, self.every)

    def clear(self, records: Iterable[CellRecord]) -> None:
        """Remove the checkpoints of a tile whose cells are stored now."""
        key = digest([record.key for record in records])
        # A writer that was killed leaves a partial file, whose name begins with a dot.
        for file in (*self.folder.glob(f"{key}*"), *self.folder.glob(f".{key}*")):
            file.unlink(missing_ok=True)


def run_job(
    job: Job,
    device: str | None = None,
    checkpoints: Checkpoints | None = None,
    *,
    width: int | None = None,
) -> list[CellRecord]:
    """Train the cells of a tile together; where memory does not hold them, half of them at a time.

    Args:
        device: where to train; None takes a GPU if there is one.
        checkpoints: where a tile goes on whose process died.
        width: how many are trained together at most; None takes the whole tile.
    """
    if job.workload.form:
        return _own(job, device)
    found = []
    for part in job.parts(width) if width else [job]:
        found += _trained(part, device, checkpoints.of(job.tile, part.tile) if checkpoints else None)
    return found


def _own(job: Job, device: str | None) -> list[CellRecord]:
    """Train cells by the user's own function or command."""
    import torch

    from study.run.own_training.training import train_own

    device = device or default_device()
    return train_own(job, device, facts(device), torch.get_num_threads())


def _trained(job: Job, device: str | None, checkpoint: Checkpoint | None) -> list[CellRecord]:
    """Train the cells of a tile together."""
    import torch

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
        checkpoint=checkpoint,
    )
    return records(job, workload, curves, json.dumps(provenance(device)))


def measure_width(job: Job, device: str | None = None) -> int:
    """Measure how many cells like these are best trained together, at most as many as the tile has."""
    from trainers.width import best_width

    return best_width(*parts(job), job.budget, limit=len(job.tile.cells), device=device or default_device())


def parts(job: Job) -> tuple[Workload, Transform, Optimizer]:
    """Build the workload, transform and optimizer that a job names.

    Raises:
        ValueError: this machine has other data, or another network, of that name than the launch had.
    """
    workload, here = workload_of(job.workload, job.model), fingerprint_of(job.workload, job.model)
    if here != job.fingerprint:
        raise ValueError(
            f"the data or network of {workload.name} on {platform.node()} have fingerprint {here}, "
            f"those of the launch {job.fingerprint}; give every machine the same files"
        )
    return workload, transform_of(job.transform), optimizer_of(job.optimizer)


def default_device() -> str:
    """A GPU if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def provenance(device: str) -> dict[str, Any]:
    """Versions, device and commit behind a number."""
    import torch

    return facts(torch.cuda.get_device_name() if device.startswith("cuda") else device)


def facts(device: str) -> dict[str, Any]:
    """The same, of a device whose name is known, or that is not to be touched."""
    import torch

    name = f"cpu ({platform.machine()}, {torch.get_num_threads()} threads)" if device == "cpu" else device
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "device": name,
        "commit": commit(),
    }


@cache
def commit() -> str:
    """The commit of this package's source, or `release` where there is no repository."""
    root = Path(__file__).resolve().parents[2]
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
            # All workers of a machine ask at once, beside whatever the user does in the repository.
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
        return found.stdout.strip()[:12]
    except (OSError, subprocess.SubprocessError):
        return "unknown"
