"""The metric of networks on the evaluation set, and the loss of the untrained one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_leaves, tree_map

from trainers.feed import EVALUATION_NUMBERS, Feed
from trainers.fusion import quickest_together
from trainers.optimizers.base import Optimizer
from trainers.precision import Tensors, loss_function
from trainers.progress import TileState
from trainers.replay import CannotReplayError, Replay, Tape

State = tuple[Tensors, Tensors]
"""Parameters and buffers of cells."""

TOGETHER = 16
"""Cells evaluated together on a CPU: what they give their layers stays in the cache.

84 at once take twice as long (MLP), or two to three times as long (convnet), on an AMD EPYC.
"""
PARTS, NUMBERS = 8, 2**20
"""So many parts pay for recording the first: the convnet's evaluation took 56 ms, not 48, in four parts.

All that the first part computes is kept meanwhile. That is little where its inputs have at most so many
numbers in all of its cells, and outputs are not large.
"""
BATCHES = 20
"""Batches that running statistics are computed from where evaluated weights are not the trained ones."""


class Evaluation:
    """The metric of cells, at several moments of their training.

    Normalisation uses running statistics, dropout is off, and the arithmetic is that of the parameters.

    On a CPU a few cells' operations are recorded once and repeated for the others, and at later moments, on
    memory of their own. Otherwise the system takes that memory back, and pages it in again: 256 cells of the
    convnet took 1.1 s, not 0.7.

    Args:
        moments: how often cells are evaluated.
    """

    def __init__(self, feed: Feed, model: nn.Module, moments: int = 1) -> None:
        self._feed, self._model, self._moments = feed, model, moments
        self._recorded: dict[tuple[int, int], Replay | None] = {}

    def __call__(self, params: Tensors, buffers: Tensors) -> Tensor:
        """The metric of every cell now, shape [C]."""
        feed, first = self._feed, next(iter(params.values()))
        self._model.eval()
        total = torch.zeros(len(first), dtype=torch.float64, device=first.device)
        with torch.no_grad():
            for number, (x, y) in enumerate(feed.evaluation()):
                together = cells_at_once(feed, self._model, len(x))
                small = not feed.workload.output_numbers and x.numel() * (together or len(first)) <= NUMBERS
                record = together is not None and small and first.device.type == "cpu"
                total += self._scores(number, x, y, (params, buffers), together, record=record)
        self._model.train()
        return total / len(feed.workload.eval_y)

    def _scores(
        self, number: int, x: Tensor, y: Tensor, state: State, together: int | None, *, record: bool
    ) -> Tensor:
        """The summed score of every cell on a part of the examples, shape [C]."""

        def score(params: Tensors, buffers: Tensors) -> Tensor:
            output = functional_call(self._model, (params, buffers), (x,))
            return self._feed.workload.score(output, y).sum()

        leaves = tree_leaves(state)
        cells = len(leaves[0])
        width = min(together or cells, cells)
        if record and -(-cells // width) * self._moments >= PARTS and (number, width) not in self._recorded:
            own: State = tree_map(lambda all_C: all_C[:width].clone(), state)
            with Tape() as tape:
                found = vmap(score)(*own)
            try:
                repeats = -(-cells // width) * self._moments
                self._recorded[number, width] = Replay(tape, [], tree_leaves(own), [found], repeats)
            except CannotReplayError:
                self._recorded[number, width] = None
        again = self._recorded.get((number, width))
        if again is None:
            return vmap(score, chunk_size=together)(*state)
        parts = []
        for first in range(0, cells, width):
            count = min(width, cells - first)
            for mine, all_C in zip(again.given, leaves, strict=True):
                # A last part that is not full has cells of the part before, which nobody reads.
                mine[:count] = all_C[first : first + count]
            again.run()
            parts.append(again.kept[0][:count].clone())
        return torch.cat(parts)


def cells_at_once(feed: Feed, model: nn.Module, examples: int) -> int | None:
    """How many cells are evaluated together, as memory and cache allow; None for all of them."""
    numbers = examples * feed.workload.output_numbers
    most = TOGETHER if torch.device(feed.device).type == "cpu" else None
    most = quickest_together(model, examples) or most
    if not numbers:
        return most
    return max(1, min(most or EVALUATION_NUMBERS, EVALUATION_NUMBERS // numbers))


def evaluated_weights(
    feed: Feed, model: nn.Module, optimizer: Optimizer, tile: TileState
) -> tuple[Tensors, Tensors]:
    """The parameters and buffers of a tile that are evaluated."""
    if optimizer.evaluation is None:
        return tile.params, tile.buffers
    params = optimizer.evaluated(tile.params, tile.optimizer_state)
    return params, recomputed(feed, model, params, tile.buffers)


def recomputed(feed: Feed, model: nn.Module, params: Tensors, buffers: Tensors) -> Tensors:
    """The buffers with BatchNorm's running statistics at these parameters, for C cells.

    Those that training kept belong to the parameters that it took gradients at. These are means over the
    first `BATCHES` batches of training, with dropout and augmentation as there, in the parameters' precision.
    """
    found = {name: b.clone() for name, b in buffers.items()}

    def forward(params: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        out: Tensor = functional_call(model, (params, buffers), (x,))
        return out

    together = vmap(forward, in_dims=(0, 0, None), randomness="same")
    with torch.no_grad():
        for x in averaging(feed, model):
            together(params, found, x)
    return found


def averaging(feed: Feed, model: nn.Module) -> Iterator[Tensor]:
    """The batches that running statistics are computed from, the model being set to average over them.

    None where the model has no such statistics.
    """
    norms = norms_of(model)
    if not norms:
        return
    usual = [norm.momentum for norm in norms]
    parts = (part for _, micro in islice(feed.steps(), BATCHES) for part in micro)
    try:
        for k, (x, _, masks) in enumerate(parts, start=1):
            for norm in norms:
                norm.momentum = 1 / k
            torch.manual_seed(masks)
            yield x
    finally:
        for norm, momentum in zip(norms, usual, strict=True):
            norm.momentum = momentum


def norms_of(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """Layers with running statistics."""
    return [
        module
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats
    ]


def untrained_loss(feed: Feed, model: nn.Module) -> float:
    """Mean loss of the untrained network over the batches of the last tenth of training [loss units].

    Mode, batches, dropout masks and arithmetic are those of these steps, so that only the parameters differ.
    """
    params = {name: p.detach() for name, p in model.named_parameters()}
    buffers = {name: b.detach().clone() for name, b in model.named_buffers()}
    loss = loss_function(feed.workload, model, feed.budget)
    losses = []
    # Masks are drawn from the global generator, which is left as it was.
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for _, micro in feed.steps(feed.budget.steps - feed.budget.tail):
            for x, y, masks in micro:
                torch.manual_seed(masks)
                losses.append(loss(params, buffers, x, y).double())
    return float(torch.stack(losses).mean())
