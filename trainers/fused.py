"""The fused trainer: all cells of a tile in one run, one vectorised step at a time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap
from torch.utils._pytree import tree_map

from trainers.budget import Budget
from trainers.checkpoint import Checkpoint
from trainers.curves import Curves, curves
from trainers.denormals import flushed_denormals
from trainers.dynamics import Recorder
from trainers.evaluation import evaluated, untrained_loss
from trainers.feed import Feed, Micro
from trainers.fusion import cell_by_cell, fills_processor, fusable, vectorised
from trainers.models.dropout import PAIRED
from trainers.optimizers.base import Optimizer
from trainers.precision import LossScale, Tensors, loss_function, scaled_in
from trainers.spikes import spike_factors, spiked_steps
from trainers.transforms.base import Transform
from trainers.workloads.base import NUMERICS, Workload

Tile = dict[str, Any]
"""Tensors of all cells that are still trained, each with the cells as its first dimension."""
KEPT = ("step", "tile", "index_C", "loss_TC", "metric_KC", "bad_C", "moments", "seconds")
"""What a checkpoint holds. Batches, their augmentation, masks and spikes follow from the seed and the step."""


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
    checkpoint: Checkpoint | None = None,
) -> Curves:
    """Train C cells that differ in numbers only, from the same weights on the same batches.

    Equal to `train_serial` cell by cell up to rounding. Cells do not influence each other: what a cell gives does not depend
    on its neighbours' numbers, even when they diverge. Cells that became non-finite leave the tile at the next recorded point.
    Denormal numbers are flushed to zero meanwhile, because dying cells would otherwise slow all others down.

    Args:
        lr_C: learning rates, shape [C], finite and >= 0.
        weight_decay_C: weight decays, shape [C], finite and >= 0.
        seed: decides initial weights, batches, their augmentation, dropout masks and spikes.
        constants_C: constants of the transform that differ between cells, each of shape [C].
        checkpoint: where the run is kept now and then, and from where it goes on if its process died; on a CPU it then gives
            the same numbers bit by bit. `Checkpoint.clear` it when what the run gave is safe.

    Raises:
        ValueError: a tensor has the wrong shape or range.
    """
    started = time.perf_counter()
    check_cells(lr_C=lr_C, weight_decay_C=weight_decay_C)
    check_cells(lr_C=lr_C, **(constants_C or {}))
    for c in range(
        len(lr_C) if constants_C else 0
    ):  # refuses what is out of range, which inside of vmap nobody can see
        transform.with_constants(**{name: float(value[c]) for name, value in (constants_C or {}).items()})
    cells, dtype = len(lr_C), budget.dtype
    model = workload.initial_model(seed).to(device, dtype)
    feed = Feed(workload, budget, seed, device)
    looped = fills_processor(model, feed.inputs(workload.train_x[:1]))
    model = model if looped else fusable(model)
    loss_initial = untrained_loss(feed, model)
    step = Step(workload, model, transform, optimizer, budget, looped)
    tile = step.begin(
        lr_C.to(device, dtype),
        weight_decay_C.to(device, dtype),
        {name: v.to(device, dtype) for name, v in (constants_C or {}).items()},
    )
    recorder = Recorder(budget.dynamics, dict(model.named_parameters()), cells, spiked_steps(budget, seed))

    loss_TC = torch.full((budget.steps, cells), torch.nan, device=device, dtype=dtype)
    metric_KC = torch.full((len(budget.recorded_steps), cells), torch.nan, device=device, dtype=torch.float64)
    metric_KC[0] = evaluated(feed, model, tile["params"], tile["buffers"])
    bad_C: list[int | None] = [None] * cells
    index_C, spike_T, first = torch.arange(cells, device=device), spike_factors(budget, seed), 0
    own = {name: v.tolist() for name, v in (constants_C or {}).items()}
    identity = repr(
        (
            torch.__version__,
            str(device),
            NUMERICS,
            workload.name,
            str(model),
            transform.name,
            transform.constants,
            optimizer.name,
            optimizer.constants,
            own,
        )
    )
    identity += repr((budget, lr_C.tolist(), weight_decay_C.tolist(), seed, KEPT))
    kept = checkpoint.load(identity) if checkpoint else None
    if kept:
        first, tile, index_C, loss_TC, metric_KC, bad_C, recorder.moments, spent = (
            kept[name] for name in KEPT
        )
        started -= spent
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for t, micro in feed.steps(first):
            tile, loss_C, seen = step(tile, micro, budget.lr_factor(t), spike_T[t])
            loss_TC[t, index_C] = loss_C
            if recorder.due(t + 1):
                recorder.add(t + 1, index_C, **seen)
            if t + 1 in budget.recorded_steps:
                finite_C = torch.stack(
                    [torch.isfinite(p).flatten(1).all(1) for p in tile["params"].values()]
                ).all(0)
                for c in index_C[~finite_C].tolist():
                    bad_C[c] = t + 1
                alive_C = finite_C & torch.isfinite(loss_TC[: t + 1, index_C]).all(0)
                if not bool(alive_C.all()):
                    tile, index_C = tree_map(lambda tensor: tensor[alive_C], tile), index_C[alive_C]  # noqa: B023  # used at once
                    if not len(index_C):
                        break
                metric_KC[budget.recorded_steps.index(t + 1), index_C] = evaluated(
                    feed, model, tile["params"], tile["buffers"]
                )
            if checkpoint and checkpoint.due:
                state = (
                    t + 1,
                    tile,
                    index_C,
                    loss_TC,
                    metric_KC,
                    bad_C,
                    recorder.moments,
                    time.perf_counter() - started,
                )
                checkpoint.save(identity, dict(zip(KEPT, state, strict=True)))
    seconds = time.perf_counter() - started
    if checkpoint and checkpoint.used:
        checkpoint.save(
            identity,
            dict(
                zip(
                    KEPT,
                    (budget.steps, tile, index_C, loss_TC, metric_KC, bad_C, recorder.moments, seconds),
                    strict=True,
                )
            ),
        )
    return curves(
        budget, loss_TC, metric_KC, bad_C, loss_initial, workload.higher_is_better, seconds, recorder.result()
    )


class Step:
    """One optimizer step of every cell of a tile; no Python per cell, save where a network is better looped over (`cell_by_cell`)."""

    def __init__(
        self,
        workload: Workload,
        model: torch.nn.Module,
        transform: Transform,
        optimizer: Optimizer,
        budget: Budget,
        looped: bool,
    ) -> None:
        loss = loss_function(workload, model, budget)
        self._model, self._transform, self._optimizer, self._budget = model, transform, optimizer, budget
        self._masked = any(isinstance(module, PAIRED) for module in model.modules())
        self._scale = LossScale() if scaled_in(budget) else None

        self._gradients = cell_by_cell(loss) if looped else vectorised(loss)
        self._apply = vmap(self._applied, in_dims=(0, 0, None))

    def begin(self, lr_C: Tensor, weight_decay_C: Tensor, own_C: Tensors) -> Tile:
        """The tile before the first step: C copies of the untrained network."""
        cells = len(lr_C)
        tile: Tile = {
            name: {k: v.detach().expand(cells, *v.shape).clone() for k, v in values}
            for name, values in self._tensors()
        }
        tile |= {
            "lr": lr_C,
            "weight_decay": weight_decay_C,
            "own": own_C,
            "factor": torch.full_like(lr_C, self._budget.loss_scale),
        }
        tile["memory"] = vmap(lambda lr, own, params: self._method(own).init(params))(
            lr_C, own_C, tile["params"]
        )
        tile["state"] = vmap(self._optimizer.init)(tile["params"])
        tile["scale"] = self._scale.init(lr_C) if self._scale else {}
        return tile

    def _tensors(self) -> tuple[tuple[str, Any], ...]:
        return ("params", self._model.named_parameters()), ("buffers", self._model.named_buffers())

    def _method(self, own: Tensors) -> Transform:
        return self._transform.with_constants(**own) if own else self._transform

    def _applied(self, tile: Tile, grads: Tensors, lr_factor: float) -> tuple[Tile, Tensors]:
        """Transform and optimizer of one cell."""
        method = self._method(tile["own"])
        out, memory = method.update(grads, tile["memory"], tile["params"])
        state, lr = tile["state"], tile["lr"] * lr_factor
        if method.signal is not None:
            asked = method.signal(memory)
            state, lr = self._optimizer.restart(state, asked.restart, asked.keep_count), lr * asked.lr_scale
        params, state = self._optimizer.update(out, state, tile["params"], lr, tile["weight_decay"])
        return {"params": params, "memory": memory, "state": state}, out

    def __call__(
        self, tile: Tile, micro: list[Micro], lr_factor: float, spike: float
    ) -> tuple[Tile, Tensor, dict[str, Tensors]]:
        """The tile after a step, the mean loss of each cell, and what dynamics are measured from."""
        factor = tile["factor"] * tile["scale"]["scale"] if self._scale else tile["factor"]
        total: Tensors = {}
        losses = []
        for x, y, masks in micro:
            if self._masked:
                torch.manual_seed(masks)
            grads, loss_C = self._gradients(tile["params"], tile["buffers"], factor, x, y)
            total = {name: total[name] + g if total else g for name, g in grads.items()}
            losses.append(loss_C)
        finite_C = None
        if self._scale:
            total = {
                name: g / tile["scale"]["scale"].view(-1, *[1] * (g.dim() - 1)) for name, g in total.items()
            }
        share = spike / len(micro)
        if share != 1.0:
            total = {name: g * share for name, g in total.items()}
        if self._scale:
            finite_C = torch.stack([torch.isfinite(g).flatten(1).all(1) for g in total.values()]).all(0)
        new, out = self._apply(
            {key: tile[key] for key in ("params", "memory", "state", "lr", "weight_decay", "own")},
            total,
            lr_factor,
        )
        if self._scale and finite_C is not None:
            new = tree_map(
                lambda fresh, old: torch.where(finite_C.view(-1, *[1] * (fresh.dim() - 1)), fresh, old),
                new,
                {key: tile[key] for key in new},
            )
            new["scale"] = self._scale.update(tile["scale"], finite_C)
        seen = {
            "before": tile["params"],
            "after": new["params"],
            "grads": total,
            "out": out,
            "memory": new["memory"],
        }
        return {**tile, **new}, torch.stack(losses).mean(0), seen


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
        if name in ("lr_C", "weight_decay_C") and not bool(((vector >= 0) & torch.isfinite(vector)).all()):
            raise ValueError(
                f"{name} holds {vector[~((vector >= 0) & torch.isfinite(vector))][0]:g}; wanted finite numbers >= 0"
            )
