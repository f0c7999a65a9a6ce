"""What a spec says of machines; it changes no trained number."""

from __future__ import annotations

from dataclasses import dataclass

from trainers.naming import check_range


@dataclass(frozen=True)
class Workers:
    """How tiles are sent to workers.

    Args:
        cpus_per_worker: processors, and threads, of one worker, >= 1.
        gpus_per_worker: share of a GPU, >= 0; None takes one each if the cluster has any.
        tile: most cells trained together, >= 1; None measures which width is fastest, once per setting and
            machine.
        retries: how often a tile is tried again after its worker was lost, >= 0.
        checkpoint_every: time between checkpoints of a tile, which is the most that a lost worker costs, > 0
            [s].
    """

    cpus_per_worker: int = 1
    gpus_per_worker: float | None = None
    tile: int | None = None
    retries: int = 2
    checkpoint_every: float = 60.0

    def __post_init__(self) -> None:
        # None stands for a value that is found later, so a number that passes is checked in its place.
        check_range(
            "workers", 1, cpus_per_worker=self.cpus_per_worker, tile=1 if self.tile is None else self.tile
        )
        check_range(
            "workers", 0, open_high=True, retries=self.retries, gpus_per_worker=self.gpus_per_worker or 0.0
        )
        check_range("workers", 0.0, open_low=True, checkpoint_every=self.checkpoint_every)
