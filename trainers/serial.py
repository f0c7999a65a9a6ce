"""The serial trainer: one cell at a time, a plain module and `torch.optim`. Slow, obvious, and the truth."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trainers.budget import Budget
from trainers.curves import Curves, curves
from trainers.denormals import flushed_denormals
from trainers.dynamics import Dynamics, Recorder, beside
from trainers.evaluation import untrained_loss
from trainers.feed import Feed
from trainers.fused import check_cells
from trainers.optimizers.base import Optimizer
from trainers.precision import GROWTH_INTERVAL, LossScale, loss_function, scaled_in
from trainers.spikes import spike_factors, spiked_steps
from trainers.transforms.base import Tensors, Transform
from trainers.workloads.base import Workload


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
    feed = Feed(workload, budget, seed, device)
    loss_initial = untrained_loss(feed, workload.initial_model(seed).to(device, budget.dtype))
    loss_CT, metric_CK, bad_C = [], [], []
    seen_C: list[Dynamics] = []
    for c, (lr, weight_decay) in enumerate(zip(lr_C.tolist(), weight_decay_C.tolist(), strict=True)):
        own = {name: float(value_C[c]) for name, value_C in (constants_C or {}).items()}
        method = transform.with_constants(**own) if own else transform
        with torch.random.fork_rng(devices=[]):
            loss_T, metric_K, bad, seen = train_cell(feed, method, optimizer, lr, weight_decay)
        loss_CT.append(loss_T)
        metric_CK.append(metric_K)
        bad_C.append(bad)
        seen_C += [] if seen is None else [seen]
    seconds = time.perf_counter() - started
    loss_TC, metric_KC = (
        torch.tensor(loss_CT, dtype=torch.float64).T,
        torch.tensor(metric_CK, dtype=torch.float64).T,
    )
    return curves(
        budget, loss_TC, metric_KC, bad_C, loss_initial, workload.higher_is_better, seconds, beside(seen_C)
    )


def train_cell(
    feed: Feed, transform: Transform, optimizer: Optimizer, lr: float, weight_decay: float
) -> tuple[list[float], list[float], int | None, Dynamics | None]:
    """Losses of all steps, metrics of all recorded points, the step at which parameters were seen to be non-finite, dynamics."""
    workload, budget, seed = feed.workload, feed.budget, feed.seed
    model = workload.initial_model(seed).to(feed.device, budget.dtype)
    named, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    loss_of = loss_function(workload, model, budget)
    rule = optimizer.reference(model.parameters(), lr, weight_decay)
    memory = transform.init(detached(named))
    recorder = Recorder(budget.dynamics, named, 1, spiked_steps(budget, seed))
    spike_T, scale, good = spike_factors(budget, seed), LossScale().start if scaled_in(budget) else 1.0, 0
    loss_T, metric_K = [math.nan] * budget.steps, [math.nan] * len(budget.recorded_steps)
    metric_K[0] = score(feed, model)
    for t, micro in feed.steps():
        rule.zero_grad()
        losses = []
        for x, y, masks in micro:
            torch.manual_seed(masks)
            loss = loss_of(named, buffers, x, y)
            (loss * (budget.loss_scale * scale)).backward()
            losses.append(loss.detach())
        loss_T[t] = float(torch.stack(losses).mean())
        if not math.isfinite(loss_T[t]):
            break
        grads = {
            name: p.grad / scale * (spike_T[t] / budget.accumulation)
            for name, p in named.items()
            if p.grad is not None
        }
        if scaled_in(budget):
            finite = all(bool(torch.isfinite(g).all()) for g in grads.values())
            good = good + 1 if finite else 0
            scale = scale if finite and good < GROWTH_INTERVAL else scale * 2.0 if finite else scale * 0.5
            good = 0 if good >= GROWTH_INTERVAL else good
        before = {name: p.detach().clone() for name, p in named.items()}
        if not scaled_in(budget) or finite:
            out, memory = take_step(
                transform, optimizer, rule, named, grads, memory, lr * budget.lr_factor(t)
            )
        else:
            out, _ = transform.update(grads, memory, before)
        if recorder.due(t + 1):
            moment = {
                "before": before,
                "after": detached(named),
                "grads": grads,
                "out": out,
                "memory": memory,
            }
            recorder.add(
                t + 1,
                torch.tensor([0]),
                **{
                    key: {name: v.unsqueeze(0) for name, v in tensors.items()}
                    for key, tensors in moment.items()
                },
            )
        if t + 1 in budget.recorded_steps:
            if not all(bool(torch.isfinite(p).all()) for p in named.values()):
                return loss_T, metric_K, t + 1, recorder.result()
            metric_K[budget.recorded_steps.index(t + 1)] = score(feed, model)
    return loss_T, metric_K, None, recorder.result()


def take_step(
    transform: Transform,
    optimizer: Optimizer,
    rule: torch.optim.Optimizer,
    named: dict[str, nn.Parameter],
    grads: Tensors,
    memory: Tensors,
    lr: float,
) -> tuple[Tensors, Tensors]:
    """Put the transformed gradients into `.grad` and step; returns them and the transform's memory."""
    with torch.no_grad():
        out, memory = transform.update(grads, memory, detached(named))
    for name, p in named.items():
        p.grad = out[name]
    if transform.signal is not None:
        asked = transform.signal(memory)
        lr *= float(asked.lr_scale)
        if asked.restart:
            optimizer.restart_reference(rule, asked.keep_count)
    for group in rule.param_groups:
        group["lr"] = lr
    rule.step()
    return out, memory


def detached(named: Mapping[str, Tensor]) -> Tensors:
    """The same tensors, outside of the graph."""
    return {name: p.detach() for name, p in named.items()}


def score(feed: Feed, model: nn.Module) -> float:
    """The metric on the evaluation set, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        found = sum(float(feed.workload.score(model(x), y).double().sum()) for x, y in feed.evaluation())
    model.train()
    return found / len(feed.workload.eval_y)
