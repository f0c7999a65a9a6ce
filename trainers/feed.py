"""What networks are given: augmented and normalised batches of a seed, and the evaluation set."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import torch
from torch import Tensor

from trainers.budget import Budget
from trainers.corruption import corrupted
from trainers.workloads.base import Stored, Workload, batches, derived_seed
from trainers.workloads.windows import moved

Micro = tuple[Tensor, Tensor, int]
"""Inputs and targets of a micro-batch, and the seed of its dropout masks."""
EVALUATION_BATCH = 512
"""Most examples per forward pass of an evaluation."""
EVALUATION_NUMBERS = 2**23
"""Most numbers in the inputs of such a pass, which has 55 and not 512 images of 224 pixels a side.

Where outputs are larger than inputs, so many in the outputs.
"""
HELD_BYTES = 4 * 2**30
"""Examples on disk that are no larger are decoded once and held on the device [bytes].

Larger ones are read batch by batch.
"""


class Feed:
    """The data of one run, on the device once, and batches taken from them.

    A batch is decided by seed and step alone: by which examples `batches` gives, and by an augmentation that
    is drawn on the CPU from a generator of that step. So it is the same for every cell, tile width and
    device, whether the run was resumed or not, and however the batch is split into micro-batches; there is
    nothing to keep in a checkpoint.

    Attributes:
        workload, budget, seed: as given.
        dtype: of the inputs that networks are given, unless these are indices.
    """

    def __init__(self, workload: Workload, budget: Budget, seed: int, device: str | torch.device) -> None:
        self.workload, self.budget, self.seed = workload, budget, seed
        self.device, self.dtype = device, budget.dtype
        workload.check_corruption(budget)
        self._train_x, self._eval_x = (self._held(x) for x in (workload.train_x, workload.eval_x))
        self._train_y, self._eval_y = moved(workload.train_y, device), moved(workload.eval_y, device)

    def _held(self, x: Tensor | Stored) -> Tensor | Stored:
        if isinstance(x, Stored):
            if x.nbytes > HELD_BYTES:
                return x
            x = x.decoded()
        # Bytes stay bytes until a batch is prepared, which takes a quarter of float32's memory.
        return moved(x, self.device, self.dtype if x.is_floating_point() else None)

    def inputs(self, x: Tensor) -> Tensor:
        """Stored examples as a network takes them."""
        return self.workload.prepared(x.to(self.device), self.dtype)

    def steps(self, first: int = 0) -> Iterator[tuple[int, list[Micro]]]:
        """Each step from `first` to the budget's end, with its micro-batches.

        Raises:
            ValueError: the batch is larger than the data.
        """
        # Files are read by the CPU, which needs their indices.
        device = self.device if isinstance(self._train_x, Tensor) else "cpu"
        indices = islice(
            batches(len(self._train_x), self.budget.batch_size, self.seed, device), first, self.budget.steps
        )
        for t, (x, y) in enumerate(self._read(indices), start=first):
            if self.workload.augment is not None:
                x, y = self.workload.augment(x, y, derived_seed(self.seed, f"augmentation/{t}"))
                y = y.to(self.dtype) if y.is_floating_point() else y
            inputs = corrupted(self.inputs(x), self.budget, self.seed, f"training/{t}")
            parts = zip(
                inputs.chunk(self.budget.accumulation), y.chunk(self.budget.accumulation), strict=True
            )
            yield (
                t,
                [(part_x, part_y, mask_seed(self.seed, t, k)) for k, (part_x, part_y) in enumerate(parts)],
            )

    def _read(self, indices: Iterator[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """The examples of each batch; of those on disk the next batch is read while this one is used."""
        data = self._train_x
        if isinstance(data, Tensor):
            for index_B in indices:
                yield data[index_B], self._train_y[index_B]
            return
        # One thread is enough, because reading a batch uses several (`ImageFiles`).
        with ThreadPoolExecutor(1) as pool:
            asked = [(pool.submit(data.__getitem__, index_B), index_B) for index_B in islice(indices, 1)]
            while asked:
                read, index_B = asked.pop()
                x = read.result()
                asked = [
                    (pool.submit(data.__getitem__, following), following) for following in islice(indices, 1)
                ]
                yield x.to(self.device), self._train_y[index_B.to(self._train_y.device)]

    def evaluation(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The evaluation set in parts, normalised, never augmented, corrupted only where the budget asks."""
        each = max(1, self._eval_x[:1].numel(), self.workload.output_numbers)
        size = max(1, min(EVALUATION_BATCH, EVALUATION_NUMBERS // each))
        for k in range(0, len(self._eval_x), size):
            inputs = self.inputs(self._eval_x[k : k + size])
            if self.budget.corruption_of == "everything":
                inputs = corrupted(inputs, self.budget, self.seed, f"evaluation/{k}")
            yield inputs, self._eval_y[k : k + size]


def mask_seed(seed: int, step: int, part: int) -> int:
    """Seed of dropout's generator: one per step and micro-batch, the same for every cell."""
    return derived_seed(seed, f"masks/{step}/{part}")
