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
from trainers.fused import train_together
from trainers.optimizers.base import Optimizer
from trainers.run import Run
from trainers.transforms.base import Transform
from trainers.workloads.base import Workload

GAIN = 1.02
"""A doubled tile must be at least this much faster per cell to be worth its memory."""
REPEATS = 3
"""Trial runs of a width. The fastest counts, because other work on the machine can only slow a run down."""
TRIAL_STEPS = 4
"""Steps of a trial run."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or in the machine."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    # torch's allocator for the CPU, and some CUDA libraries, raise a plain RuntimeError.
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("out of memory", "can't allocate memory", "DefaultCPUAllocator")
    )


def widest(rate: Callable[[int], float], limit: int, start: int = 8) -> int:
    """Double the width until memory fails, or cells per second stop rising, or the limit is reached.

    Args:
        rate: cells per second at a width; raises when memory runs out.
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
    # long evaluations would hide the steps
    eval_x, eval_y = workload.eval_x[:EVALUATION_BATCH], workload.eval_y[:EVALUATION_BATCH]
    workload = replace(workload, eval_x=eval_x, eval_y=eval_y)
    trial = replace(budget, steps=TRIAL_STEPS, points=1, warmup=0, spike_steps=(), dynamics=0)

    def rate(width: int) -> float:
        lr_C, weight_decay_C = torch.full((width,), 1e-3), torch.zeros(width)
        run = Run(workload, transform, optimizer, trial, lr_C, weight_decay_C, seed=0, device=device)
        # The first run of a width pays for memory and kernels that the device then has.
        train_together(replace(run, budget=replace(trial, steps=1)))
        return width / min(train_together(run).seconds for _ in range(REPEATS))

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
    """`train_fused`, halving the tile as often as memory runs out.

    Raises:
        RuntimeError, MemoryError: a single cell does not fit.
    """
    run = Run(workload, transform, optimizer, budget, lr_C, weight_decay_C, seed, constants_C or {}, device)
    return halved(run, checkpoint)


def halved(run: Run, checkpoint: Checkpoint | None) -> Curves:
    """The curves of a run, trained in two halves, and these in halves again, where memory runs out."""
    try:
        return train_together(run, checkpoint)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error) or run.cells == 1:
            raise
    # Outside of `except`: there the traceback would still hold the tensors of the run that did not fit.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    half = run.cells // 2
    halves = []
    for k, chosen in enumerate((slice(None, half), slice(half, None))):
        halves.append(halved(run.part(chosen), checkpoint.part(k) if checkpoint else None))
    return joined(halves)
