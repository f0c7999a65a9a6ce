"""The metric of networks on the evaluation set, and the loss of the untrained one."""

from __future__ import annotations

from itertools import islice

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from trainers.budget import Budget
from trainers.precision import Tensors, loss_function
from trainers.workloads.base import Workload, batches, derived_seed

EVALUATION_BATCH = 512
"""Examples per forward pass of an evaluation."""


def evaluated(workload: Workload, model: nn.Module, params: Tensors, buffers: Tensors) -> Tensor:
    """The metric of every cell, shape [C]; normalisation uses running statistics, dropout is off, arithmetic is the parameters'."""
    first = next(iter(params.values()))

    def scores(params: Tensors, buffers: Tensors, x: Tensor, y: Tensor) -> Tensor:
        return workload.score(functional_call(model, (params, buffers), (x,)), y).sum()

    model.eval()
    total = torch.zeros(len(first), dtype=torch.float64, device=first.device)
    with torch.no_grad():
        for x, y in zip(workload.eval_x.split(EVALUATION_BATCH), workload.eval_y.split(EVALUATION_BATCH), strict=True):
            total += vmap(scores, in_dims=(0, 0, None, None))(params, buffers, as_input(x, first.dtype, first.device), y.to(first.device))
    model.train()
    return total / len(workload.eval_x)


def untrained_loss(workload: Workload, model: nn.Module, budget: Budget, seed: int, device: str | torch.device) -> float:
    """Mean loss of the untrained network, in training mode, over the batches of the last tenth of training [loss units].

    Same batches, same dropout masks and same arithmetic as those steps have, so that it differs by the parameters alone.
    """
    params = {name: p.detach() for name, p in model.named_parameters()}
    buffers = {name: b.detach().clone() for name, b in model.named_buffers()}
    loss = loss_function(workload, model, budget)
    losses = []
    first = budget.steps - budget.tail
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for t, index_B in enumerate(islice(batches(len(workload.train_x), budget.batch_size, seed), first, budget.steps), start=first):
            for k, part in enumerate(index_B.chunk(budget.accumulation)):
                torch.manual_seed(mask_seed(seed, t, k))
                losses.append(loss(params, buffers, as_input(workload.train_x[part], budget.dtype, device), workload.train_y[part].to(device)).double())
    return float(torch.stack(losses).mean())


def as_input(x: Tensor, dtype: torch.dtype, device: str | torch.device) -> Tensor:
    """Inputs on the device, in that precision unless they are indices."""
    return x.to(device, dtype) if x.is_floating_point() else x.to(device)


def mask_seed(seed: int, step: int, part: int) -> int:
    """Seed of the generator that dropout draws from: one per step and micro-batch, the same for every cell."""
    return derived_seed(seed, f"masks/{step}/{part}")
