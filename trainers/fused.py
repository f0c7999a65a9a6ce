"""The fused trainer: all cells of a tile in one run, one vectorised step at a time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.utils._pytree import tree_map

from trainers.budget import Budget
from trainers.checkpoint import Checkpoint
from trainers.curves import Curves, curves
from trainers.denormals import flushed_denormals
from trainers.dynamics import Moment, Recorder
from trainers.evaluation import evaluated, untrained_loss
from trainers.feed import Feed, Micro
from trainers.fusion import cell_by_cell, fills_processor, fusable, vectorised
from trainers.models.dropout import PAIRED
from trainers.optimizers.base import Optimizer, OptimizerState
from trainers.precision import LossScale, Tensors, loss_function, scaled_in
from trainers.progress import LAYOUT, Progress, TileState
from trainers.run import Run
from trainers.spikes import spike_factors, spiked_steps
from trainers.transforms.base import State, Transform
from trainers.workloads.base import Workload


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

    Equal to `train_serial` cell by cell up to rounding. Cells do not influence each other: what a cell gives
    does not depend on its neighbours' numbers, even when they diverge. Cells that became non-finite leave the
    tile at the next recorded point. Denormal numbers are flushed to zero meanwhile, because dying cells would
    otherwise slow all others down.

    Args:
        lr_C: learning rates, shape [C], finite and >= 0.
        weight_decay_C: weight decays, shape [C], finite and >= 0.
        seed: decides initial weights, batches, their augmentation, dropout masks and spikes.
        constants_C: constants of the transform that differ between cells, each of shape [C].
        device: where the cells are trained.
        checkpoint: where the run is kept now and then, and from where it goes on if its process died. On a
            CPU it then gives the same numbers bit by bit. `Checkpoint.clear` it when the results are safe.

    Raises:
        ValueError: a tensor has the wrong shape, or a number is out of range.

    Example:
        >>> import torch
        >>> from trainers import Budget, make_optimizer, make_transform, make_workload, train_fused
        >>> curves = train_fused(
        ...     make_workload("synthetic", "mlp"),
        ...     make_transform("clip_norm"),
        ...     make_optimizer("adamw"),
        ...     Budget(steps=20, batch_size=32, points=2),
        ...     lr_C=torch.tensor([1e-3, 1e-2, 1e6]),
        ...     weight_decay_C=torch.tensor([0.1, 0.1, 0.1]),
        ...     seed=0,
        ... )
        >>> curves.step_K
        (0, 10, 20)
        >>> curves.loss_KC.shape
        torch.Size([3, 3])
        >>> curves.outcome_C
        ('finished', 'finished', 'diverged')
    """
    run = Run(workload, transform, optimizer, budget, lr_C, weight_decay_C, seed, constants_C or {}, device)
    return train_together(run, checkpoint)


@flushed_denormals()
def train_together(run: Run, checkpoint: Checkpoint | None = None) -> Curves:
    """`train_fused` of a run that has been put together."""
    started = time.perf_counter()
    workload, budget = run.workload, run.budget
    model = workload.initial_model(run.seed).to(run.device, budget.dtype)
    feed = Feed(workload, budget, run.seed, run.device)
    looped = fills_processor(model, feed.inputs(workload.train_x[:1]))
    model = model if looped else fusable(model)
    loss_initial = untrained_loss(feed, model)
    step = Step(run, model, looped=looped)

    identity = f"{run.identity(model)} {LAYOUT}"
    progress = checkpoint.load(identity) if checkpoint else None
    if progress is None:
        progress = begin(run, step, feed, model)
    started -= progress.seconds
    recorder = Recorder(
        budget.dynamics, dict(model.named_parameters()), run.cells, spiked_steps(budget, run.seed)
    )
    recorder.moments = progress.moments
    spike_T = spike_factors(budget, run.seed)
    place = {at: k for k, at in enumerate(budget.recorded_steps)}

    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for t, micro in feed.steps(progress.step):
            progress.tile, loss_C, moment = step(progress.tile, micro, budget.lr_factor(t), spike_T[t])
            progress.note(loss_C)
            if recorder.due(progress.step):
                recorder.add(progress.step, progress.index_C, moment)
            if progress.step in place:
                progress.drop_nonfinite()
                # All cells have ended, and no step that is left would train anything.
                if not len(progress.index_C):
                    break
                metric_C = evaluated(feed, model, progress.tile.params, progress.tile.buffers)
                progress.metric_KC[place[progress.step], progress.index_C] = metric_C
            if checkpoint and checkpoint.due:
                progress.seconds = time.perf_counter() - started
                checkpoint.save(identity, progress)
    progress.seconds = time.perf_counter() - started
    if checkpoint and checkpoint.used:
        # Whoever asks for this run again gets its results from here, without training.
        progress.step = budget.steps
        checkpoint.save(identity, progress)
    return curves(
        budget,
        progress.loss_TC,
        progress.metric_KC,
        progress.bad_C,
        loss_initial,
        higher_is_better=workload.higher_is_better,
        seconds=progress.seconds,
        dynamics=recorder.result(),
    )


def begin(run: Run, step: Step, feed: Feed, model: nn.Module) -> Progress:
    """All cells before the first step, and the metric of the untrained network."""
    budget, cells, device = run.budget, run.cells, run.device
    points = len(budget.recorded_steps)
    tile = step.begin()
    progress = Progress(
        step=0,
        tile=tile,
        index_C=torch.arange(cells, device=device),
        loss_TC=torch.full((budget.steps, cells), torch.nan, device=device, dtype=budget.dtype),
        metric_KC=torch.full((points, cells), torch.nan, device=device, dtype=torch.float64),
        bad_C=[None] * cells,
        moments=[],
    )
    progress.metric_KC[0] = evaluated(feed, model, tile.params, tile.buffers)
    return progress


