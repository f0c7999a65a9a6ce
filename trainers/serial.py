"""The serial trainer: one cell at a time, a plain module and `torch.optim`. Slow, obvious, and the truth."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trainers.budget import Budget
from trainers.control.serial import train_agents_serially
from trainers.curves import Curves, curves
from trainers.denormals import flushed_denormals
from trainers.dynamics import Dynamics, Moment, Recorder, beside
from trainers.evaluation import averaging, untrained_loss
from trainers.feed import Feed
from trainers.network import untrained
from trainers.optimizers.base import Optimizer
from trainers.precision import GROWTH_INTERVAL, LARGEST_SCALE, LossScale, loss_function, scaled_in
from trainers.probes import Probes
from trainers.run import Run
from trainers.spikes import spike_factors, spiked_steps
from trainers.transforms.base import Tensors, Transform
from trainers.workloads.base import Workload
from trainers.workloads.control import Control


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
    run = Run(workload, transform, optimizer, budget, lr_C, weight_decay_C, seed, constants_C or {}, device)
    if isinstance(workload, Control):
        return train_agents_serially(run, take_step)
    feed = Feed(workload, budget, seed, device)
    loss_initial = untrained_loss(feed, untrained(feed))
    trained: list[Trained] = []
    for c, (lr, weight_decay) in enumerate(zip(lr_C.tolist(), weight_decay_C.tolist(), strict=True)):
        with torch.random.fork_rng(devices=[]):
            trained.append(train_cell(feed, run.method(c), optimizer, lr, weight_decay))
    return curves(
        budget,
        torch.tensor([cell.loss_T for cell in trained], dtype=torch.float64).T,
        torch.tensor([cell.metric_K for cell in trained], dtype=torch.float64).T,
        [cell.bad_step for cell in trained],
        loss_initial,
        higher_is_better=workload.higher_is_better,
        seconds=time.perf_counter() - started,
        dynamics=beside([cell.dynamics for cell in trained if cell.dynamics is not None]),
        skipped_C=[cell.skipped for cell in trained] if scaled_in(budget) else None,
    )


class Trained(NamedTuple):
    """What training one cell gave.

    Attributes:
        loss_T: loss of each step, NaN after the cell ended [loss units].
        metric_K: the workload's metric at each recorded point, NaN likewise.
        bad_step: step at which non-finite parameters were seen, or None.
        dynamics: if the budget asks for them.
        skipped: steps that overflowed in float16 [steps].
    """

    loss_T: list[float]
    metric_K: list[float]
    bad_step: int | None
    dynamics: Dynamics | None
    skipped: int


def train_cell(
    feed: Feed, transform: Transform, optimizer: Optimizer, lr: float, weight_decay: float
) -> Trained:
    """Train one cell to the end of the budget, or until its loss or parameters are not finite."""
    workload, budget, seed = feed.workload, feed.budget, feed.seed
    model = untrained(feed)
    named, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    loss_of = loss_function(workload, model, budget)
    rule = optimizer.reference(model.named_parameters(), lr, weight_decay)
    transform_state = transform.init(detached(named))
    recorder = Recorder(budget.dynamics, named, 1, spiked_steps(budget, seed))
    probes = Probes(model, budget, workload.output_numbers)
    spike_T, scale, good = spike_factors(budget, seed), LossScale().start if scaled_in(budget) else 1.0, 0
    loss_T, metric_K = [math.nan] * budget.steps, [math.nan] * len(budget.recorded_steps)
    skipped = 0
    metric_K[0] = score(feed, model)
    for t, micro in feed.steps():
        rule.zero_grad()
        losses = []
        for x, y, masks in micro:
            # The fused trainer seeds at the same places, so that masks are the same.
            torch.manual_seed(masks)
            loss = loss_of(named, buffers, x, y)
            (loss * (budget.loss_scale * scale)).backward()
            losses.append(loss.detach())
        loss_T[t] = float(torch.stack(losses).mean())
        # What follows a non-finite loss is not recorded, so it is not trained either.
        if not math.isfinite(loss_T[t]):
            break
        factor = spike_T[t] / budget.accumulation
        grads = {name: p.grad / scale * factor for name, p in named.items() if p.grad is not None}
        # Copies, because the step changes parameters in place.
        before = {name: p.detach().clone() for name, p in named.items()}
        # Before the step, of the parameters that the gradients are of.
        due = recorder.due(t + 1)
        probed = probes.of_tile(as_tile(before), as_tile(buffers), micro) if due else {}
        if not scaled_in(budget) or all_finite(grads):
            scheduled_lr = lr * budget.lr_factor(t)
            out, transform_state = take_step(
                transform, optimizer, rule, named, grads, transform_state, scheduled_lr
            )
            good += 1
        else:
            out, _ = transform.update(grads, transform_state, before)
            scale, good, skipped = scale * 0.5, 0, skipped + 1
        if scaled_in(budget) and good >= GROWTH_INTERVAL:
            scale, good = min(scale * 2.0, LARGEST_SCALE), 0
        if due:
            moment = Moment(
                before=as_tile(before),
                after=as_tile(detached(named)),
                grads=as_tile(grads),
                out=as_tile(out),
                transform_state=as_tile(transform_state),
            )
            recorder.add(t + 1, torch.tensor([0]), moment, probed)
        if t + 1 in budget.recorded_steps:
            if not all_finite(named):
                return Trained(loss_T, metric_K, t + 1, recorder.result(), skipped)
            with optimizer.evaluating(rule), recomputed(feed, model, optimizer):
                metric_K[budget.recorded_steps.index(t + 1)] = score(feed, model)
    return Trained(loss_T, metric_K, None, recorder.result(), skipped)


def take_step(
    transform: Transform,
    optimizer: Optimizer,
    rule: torch.optim.Optimizer,
    named: dict[str, nn.Parameter],
    grads: Tensors,
    transform_state: Tensors,
    lr: float,
) -> tuple[Tensors, Tensors]:
    """Put the transformed gradients into `.grad` and step; returns them and the transform's state."""
    with torch.no_grad():
        out, transform_state = transform.update(grads, transform_state, detached(named))
    for name, p in named.items():
        p.grad = out[name]
    if transform.signal is not None:
        asked = transform.signal(transform_state)
        lr *= float(asked.lr_scale)
        if asked.restart:
            optimizer.restart_reference(rule, keep_count=asked.keep_count)
        if asked.recount is not None and asked.recount:
            optimizer.recount_reference(rule)
    for group in rule.param_groups:
        group["lr"] = lr
    rule.step()
    return out, transform_state


@contextmanager
def recomputed(feed: Feed, model: nn.Module, optimizer: Optimizer) -> Iterator[None]:
    """The model has running statistics of the weights that are evaluated while this is open."""
    if optimizer.evaluation is None:
        yield
        return
    kept = {name: b.clone() for name, b in model.named_buffers()}
    with torch.no_grad():
        for x in averaging(feed, model):
            model(x)
    yield
    for name, b in model.named_buffers():
        b.copy_(kept[name])


def detached(named: Mapping[str, Tensor]) -> Tensors:
    """The same tensors, outside of the graph."""
    return {name: p.detach() for name, p in named.items()}


def all_finite(tensors: Mapping[str, Tensor]) -> bool:
    """Whether no entry of any tensor is infinite or NaN."""
    return all(bool(torch.isfinite(t).all()) for t in tensors.values())


def as_tile(tensors: Tensors) -> Tensors:
    """The tensors of a tile of one cell."""
    return {name: t.unsqueeze(0) for name, t in tensors.items()}


def score(feed: Feed, model: nn.Module) -> float:
    """The metric on the evaluation set, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        found = sum(float(feed.workload.score(model(x), y).double().sum()) for x, y in feed.evaluation())
    model.train()
    return found / len(feed.workload.eval_y)
