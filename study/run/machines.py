"""What the machines of a cluster are and hold, out of the resources that Ray names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from study.errors import UserError
from study.run.pool import ANY
from study.spec.workers import Workers

TYPE = "accelerator_type:"
"""How Ray's resource of a machine begins that names its accelerator."""


def accelerator_of(machine: Mapping[str, float]) -> str:
    """The accelerator of a machine, out of its resources."""
    found = sorted(name.removeprefix(TYPE) for name in machine if name.startswith(TYPE))
    # A machine with several kinds is a kind of its own.
    return "+".join(found) or ANY


def holds(machine: Mapping[str, float], workers: Workers, gpus: float) -> bool:
    """Whether a machine can hold a worker."""
    return machine.get("CPU", 0) >= workers.cpus_per_worker and machine.get("GPU", 0) >= min(gpus, 1)


def check_room(workers: Workers, gpus: float, machines: Sequence[Mapping[str, float]]) -> None:
    """Refuse workers that no machine can hold: Ray would wait for one for ever.

    Raises:
        UserError: found, wanted, do.
    """
    cpus = workers.cpus_per_worker
    if any(holds(machine, workers, gpus) for machine in machines):
        return
    largest = max((machine.get("CPU", 0) for machine in machines), default=0)
    raise UserError(
        f"workers: one worker takes {cpus} cpus and {gpus:g} gpus, but no machine has both "
        f"(most cpus: {largest:g}); lower them"
    )
