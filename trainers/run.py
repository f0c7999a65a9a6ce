"""What is trained together: one problem and method, and the numbers in which its cells differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from trainers.budget import Budget
from trainers.optimizers.base import Optimizer
from trainers.transforms.base import Transform
from trainers.workloads.base import NUMERICS, Workload


@dataclass(frozen=True, eq=False)
class Run:
    """C cells that differ in numbers only, and everything else that decides what they give.

    Args:
        lr_C: learning rates, shape [C], finite and >= 0.
        weight_decay_C: weight decays, shape [C], finite and >= 0.
        seed: decides initial weights, batches, their augmentation, dropout masks and spikes.
        constants_C: constants of the transform that differ between cells, each of shape [C].
        device: where the cells are trained.

    Raises:
        ValueError: a tensor has the wrong shape, or a number is out of range.
    """

    workload: Workload
    transform: Transform
    optimizer: Optimizer
    budget: Budget
    lr_C: Tensor
    weight_decay_C: Tensor
    seed: int
    constants_C: Mapping[str, Tensor] = field(default_factory=dict)
    device: str | torch.device = "cpu"

    def __post_init__(self) -> None:
        check_cells(lr_C=self.lr_C, weight_decay_C=self.weight_decay_C)
        check_cells(lr_C=self.lr_C, **self.constants_C)
        if self.constants_C:
            # Inside of vmap a constant has no value that could be compared, so its range is checked here.
            for cell in range(self.cells):
                self.method(cell)

    @property
    def cells(self) -> int:
        """C, the number of cells."""
        return len(self.lr_C)

    def method(self, cell: int) -> Transform:
        """The transform with the constants of one cell."""
        if not self.constants_C:
            return self.transform
        constants = {name: float(value_C[cell]) for name, value_C in self.constants_C.items()}
        return self.transform.with_constants(**constants)

    def part(self, chosen: slice) -> Run:
        """The same run of some of its cells."""
        constants_C = {name: value_C[chosen] for name, value_C in self.constants_C.items()}
        return replace(
            self,
            lr_C=self.lr_C[chosen],
            weight_decay_C=self.weight_decay_C[chosen],
            constants_C=constants_C,
        )

    def identity(self, model: nn.Module) -> str:
        """A text that another run, or the same run on another torch or device, does not have."""
        constants_C = {name: value_C.tolist() for name, value_C in self.constants_C.items()}
        parts = (
            torch.__version__,  # another release may sum in another order
            str(self.device),
            NUMERICS,
            self.workload.name,
            str(model),
            self.transform.name,
            self.transform.constants,
            self.optimizer.name,
            self.optimizer.constants,
            self.budget,
            self.lr_C.tolist(),
            self.weight_decay_C.tolist(),
            constants_C,
            self.seed,
        )
        return repr(parts)


def check_cells(**vectors_C: Tensor) -> None:
    """Refuse per-cell numbers that are not vectors of one length, finite and not negative.

    Raises:
        ValueError: the message names the argument, what was found and what is wanted.
    """
    (first, reference), *_ = vectors_C.items()
    for name, vector in vectors_C.items():
        if vector.dim() != 1 or len(vector) == 0:
            raise ValueError(
                f"{name} has shape {list(vector.shape)}; wanted [C], one number per cell, with C >= 1"
            )
        if len(vector) != len(reference):
            raise ValueError(
                f"{name} has {len(vector)} cells and {first} has {len(reference)}; they must be equal"
            )
        if name not in ("lr_C", "weight_decay_C"):
            continue  # a transform's constants have ranges of their own
        bad = vector[~((vector >= 0) & torch.isfinite(vector))]
        if len(bad):
            raise ValueError(f"{name} holds {bad[0]:g}; wanted finite numbers >= 0")
