"""How the gradients of all cells of a tile are computed: vectorised over cells, or cell by cell.

Vectorised, only the forward pass is vectorised by `torch.vmap`; ordinary autograd then differentiates
the sum of all losses, in which every cell's parameters meet their own loss alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.func import vmap

Tensors = dict[str, Tensor]
Loss = Callable[[Mapping[str, Tensor], Tensors, Tensor, Tensor], Tensor]
"""`loss(params, buffers, x, y)` of one cell."""
Gradients = Callable[[Tensors, Tensors, Tensor, Tensor, Tensor], tuple[Tensors, Tensor]]
"""`gradients(params, buffers, factor_C, x, y)` of all cells: gradients of factor · loss, and losses.

Buffers change in place.
"""


def vectorised(loss: Loss, *, apart: bool = False) -> Gradients:
    """Gradients of all cells in one pass.

    Args:
        apart: every cell has examples of its own, [C, B, …] instead of [B, …].
    """
    examples = 0 if apart else None
    losses = vmap(loss, in_dims=(0, 0, examples, examples), randomness="same")

    def gradients(
        params: Tensors, buffers: Tensors, factor_C: Tensor, x: Tensor, y: Tensor
    ) -> tuple[Tensors, Tensor]:
        leaves = {name: p.detach().requires_grad_() for name, p in params.items()}
        with torch.enable_grad():
            loss_C = losses(leaves, buffers, x, y)
            found = torch.autograd.grad(
                (loss_C * factor_C).sum(), list(leaves.values()), materialize_grads=True
            )
        return dict(zip(leaves, found, strict=True)), loss_C.detach()

    return gradients


def cell_by_cell(loss: Loss) -> Gradients:
    """The same in a loop, in channels_last order: for networks of which one cell uses the whole processor."""

    def gradients(
        params: Tensors, buffers: Tensors, factor_C: Tensor, x: Tensor, y: Tensor
    ) -> tuple[Tensors, Tensor]:
        ordered = x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x
        generator = torch.get_rng_state()
        found: list[tuple[Tensor, ...]] = []
        losses = []
        for c, factor in enumerate(factor_C):
            torch.set_rng_state(generator)  # the same dropout masks for every cell
            leaves = {name: p[c].detach().requires_grad_() for name, p in params.items()}
            with torch.enable_grad():
                value = loss(leaves, {name: b[c] for name, b in buffers.items()}, ordered, y)
                found.append(
                    torch.autograd.grad(value * factor, list(leaves.values()), materialize_grads=True)
                )
            losses.append(value.detach())
        stacked = [torch.stack(grads) for grads in zip(*found, strict=True)]
        return dict(zip(params, stacked, strict=True)), torch.stack(losses)

    return gradients
