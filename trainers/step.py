"""One optimizer step of every cell of a tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.utils._pytree import tree_map

from trainers.dynamics import Moment
from trainers.feed import Micro
from trainers.fusion import cell_by_cell, vectorised
from trainers.models.dropout import PAIRED
from trainers.optimizers.base import OptimizerState
from trainers.precision import LossScale, Tensors, loss_function, scaled_in
from trainers.probes import Probes
from trainers.progress import TileState
from trainers.run import Run
from trainers.transforms.base import State, Transform


class Step:
    """One optimizer step of every cell of a tile.

    There is no Python per cell, except where a network is better looped over (`cell_by_cell`).

    Attributes:
        probes: what the network shows of itself at recorded moments.
        masked: whether dropout masks are drawn.
        apart: whether every cell has examples of its own: the first dimension of a batch is then the cell.
        repeatable: whether every step is the same operations on other numbers, and it pays to repeat them.
    """

    def __init__(self, run: Run, model: nn.Module, *, looped: bool, apart: bool = False) -> None:
        loss = loss_function(run.workload, model, run.budget)
        self._run, self._model = run, model
        self.probes = Probes(model, run.budget, run.workload.output_numbers)
        self.masked = any(isinstance(module, PAIRED) for module in model.modules())
        self._scale = LossScale() if scaled_in(run.budget) else None
        self._gradients = cell_by_cell(loss) if looped else vectorised(loss, apart=apart)
        self.apart = apart
        self._apply = vmap(self._applied)
        # Each micro-batch begins its masks with a seed of its own.
        one_seed = not self.masked or run.budget.accumulation == 1
        self.repeatable = torch.device(run.device).type == "cpu" and not looped and one_seed

    def begin(self) -> TileState:
        """The tile before the first step: C copies of the untrained network."""
        run, dtype = self._run, self._run.budget.dtype
        lr_C = run.lr_C.to(run.device, dtype)
        constants_C = {name: value_C.to(run.device, dtype) for name, value_C in run.constants_C.items()}
        params = copies(dict(self._model.named_parameters()), run.cells)
        tile = TileState(
            params=params,
            buffers=copies(dict(self._model.named_buffers()), run.cells),
            transform_state=vmap(lambda own, params: self._method(own).init(params))(constants_C, params),
            optimizer_state=vmap(run.optimizer.init)(params),
            scale=self._scale.init(lr_C) if self._scale else {},
            lr_C=lr_C,
            weight_decay_C=run.weight_decay_C.to(run.device, dtype),
            constants_C=constants_C,
            loss_scale_C=torch.full_like(lr_C, run.budget.loss_scale),
        )
        # What cells, or two parts of a state, begin with alike may be one piece of memory.
        apart: TileState = tree_map(lambda t: t.clone(memory_format=torch.contiguous_format), tile)
        return apart

    def __call__(
        self, tile: TileState, micro: list[Micro], scheduled_lr_C: Tensor, spike: float
    ) -> tuple[TileState, Tensor, Moment]:
        """The tile after a step, the mean loss of each cell, and what dynamics are measured from.

        Args:
            scheduled_lr_C: learning rates of this step, with the factor of the schedule.
            spike: what gradients are multiplied by.
        """
        grads, loss_C = self._accumulated(tile, micro)
        share = spike / len(micro)
        if share != 1.0:  # a product with 1 for every gradient of every step costs time, and changes nothing
            grads = {name: g * share for name, g in grads.items()}
        params, transform_state, optimizer_state, out = self._apply(
            tile.params,
            tile.transform_state,
            tile.optimizer_state,
            grads,
            tile.constants_C,
            scheduled_lr_C,
            tile.weight_decay_C,
        )
        new = replace(tile, params=params, transform_state=transform_state, optimizer_state=optimizer_state)
        if self._scale:
            new = self._without_overflow(self._scale, tile, new, grads, loss_C)
        moment = Moment(
            before=tile.params,
            after=new.params,
            grads=grads,
            out=out,
            transform_state=new.transform_state,
        )
        return new, loss_C, moment

    def _accumulated(self, tile: TileState, micro: list[Micro]) -> tuple[Tensors, Tensor]:
        """Sums of gradients over micro-batches, and mean losses [C]."""
        factor_C = tile.loss_scale_C
        if self._scale:
            factor_C = factor_C * tile.scale["scale"]
        total: Tensors = {}
        losses = []
        for x, y, masks in micro:
            if self.masked:
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
        transform_state: State,
        optimizer_state: OptimizerState,
        grads: Tensors,
        constants: Tensors,
        lr: Tensor,
        weight_decay: Tensor,
    ) -> tuple[Tensors, State, OptimizerState, Tensors]:
        """Transform and optimizer of one cell: new parameters and states, and the transformed gradients."""
        method, optimizer = self._method(constants), self._run.optimizer
        out, transform_state = method.update(grads, transform_state, params)
        if method.signal is not None:
            asked = method.signal(transform_state)
            optimizer_state = optimizer.restart(optimizer_state, asked.restart, keep_count=asked.keep_count)
            if asked.recount is not None:
                optimizer_state = optimizer.recount(optimizer_state, asked.recount)
            lr = lr * asked.lr_scale
        params, optimizer_state = optimizer.update(out, optimizer_state, params, lr, weight_decay)
        return params, transform_state, optimizer_state, out

    def _without_overflow(
        self, scale: LossScale, old: TileState, new: TileState, grads: Tensors, loss_C: Tensor
    ) -> TileState:
        """Cells whose gradients are not finite stay as they were, and halve their loss scale."""
        finite_C = torch.stack([torch.isfinite(g).flatten(1).all(1) for g in grads.values()]).all(0)
        params, transform_state, optimizer_state = tree_map(
            lambda after, before: torch.where(over_cells(finite_C, after), after, before),
            (new.params, new.transform_state, new.optimizer_state),
            (old.params, old.transform_state, old.optimizer_state),
        )
        scales = scale.update(old.scale, finite_C, loss_C)
        return replace(
            new,
            params=params,
            transform_state=transform_state,
            optimizer_state=optimizer_state,
            scale=scales,
        )

    def _method(self, own: Tensors) -> Transform:
        return self._run.transform.with_constants(**own) if own else self._run.transform


def copies(tensors: Mapping[str, Tensor], cells: int) -> Tensors:
    """Each tensor `cells` times; in memory of its own, because a step writes into buffers."""
    return {name: t.detach().expand(cells, *t.shape).clone() for name, t in tensors.items()}


def over_cells(value_C: Tensor, like: Tensor) -> Tensor:
    """One value per cell, in a shape that broadcasts with a tensor whose first dimension is the cell."""
    return value_C.view(-1, *[1] * (like.dim() - 1))
