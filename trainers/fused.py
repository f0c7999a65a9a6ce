"""The fused trainer: all cells of a tile in one run, one vectorised step at a time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import islice

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from trainers.budget import Budget
from trainers.curves import Curves, curves
from trainers.denormals import flushed_denormals
from trainers.fusion import fusable
from trainers.optimizers.base import Optimizer
from trainers.transforms.base import Transform
from trainers.workloads.base import Workload, batches

EVALUATION_BATCH = 512
"""Examples per forward pass of an evaluation."""


@flushed_denormals()
def train_fused(
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
) -> Curves:
    """Train C cells that differ in numbers only, from the same weights on the same batches.

    Equal to `train_serial` cell by cell up to rounding. Cells do not influence each other: what a cell gives does not depend
    on its neighbours' numbers, even when they diverge. Denormal numbers are flushed to zero meanwhile, because dying cells would
    otherwise slow all others down.

    Args:
        lr_C: learning rates, shape [C], finite and >= 0.
        weight_decay_C: weight decays, shape [C], finite and >= 0.
        seed: decides initial weights and batches.
        constants_C: constants of the transform that differ between cells, each of shape [C].

    Raises:
        ValueError: a tensor has the wrong shape or range.
    """
    started = time.perf_counter()
    check_cells(lr_C=lr_C, weight_decay_C=weight_decay_C)
    check_cells(lr_C=lr_C, **(constants_C or {}))
    cells, dtype = len(lr_C), budget.dtype
    lr_C, weight_decay_C = lr_C.to(device, dtype), weight_decay_C.to(device, dtype)
    own_C = {name: value.to(device, dtype) for name, value in (constants_C or {}).items()}
    data = [part.to(device, dtype) if part.is_floating_point() else part.to(device) for part in (workload.train_x, workload.train_y)]
    model = fusable(workload.initial_model(seed).to(device, dtype))
    loss_initial = untrained_loss(workload, model, budget, seed, device)

    params = {name: stacked(p, cells) for name, p in model.named_parameters()}
    buffers = {name: stacked(b, cells) for name, b in model.named_buffers()}

    def loss_of(params, buffers, x, y):  # type: ignore[no-untyped-def]  # one cell's tensors, as dictionaries
        return workload.loss(functional_call(model, (params, buffers), (x,)), y)

    def of_cell(own: dict[str, Tensor]) -> Transform:
        return transform.with_constants(**own) if own else transform

    def step_of(params, buffers, memory, state, lr, weight_decay, own, x, y):  # type: ignore[no-untyped-def]
        grads, loss = grad_and_value(loss_of)(params, buffers, x, y)
        method = of_cell(own)
        grads, memory = method.update(grads, memory, params)
        if method.signal is not None:
            asked = method.signal(memory)
            state, lr = optimizer.restart(state, asked.restart, asked.keep_count), lr * asked.lr_scale
        params, state = optimizer.update(grads, state, params, lr, weight_decay)
        return params, memory, state, loss

    step_fused = vmap(step_of, in_dims=(0, 0, 0, 0, 0, 0, 0, None, None), randomness="different")
    memory = vmap(lambda own, params: of_cell(own).init(params))(own_C, params) if own_C else vmap(transform.init)(params)
    state = vmap(optimizer.init)(params)

    loss_TC = torch.full((budget.steps, cells), torch.nan, device=device, dtype=dtype)
    metric_KC = [evaluated(workload, model, params, buffers)]
    finite_KC = []
    recorded = set(budget.recorded_steps[1:])
    with torch.no_grad():
        for t, index_B in enumerate(islice(batches(len(data[0]), budget.batch_size, seed), budget.steps)):
            x, y = data[0][index_B], data[1][index_B]
            params, memory, state, loss_TC[t] = step_fused(params, buffers, memory, state, lr_C * budget.lr_factor(t), weight_decay_C, own_C, x, y)
            if t + 1 in recorded:
                finite_KC.append(torch.stack([torch.isfinite(p).flatten(1).all(1) for p in params.values()]).all(0))
                metric_KC.append(evaluated(workload, model, params, buffers))
    finite = torch.stack(finite_KC).cpu()
    bad_C = [next((step for step, ok in zip(budget.recorded_steps[1:], column, strict=True) if not ok), None) for column in finite.T.tolist()]
    seconds = time.perf_counter() - started
    return curves(budget, loss_TC, torch.stack(metric_KC), bad_C, loss_initial, workload.higher_is_better, seconds)


def stacked(tensor: Tensor, cells: int) -> Tensor:
    """C copies of one cell's tensor: shape [C, ...]."""
    return tensor.detach().expand(cells, *tensor.shape).clone()


def evaluated(workload: Workload, model: nn.Module, params: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
    """The metric of every cell on the evaluation set, shape [C]; normalisation uses running statistics."""
    first = next(iter(params.values()))

    def scores(params, buffers, x, y):  # type: ignore[no-untyped-def]
        return workload.score(functional_call(model, (params, buffers), (x,)), y).sum()

    model.eval()
    total = torch.zeros(len(first), dtype=torch.float64, device=first.device)
    with torch.no_grad():
        for x, y in zip(workload.eval_x.split(EVALUATION_BATCH), workload.eval_y.split(EVALUATION_BATCH), strict=True):
            x = x.to(first.device, first.dtype) if x.is_floating_point() else x.to(first.device)
            total += vmap(scores, in_dims=(0, 0, None, None))(params, buffers, x, y.to(first.device))
    model.train()
    return total / len(workload.eval_x)


def untrained_loss(workload: Workload, model: nn.Module, budget: Budget, seed: int, device: str | torch.device) -> float:
    """Mean loss of the untrained network, in training mode, over the batches of the last tenth of training [loss units]."""
    buffers = {name: b.detach().clone() for name, b in model.named_buffers()}
    losses = []
    with torch.no_grad():
        for index_B in islice(batches(len(workload.train_x), budget.batch_size, seed), budget.steps - budget.tail, budget.steps):
            x, y = workload.train_x[index_B].to(device), workload.train_y[index_B].to(device)
            x = x.to(budget.dtype) if x.is_floating_point() else x
            losses.append(workload.loss(functional_call(model, buffers, (x,)), y).double())
    return float(torch.stack(losses).mean())


def check_cells(**vectors_C: Tensor) -> None:
    """Refuse per-cell numbers that are not vectors of one length, finite and not negative.

    Raises:
        ValueError: the message names the argument, what was found and what is wanted.
    """
    (first, reference), *_ = vectors_C.items()
    for name, vector in vectors_C.items():
        if vector.dim() != 1 or len(vector) == 0:
            raise ValueError(f"{name} has shape {list(vector.shape)}; wanted [C], one number per cell, with C >= 1")
        if len(vector) != len(reference):
            raise ValueError(f"{name} has {len(vector)} cells and {first} has {len(reference)}; they must be equal")
        if name in ("lr_C", "weight_decay_C") and not bool(((vector >= 0) & torch.isfinite(vector)).all()):
            raise ValueError(f"{name} holds {vector[~((vector >= 0) & torch.isfinite(vector))][0]:g}; wanted finite numbers >= 0")
