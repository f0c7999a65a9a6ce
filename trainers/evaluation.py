"""The metric of networks on the evaluation set, and the loss of the untrained one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from trainers.feed import EVALUATION_NUMBERS, Feed
from trainers.precision import Tensors, loss_function


def evaluated(feed: Feed, model: nn.Module, params: Tensors, buffers: Tensors) -> Tensor:
    """The metric of every cell, shape [C].

    Normalisation uses running statistics, dropout is off, and the arithmetic is that of the parameters.
    """
    first = next(iter(params.values()))

    def scores(params: Tensors, buffers: Tensors, x: Tensor, y: Tensor) -> Tensor:
        return feed.workload.score(functional_call(model, (params, buffers), (x,)), y).sum()

    model.eval()
    total = torch.zeros(len(first), dtype=torch.float64, device=first.device)
    with torch.no_grad():
        for x, y in feed.evaluation():
            together = cells_at_once(feed, len(x))
            total += vmap(scores, in_dims=(0, 0, None, None), chunk_size=together)(params, buffers, x, y)
    model.train()
    return total / len(feed.workload.eval_y)


def cells_at_once(feed: Feed, examples: int) -> int | None:
    """How many cells memory allows to evaluate together, where outputs are large; None for all of them."""
    numbers = examples * feed.workload.output_numbers
    return max(1, EVALUATION_NUMBERS // numbers) if numbers else None


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
