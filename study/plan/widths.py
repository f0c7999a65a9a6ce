"""How many cells are trained together: the number of the spec, or what a machine was measured to prefer."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator

from study.plan.cells import Plan
from study.spec.workers import Workers
from tracking import Ledger


def known_width(plan: Plan, setting: str, ledger: Ledger, machine: str) -> int | None:
    """The width of a setting's tiles on a machine; None where the next launch measures it."""
    if plan.settings[setting].workload.form:
        return 1  # training of the user's own is one process per cell
    if plan.spec.workers.tile is not None:
        return plan.spec.workers.tile
    return ledger.width(setting, machine, len(plan.largest(setting).tile.cells))


def worker_of_ray(where: str, cpus: int, gpus: float) -> str:
    """What a width that a worker of Ray prefers is remembered for.

    Args:
        where: the address of a cluster, or this machine.
    """
    return f"{where}, {cpus} cpus, {gpus:g} gpus"


def this_process(device: str) -> str:
    """What a width is remembered for where the launch itself trains."""
    return f"{platform.node()}, this process, {device}"


def likely_machines(workers: Workers, *, here: bool) -> Iterator[str]:
    """What the next launch from here will be called, as far as it is known without loading Ray and torch.

    Whether there is a GPU is not, so both names are given; a machine has one of them.
    """
    if here:
        yield from map(this_process, ("cuda", "cpu"))
        return
    where = os.environ.get("RAY_ADDRESS") or platform.node()
    for gpus in (1.0, 0.0) if workers.gpus_per_worker is None else (workers.gpus_per_worker,):
        yield worker_of_ray(where, workers.cpus_per_worker, gpus)
