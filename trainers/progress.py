"""How far a fused run has come: the cells that are still trained, and what was recorded of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import register_dataclass, tree_map

from trainers.optimizers.base import OptimizerState
from trainers.transforms.base import State, Tensors


@dataclass(frozen=True, eq=False)
class TileState:
    """The cells that are still trained; the first dimension of every tensor is the cell.

    Attributes:
        params: parameters of the networks.
        buffers: running statistics of the networks. A step changes them in place.
        transform_state: what the transform remembers.
        optimizer_state: what the optimizer remembers.
        scale: the dynamic loss scale of float16; empty in other precisions.
        lr_C: learning rates before the schedule.
        weight_decay_C: weight decays.
        constants_C: constants of the transform that differ between cells.
        loss_scale_C: what each loss is multiplied by before gradients are taken.
        world: the environments that agents act in, and what they met there; empty for other workloads.
    """

    params: Tensors
    buffers: Tensors
    transform_state: State
    optimizer_state: OptimizerState
    scale: Tensors
    lr_C: Tensor
    weight_decay_C: Tensor
    constants_C: Tensors
    loss_scale_C: Tensor
    world: Tensors = field(default_factory=dict)

    def of(self, alive_C: Tensor) -> TileState:
        """The cells where `alive_C` is True."""
        kept: TileState = tree_map(lambda tensor: tensor[alive_C], self)
        return kept


# tree_map looks inside of dictionaries and tuples alone, unless a class is registered.
register_dataclass(TileState)


@dataclass(eq=False)
class Progress:
    """What a fused run needs in order to go on. Batches, masks and spikes follow from the seed and the step.

    Attributes:
        step: steps done.
        tile: the cells that are still trained.
        index_C: places of these cells among all C cells of the run.
        loss_TC: training loss of each step, NaN after a cell left the tile [loss units].
        metric_KC: the workload's metric at each recorded point, NaN likewise.
        bad_C: step at which non-finite parameters were seen, per cell.
        moments: steps at which dynamics were recorded, and the statistics of all C cells.
        seconds: time spent so far [s].
        skipped: steps that each cell skipped, where there is a loss scale, up to the last recorded point.
    """

    step: int
    tile: TileState
    index_C: Tensor
    loss_TC: Tensor
    metric_KC: Tensor
    bad_C: list[int | None]
    moments: list[tuple[int, Tensors]]
    seconds: float = 0.0
    skipped: dict[int, int] = field(default_factory=dict)

    def note(self, loss_C: Tensor) -> None:
        """One more step was done, with these losses of the tile's cells."""
        self.loss_TC[self.step, self.index_C] = loss_C
        self.step += 1

    def drop_nonfinite(self) -> None:
        """Take the cells out of the tile whose parameters, or losses so far, are not finite."""
        if self.tile.scale:
            counts = self.tile.scale["skipped"].tolist()
            self.skipped.update(zip(self.index_C.tolist(), map(int, counts), strict=True))
        finite = [torch.isfinite(p).flatten(1).all(1) for p in self.tile.params.values()]
        finite_C = torch.stack(finite).all(0)
        for cell in self.index_C[~finite_C].tolist():
            self.bad_C[cell] = self.step
        alive_C = finite_C & torch.isfinite(self.loss_TC[: self.step, self.index_C]).all(0)
        if not bool(alive_C.all()):
            self.tile, self.index_C = self.tile.of(alive_C), self.index_C[alive_C]

    def plain(self) -> dict[str, Any]:
        """The same as tensors in dictionaries and lists, which can be loaded without running any code."""
        kept = {name: getattr(self, name) for name in LAYOUT[0]}
        kept["tile"] = {stored(name): getattr(self.tile, name) for name in names(TileState)}
        return kept

    @classmethod
    def from_plain(cls, kept: Mapping[str, Any]) -> Progress:
        """What `plain` gave.

        Raises:
            KeyError, TypeError: the content is of another version.
        """
        own = {stored(name): name for name in names(TileState)}
        tile = {own[name]: part for name, part in kept["tile"].items()}
        return cls(**{**kept, "tile": TileState(**tile)})


STORED = {"transform_state": "memory", "optimizer_state": "optimizer"}
"""Names of parts of a tile in checkpoints, where a version that wrote some called them otherwise."""


def stored(name: str) -> str:
    """The name of a part of a tile in a checkpoint."""
    return STORED.get(name, name)


def names(kind: type[Progress] | type[TileState]) -> tuple[str, ...]:
    """Names of its fields."""
    return tuple(each.name for each in fields(kind))


LAYOUT = names(Progress), tuple(map(stored, names(TileState)))
"""Names of what `Progress.plain` holds, and of what its tile holds."""
