"""Steps of a tile: of all its cells at once, or block by block.

A block is a few cells that go through many steps before the next ones do, so that their numbers stay near the
processor. Its step is recorded once and repeated on memory of its own (`replay.py`), and gives bit by bit
what a step of the whole tile gives.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from trainers.dynamics import Moment, Recorder, Tensors
from trainers.feed import Micro
from trainers.progress import Progress, TileState
from trainers.replay import CannotReplayError, Replay, Tape
from trainers.step import Step

WIDEST = 32
"""Most cells of a block."""
MULTIPLE = 4
"""Blocks have so many cells, or a multiple: few sizes are recorded when cells leave a tile."""
OUTPUTS = 2**20
"""Most numbers in the outputs of a block's micro-batch, where a network has large ones."""
STEPS, BYTES = 64, 2**25
"""Most steps that a block takes before the next one's turn, and most memory for their batches [bytes]."""
SECONDS = 1.0
"""How long such steps of all blocks may take [s]."""


@dataclass(frozen=True, eq=False)
class Next:
    """One step to come.

    Attributes:
        step: steps done before it.
        micro: its micro-batches.
        lr_factor: what the schedule multiplies learning rates by.
        spike: what gradients are multiplied by.
    """

    step: int
    micro: list[Micro]
    lr_factor: float
    spike: float

    def of(self, places: Tensor) -> Next:
        """The same step of some cells, where every cell has examples of its own."""
        return replace(self, micro=[(x[places], y[places], masks) for x, y, masks in self.micro])


