"""The serial trainer: one cell at a time, a plain module and `torch.optim`. Slow, obvious, and the truth."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import islice

import torch
from torch import Tensor, nn

from trainers.budget import Budget
from trainers.curves import Curves, curves
from trainers.denormals import flushed_denormals
from trainers.fused import check_cells, untrained_loss
from trainers.optimizers.base import Optimizer
from trainers.transforms.base import Transform
from trainers.workloads.base import Workload, batches


@flushed_denormals()
def train_serial(
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
    """Train the same cells as `train_fused`, with the same arguments and results, in a loop over cells."""
    started = time.perf_counter()
    check_cells(lr_C=lr_C, weight_decay_C=weight_decay_C)
    check_cells(lr_C=lr_C, **(constants_C or {}))
    loss_initial = untrained_loss(workload, workload.initial_model(seed).to(device, budget.dtype), budget, seed, device)
    loss_CT, metric_CK, bad_C = [], [], []
    for c, (lr, weight_decay) in enumerate(zip(lr_C.tolist(), weight_decay_C.tolist(), strict=True)):
        own = {name: float(value_C[c]) for name, value_C in (constants_C or {}).items()}
        method = transform.with_constants(**own) if own else transform
        loss_T, metric_K, bad = train_cell(workload, method, optimizer, budget, lr, weight_decay, seed, device)
        loss_CT.append(loss_T)
        metric_CK.append(metric_K)
        bad_C.append(bad)
    seconds = time.perf_counter() - started
    return curves(budget, torch.tensor(loss_CT, dtype=torch.float64).T, torch.tensor(metric_CK, dtype=torch.float64).T, bad_C, loss_initial, workload.higher_is_better, seconds)


def train_cell(
    workload: Workload, transform: Transform, optimizer: Optimizer, budget: Budget, lr: float, weight_decay: float, seed: int, device: str | torch.device
) -> tuple[list[float], list[float], int | None]:
    """Losses of all steps, metrics of all recorded points, and the step at which parameters were seen to be non-finite."""
    model = workload.initial_model(seed).to(device, budget.dtype)
    named = dict(model.named_parameters())
    rule = optimizer.reference(model.parameters(), lr, weight_decay)
    memory = transform.init({name: p.detach() for name, p in named.items()})
    train_x, train_y = as_input(workload.train_x, budget, device), workload.train_y.to(device)
    loss_T, metric_K, bad = [torch.nan] * budget.steps, [torch.nan] * len(budget.recorded_steps), None
    metric_K[0] = evaluated(workload, model, budget, device)
    for t, index_B in enumerate(islice(batches(len(train_x), budget.batch_size, seed), budget.steps)):
        loss = workload.loss(model(train_x[index_B]), train_y[index_B])
        loss_T[t] = loss.item()
        if not torch.isfinite(loss):
            break
        rule.zero_grad()
        loss.backward()
        grads = {name: p.grad for name, p in named.items() if p.grad is not None}
        with torch.no_grad():
            grads, memory = transform.update(grads, memory, {name: p.detach() for name, p in named.items()})
        for name, p in named.items():
            p.grad = grads[name]
        scale = 1.0
        if transform.signal is not None:
            asked = transform.signal(memory)
            scale = float(asked.lr_scale)
            if asked.restart:
                optimizer.restart_reference(rule, asked.keep_count)
        for group in rule.param_groups:
            group["lr"] = lr * budget.lr_factor(t) * scale
        rule.step()
        if t + 1 in budget.recorded_steps:
            if not all(bool(torch.isfinite(p).all()) for p in named.values()):
                bad = t + 1
                break
            metric_K[budget.recorded_steps.index(t + 1)] = evaluated(workload, model, budget, device)
    return loss_T, metric_K, bad


def evaluated(workload: Workload, model: nn.Module, budget: Budget, device: str | torch.device) -> float:
    """The metric on the evaluation set, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        score = workload.score(model(as_input(workload.eval_x, budget, device)), workload.eval_y.to(device)).double().mean()
    model.train()
    return float(score)


def as_input(x: Tensor, budget: Budget, device: str | torch.device) -> Tensor:
    """Inputs on the device, in the budget's precision unless they are indices."""
    return x.to(device, budget.dtype) if x.is_floating_point() else x.to(device)
