"""How many cells are trained together: as many as memory holds and speed rewards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from trainers.budget import Budget
from trainers.checkpoint import Checkpoint
from trainers.curves import Curves, joined
from trainers.feed import EVALUATION_BATCH
from trainers.fused import train_fused
from trainers.optimizers.base import Optimizer
from trainers.transforms.base import Transform
from trainers.workloads.base import Workload

GAIN = 1.02
"""A doubled tile must be at least this much faster per cell to be worth its memory."""
REPEATS = 3
"""Trial runs of a width, of which the fastest counts: what else runs on the machine only ever slows one down."""
TRIAL_STEPS = 4
"""Steps of a trial run."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory gave out, on a GPU or in the machine."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("out of memory", "can't allocate memory", "DefaultCPUAllocator")
    )


def widest(rate: Callable[[int], float], limit: int, start: int = 8) -> int:
    """Double the width until memory fails, or cells per second stop rising, or the limit is reached.

    Args:
        rate: cells per second at a width; raises when memory gives out.
        limit: most cells that there are to train together.
    """
    best, best_rate, width = 1, 0.0, min(start, limit)
    while True:
        try:
            found = rate(width)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return best
        if found < best_rate * (GAIN if width >= 2 * best else 1.0):
            return best
        best, best_rate = width, found
        if width == limit:
            return best
        width = min(2 * width, limit)


def best_width(
    workload: Workload,
    transform: Transform,
    optimizer: Optimizer,
    budget: Budget,
    limit: int,
    device: str | torch.device = "cpu",
) -> int:
    """The width for a workload on a device, measured with runs of a few steps."""
    workload = replace(
        workload, eval_x=workload.eval_x[:EVALUATION_BATCH], eval_y=workload.eval_y[:EVALUATION_BATCH]
    )  # long evaluations would hide the steps
    trial = replace(budget, steps=TRIAL_STEPS, points=1, warmup=0, spike_steps=(), dynamics=0)

    def rate(width: int) -> float:
        cells = {"lr_C": torch.full((width,), 1e-3), "weight_decay_C": torch.zeros(width), "seed": 0}
        train_fused(workload, transform, optimizer, replace(trial, steps=1), **cells, device=device)  # type: ignore[arg-type]
        runs = (
            train_fused(workload, transform, optimizer, trial, **cells, device=device)  # type: ignore[arg-type]
            for _ in range(REPEATS)
        )
        return width / min(run.seconds for run in runs)

    return widest(rate, limit)


def train_within_memory(
    workload: Workload,
    transform: Transform,
    optimizer: Optimizer,
    budget: Budget,
    *,
    lr_C: Tensor,
    weight_decay_C: Tensor,
    seed: int,
    constants_C: Mapping[str, Tensor] | None = None,
    device: str | torch.device = "cpu",
    checkpoint: Checkpoint | None = None,
) -> Curves:
    """`train_fused`, halving the tile as often as memory gives out.

    Raises:
        RuntimeError, MemoryError: a single cell does not fit.
    """
    own_C = constants_C or {}
    try:
        return train_fused(
            workload,
            transform,
            optimizer,
            budget,
            lr_C=lr_C,
            weight_decay_C=weight_decay_C,
            seed=seed,
            constants_C=own_C,
            device=device,
            checkpoint=checkpoint,
        )
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error) or len(lr_C) == 1:
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    half = len(lr_C) // 2
    parts = []
    for k, part in enumerate((slice(None, half), slice(half, None))):
        cells = {
            "lr_C": lr_C[part],
            "weight_decay_C": weight_decay_C[part],
            "constants_C": {name: value[part] for name, value in own_C.items()},
        }
        kept = checkpoint.part(k) if checkpoint else None
        parts.append(
            train_within_memory(
                workload,
                transform,
                optimizer,
                budget,
                **cells,  # type: ignore[arg-type]
                seed=seed,
                device=device,
                checkpoint=kept,
            )
        )
    return joined(parts)