class Step:
    """One optimizer step of every cell of a tile.

    There is no Python per cell, except where a network is better looped over (`cell_by_cell`).
    """

    def __init__(self, run: Run, model: nn.Module, *, looped: bool) -> None:
        loss = loss_function(run.workload, model, run.budget)
        self._run, self._model = run, model
        self._masked = any(isinstance(module, PAIRED) for module in model.modules())
        self._scale = LossScale() if scaled_in(run.budget) else None
        self._gradients = cell_by_cell(loss) if looped else vectorised(loss)
        self._apply = vmap(self._applied)

    def begin(self) -> TileState:
        """The tile before the first step: C copies of the untrained network."""
        run, dtype = self._run, self._run.budget.dtype
        lr_C = run.lr_C.to(run.device, dtype)
        constants_C = {name: value_C.to(run.device, dtype) for name, value_C in run.constants_C.items()}
        params = copies(dict(self._model.named_parameters()), run.cells)
        return TileState(
            params=params,
            buffers=copies(dict(self._model.named_buffers()), run.cells),
            memory=vmap(lambda own, params: self._method(own).init(params))(constants_C, params),
            optimizer=vmap(run.optimizer.init)(params),
            scale=self._scale.init(lr_C) if self._scale else {},
            lr_C=lr_C,
            weight_decay_C=run.weight_decay_C.to(run.device, dtype),
            constants_C=constants_C,
            loss_scale_C=torch.full_like(lr_C, run.budget.loss_scale),
        )

    def __call__(
        self, tile: TileState, micro: list[Micro], lr_factor: float, spike: float
    ) -> tuple[TileState, Tensor, Moment]:
        """The tile after a step, the mean loss of each cell, and what dynamics are measured from."""
        grads, loss_C = self._accumulated(tile, micro)
        share = spike / len(micro)
        if share != 1.0:  # a product with 1 for every gradient of every step costs time, and changes nothing
            grads = {name: g * share for name, g in grads.items()}
        params, memory, optimizer, out = self._apply(
            tile.params,
            tile.memory,
            tile.optimizer,
            grads,
            tile.constants_C,
            tile.lr_C * lr_factor,
            tile.weight_decay_C,
        )
        new = replace(tile, params=params, memory=memory, optimizer=optimizer)
        if self._scale:
            new = self._without_overflow(self._scale, tile, new, grads)
        moment = Moment(before=tile.params, after=new.params, grads=grads, out=out, memory=new.memory)
        return new, loss_C, moment

    def _accumulated(self, tile: TileState, micro: list[Micro]) -> tuple[Tensors, Tensor]:
        """Sums of gradients over micro-batches, and mean losses [C]."""
        factor_C = tile.loss_scale_C
        if self._scale:
            factor_C = factor_C * tile.scale["scale"]
        total: Tensors = {}
        losses = []
        for x, y, masks in micro:
            if self._masked:
                torch.manual_seed(masks)
            grads, loss_C = self._gradients(tile.params, tile.buffers, factor_C, x, y)
            total = {name: total[name] + g if total else g for name, g in grads.items()}
            losses.append(loss_C)
        if self._scale:
            scale_C = tile.scale["scale"]
            total = {name: g / over_cells(scale_C, g) for name, g in total.items()}
        return total, torch.stack(losses).mean(0)

    def _applied(
        self,
        params: Tensors,
        memory: State,
        state: OptimizerState,
        grads: Tensors,
        constants: Tensors,
        lr: Tensor,
        weight_decay: Tensor,
    ) -> tuple[Tensors, State, OptimizerState, Tensors]:
        """Transform and optimizer of one cell: new parameters, memory and state, and the gradients."""
        method, optimizer = self._method(constants), self._run.optimizer
        out, memory = method.update(grads, memory, params)
        if method.signal is not None:
            asked = method.signal(memory)
            state = optimizer.restart(state, asked.restart, keep_count=asked.keep_count)
            if asked.recount is not None:
                state = optimizer.recount(state, asked.recount)
            lr = lr * asked.lr_scale
        params, state = optimizer.update(out, state, params, lr, weight_decay)
        return params, memory, state, out

    def _without_overflow(
        self, scale: LossScale, old: TileState, new: TileState, grads: Tensors
    ) -> TileState:
        """Cells whose gradients are not finite stay as they were, and halve their loss scale."""
        finite_C = torch.stack([torch.isfinite(g).flatten(1).all(1) for g in grads.values()]).all(0)
        params, memory, optimizer = tree_map(
            lambda after, before: torch.where(over_cells(finite_C, after), after, before),
            (new.params, new.memory, new.optimizer),
            (old.params, old.memory, old.optimizer),
        )
        return replace(
            new, params=params, memory=memory, optimizer=optimizer, scale=scale.update(old.scale, finite_C)
        )

    def _method(self, own: Tensors) -> Transform:
        return self._run.transform.with_constants(**own) if own else self._run.transform


def copies(tensors: Mapping[str, Tensor], cells: int) -> Tensors:
    """Each tensor `cells` times; in memory of its own, because a step writes into buffers."""
    return {name: t.detach().expand(cells, *t.shape).clone() for name, t in tensors.items()}


def over_cells(value_C: Tensor, like: Tensor) -> Tensor:
    """One value per cell, in a shape that broadcasts with a tensor whose first dimension is the cell."""
    return value_C.view(-1, *[1] * (like.dim() - 1))