def grouped(every: Iterable[Next], stops: Collection[int], seconds: float) -> Iterator[list[Next]]:
    """Steps in groups that end after the steps in `stops`.

    Args:
        seconds: how long a group may take. The first is one step, and the next ones grow as long as the
            caller, who takes them, needs less.
    """
    group: list[Next] = []
    size, most = 0, 1
    for one in every:
        group.append(one)
        size += sum(x.nbytes for x, _, _ in one.micro)
        if one.step + 1 in stops or len(group) >= most or size >= BYTES:
            began = time.perf_counter()
            yield group
            took = time.perf_counter() - began
            most = min(2 * most, STEPS) if took < seconds / 2 else max(1, most // 2)
            group, size = [], 0
    if group:
        yield group


class Whole:
    """All cells of a tile at once."""

    def __init__(self, step: Step, recorder: Recorder) -> None:
        self._step, self._recorder = step, recorder

    def advance(self, progress: Progress, group: list[Next]) -> None:
        """Take these steps."""
        for one in group:
            tile = progress.tile
            scheduled_lr_C = tile.lr_C * one.lr_factor
            progress.tile, loss_C, moment = self._step(tile, one.micro, scheduled_lr_C, one.spike)
            progress.note(loss_C)
            if self._recorder.due(progress.step):
                probed = self._step.probes.of_tile(tile.params, tile.buffers, one.micro)
                self._recorder.add(progress.step, progress.index_C, moment, probed)


class Blocks:
    """A tile block by block.

    Args:
        outputs: numbers that one cell's network gives for a micro-batch, where they decide how many cells
            memory holds; else 0.
        quickest: so many cells are quickest together, where there is such a number.
    """

    def __init__(self, step: Step, recorder: Recorder, outputs: int = 0, quickest: int | None = None) -> None:
        self._step, self._recorder = step, recorder
        self._widest = max(1, min(WIDEST, OUTPUTS // outputs)) if outputs else WIDEST
        self._widest = min(self._widest, quickest or WIDEST)
        self._recorded: dict[int, Recorded] = {}

    def advance(self, progress: Progress, group: list[Next]) -> None:
        """Take these steps.

        Raises:
            CannotReplayError: a step has operations that cannot be repeated; the progress is as it was.
        """
        cells = len(progress.index_C)
        width = width_of(cells, self._widest)
        block = self._recorded.get(width)
        for first in range(0, cells, width):
            inside = range(first, min(first + width, cells))
            # A last block that is not full has copies of its first cell, which nobody reads.
            places = torch.tensor([*inside, *[first] * (width - len(inside))])
            steps = [one.of(places) for one in group] if self._step.apart else group
            if block is None:
                start = progress.tile.of(places)
                left = (len(progress.loss_TC) - progress.step) * -(-cells // width)
                block = self._recorded[width] = Recorded(self._step, start, steps[0], left)
            block.load(progress.tile, places)
            index = progress.index_C[inside.start : inside.stop]
            for one in steps:
                progress.loss_TC[one.step, index] = self._one(block, one, index)
            block.store(progress.tile, inside)
        progress.step += len(group)

    def _one(self, block: Recorded, one: Next, index: Tensor) -> Tensor:
        count, step = len(index), one.step + 1
        if one.spike == 1.0 and not self._recorder.due(step):
            return block.repeat(one)[:count]
        loss_C, moment = block.once(self._step, one)
        if self._recorder.due(step):
            probed = self._step.probes.of_tile(moment.before, block.tile.buffers, one.micro)
            shown: tuple[Moment, Tensors] = tree_map(lambda tensor: tensor[:count], (moment, probed))
            self._recorder.add(step, index, *shown)
        return loss_C[:count]


def width_of(cells: int, widest: int = WIDEST) -> int:
    """How many cells a block of a tile has: blocks as full as they can be."""
    blocks = -(-cells // widest)
    each = -(-cells // blocks)
    return each if each < MULTIPLE else -(-each // MULTIPLE) * MULTIPLE


class Recorded:
    """The step of a block, recorded.

    Raises:
        CannotReplayError: it has operations that cannot be repeated.
    """

    def __init__(self, step: Step, tile: TileState, one: Next, repeats: int) -> None:
        scheduled_lr_C = tile.lr_C * one.lr_factor
        with Tape() as tape:
            new, loss_C, _ = step(tile, one.micro, scheduled_lr_C, 1.0)
        given = [scheduled_lr_C, *(tensor for x, y, _ in one.micro for tensor in (x, y))]
        old, after = tree_leaves(tile), tree_leaves(new)
        self._replay = Replay(tape, list(zip(old, after, strict=True)), given, [loss_C], repeats)
        if self._replay.draws and not step.masked:
            # Without a seed for each step, blocks would draw one after another what cells draw together.
            raise CannotReplayError("numbers are drawn that no seed decides")
        state = iter(self._replay.state)
        self.tile: TileState = tree_map(lambda _: next(state), tile)
        self._masked = step.masked

    def load(self, tile: TileState, places: Tensor) -> None:
        """Take these cells of a tile."""
        for own, all_C in zip(self._replay.state, tree_leaves(tile), strict=True):
            torch.index_select(all_C, 0, places, out=own)

    def store(self, tile: TileState, places: range) -> None:
        """Put them back, with what they have become."""
        for own, all_C in zip(self._replay.state, tree_leaves(tile), strict=True):
            all_C[places.start : places.stop] = own[: len(places)]

    def repeat(self, one: Next) -> Tensor:
        """One step, as it was recorded; the losses [C]."""
        scheduled_lr_C, *batches = self._replay.given
        torch.mul(self.tile.lr_C, one.lr_factor, out=scheduled_lr_C)
        for own, new in zip(batches, (tensor for x, y, _ in one.micro for tensor in (x, y)), strict=True):
            own.copy_(new)
        if self._masked:
            torch.manual_seed(one.micro[0][2])
        self._replay.run()
        return self._replay.kept[0]

    def once(self, step: Step, one: Next) -> tuple[Tensor, Moment]:
        """One step with everything that dynamics are measured from, and with its spike."""
        # A copy, because what stood before the step is part of the moment.
        before = tree_map(torch.clone, self.tile)
        new, loss_C, moment = step(before, one.micro, before.lr_C * one.lr_factor, one.spike)
        for own, value in zip(self._replay.state, tree_leaves(new), strict=True):
            own.copy_(value)
        return loss_C, moment
