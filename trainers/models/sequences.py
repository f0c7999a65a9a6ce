"""Embedding and linear layers of sequences that are quick for one cell and vectorised over many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import is_batchedtensor
from torch.nn import functional


class Embedding(nn.Embedding):
    """A row of the weight for each token; under `torch.vmap` all cells' rows are one table."""

    def forward(self, input: Tensor) -> Tensor:  # the name that callers of nn.Embedding may use
        if is_batchedtensor(self.weight):
            out: Tensor = Embed.apply(self.weight, input)
            return out
        return super().forward(input)


class Projection(nn.Linear):
    """A linear layer without bias on [B, length, inputs].

    Under `torch.vmap` it is one product per cell of all its B · length rows, and the gradient of a weight has
    the weight's own order in memory, so that the optimizer need not go through memory in two orders.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        return projected(input, self.weight)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`functional.linear` of [B, …, inputs], with the products of `Projection` under `torch.vmap`."""
    if not is_batchedtensor(weight):
        return functional.linear(x, weight, bias)
    out = rows_by(x, weight)
    return out if bias is None else out + bias


def rounded_once(product: Callable[..., Tensor], *factors: Tensor) -> Tensor:
    """A product of float16 factors, summed in float32 and rounded once, as the matrix units of a GPU do.

    On a CPU torch sums float16 in a loop, which takes twenty times as long.
    """
    if factors[0].dtype == torch.float16 and factors[0].device.type == "cpu":
        return product(*(factor.float() for factor in factors)).half()
    return product(*factors)


def projected(x: Tensor, weight: Tensor) -> Tensor:
    """x Wᵀ of [B, length, inputs]."""
    return rounded_once(rows_by, x, weight)


def rows_by(x: Tensor, weight: Tensor) -> Tensor:
    """`projected` in the factors' own precision."""
    if is_batchedtensor(weight):
        rows: Tensor = Project.apply(x.reshape(-1, x.shape[-1]), weight)
        return rows.view(*x.shape[:-1], -1)
    return functional.linear(x, weight)


class Embed(torch.autograd.Function):
    """Rows of a table, with a vectorised form, which autograd itself differentiates."""

    @staticmethod
    def forward(weight: Tensor, tokens: Tensor) -> Tensor:
        return functional.embedding(tokens, weight)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Nothing is kept: this runs under `torch.vmap` only."""

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], weight: Tensor, tokens: Tensor
    ) -> tuple[Tensor, int]:
        weight = over_cells(weight, in_dims[0], info.batch_size)
        tokens = over_cells(tokens, in_dims[1], info.batch_size)
        first = weight.shape[1] * torch.arange(info.batch_size, device=weight.device)
        rows = tokens + first.view(-1, *[1] * (tokens.dim() - 1))
        return functional.embedding(rows, weight.flatten(0, 1)), 0


class Project(torch.autograd.Function):
    """x Wᵀ with a vectorised form."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> Tensor:
        return x @ weight.mT

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Nothing is kept: this runs under `torch.vmap` only."""

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], x: Tensor, weight: Tensor) -> tuple[Tensor, int]:
        x, weight = (
            over_cells(each, dim, info.batch_size) for each, dim in zip((x, weight), in_dims, strict=True)
        )
        out: Tensor = Products.apply(x, weight)
        return out, 0


class Products(torch.autograd.Function):
    """x_c W_cᵀ of every cell c: [C, N, inputs] and [C, outputs, inputs] to [C, N, outputs]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.bmm(x, weight.mT)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        (grad,), (x, weight) = grads, ctx.saved_tensors
        return torch.bmm(grad, weight), torch.bmm(grad.mT, x)


def over_cells(tensor: Tensor, dim: int | None, cells: int) -> Tensor:
    """A tensor of every cell, the cells first; of one that all cells share, a view for each."""
    return tensor.expand(cells, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
