"""Convolutions of all cells of a tile as one matrix product per cell: weight @ patches.

Images lie as [C, channels, H, W, B], examples last. Then patches are copied in pieces of B numbers, whatever
the kernel and its stride, and the layers in between go through memory in that order too.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainers.fusion.grouped import GroupedConv2d
from trainers.fusion.memory import examples_first, examples_last, over_cells

PRECISIONS = (torch.float32, torch.float64)
"""Arithmetic in which products of a CPU are quick, and sums of a gradient's parts are precise."""

MAPS, LEAST = 2**18, 4
"""Most numbers in the largest map of cells that are together, and how many cells there are at the least.

What a layer reads and writes is then as large as a processor's second cache. The convnet's step took, for
each 64 cells with 64 images, 35.5 ms in blocks of 4 cells, 34.9 of 8, 37.7 of 16 and 44.4 of 64.
"""


class SlidingWindow(NamedTuple):
    """How a kernel moves over maps: numbers of rows and of columns."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]


class ProductConv2d(GroupedConv2d):
    """Conv2d that under `torch.vmap` is one product per cell; grouped in half precision and off the CPU.

    Attributes:
        numbers: how many it makes of one example, if that is known.
    """

    numbers = 0

    def forward(self, input: Tensor) -> Tensor:
        if input.dtype not in PRECISIONS or input.device.type != "cpu":
            return super().forward(input)
        assert isinstance(self.padding, tuple)
        window = SlidingWindow(self.stride, self.padding, self.dilation)
        out: Tensor = Multiply.apply(input, self.weight, self.bias, window)
        return out


def quickest_together(model: nn.Module, examples: int) -> int | None:
    """How many cells are quickest together, with so many examples; None where there are no products."""
    numbers = max((layer.numbers for layer in model.modules() if isinstance(layer, ProductConv2d)), default=0)
    return max(LEAST, MAPS // (numbers * examples)) if numbers else None


class Multiply(torch.autograd.Function):
    """Two-dimensional convolution whose vectorised form is products."""

    @staticmethod
    def forward(*args: Any) -> Tensor:
        x, weight, bias, window = args
        return functional.conv2d(x, weight, bias, *window)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Nothing is kept: outside of `torch.vmap` this runs without gradients only."""

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[Any, ...],
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        window: SlidingWindow,
    ) -> tuple[Tensor, int]:
        cells = info.batch_size
        weights = over_cells(weight, in_dims[1], cells)
        biases = None if bias is None else over_cells(bias, in_dims[2], cells)
        if in_dims[0] is not None:
            images = examples_last(x.movedim(in_dims[0], 0))
            return examples_first(Products.apply(images, weights, biases, window)), 0
        # The same images for every cell: they are those of one cell, which has the outputs of all.
        weights = weights.flatten(0, 1).unsqueeze(0)
        biases = None if biases is None else biases.flatten(0, 1).unsqueeze(0)
        out = examples_first(Products.apply(examples_last(x.unsqueeze(0)), weights, biases, window))
        return out.squeeze(0).unflatten(1, (cells, -1)), 1


class Products(torch.autograd.Function):
    """The products of images [C, in, H, W, B] and weights [C, out, in, kh, kw], and their gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, window: SlidingWindow) -> Tensor:
        seen = patches(padded(x, window), weight.shape[-2:], window)
        columns = seen.reshape(len(x), weight[0, 0].numel(), -1)
        out = torch.bmm(weight.flatten(2), columns)
        if bias is not None:
            out += bias.unsqueeze(-1)
        ctx.window, ctx.shape = window, x.shape
        ctx.save_for_backward(weight, columns)
        return out.view(*weight.shape[:2], *seen.shape[-3:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, columns = ctx.saved_tensors
        of_x, of_weight, of_bias, _ = ctx.needs_input_grad
        rows = grad.reshape(*grad.shape[:2], -1)
        found: list[Tensor | None] = [None] * 4
        if of_x:
            parts = torch.bmm(weight.flatten(2).mT, rows).view(len(rows), *weight.shape[2:], *grad.shape[2:])
            found[0] = summed(parts, ctx.shape, ctx.window)
        if of_weight:
            # Quicker by an eighth than `rows @ columns.mT`, though the result is put in order.
            found[1] = torch.bmm(columns, rows.mT).mT.contiguous().view(weight.shape)
        if of_bias:
            found[2] = rows.sum(-1)
        return tuple(found)


def padded(x: Tensor, window: SlidingWindow) -> Tensor:
    """[C, in, H, W, B] with zeros around each map."""
    if not any(window.padding):
        return x
    out = x.new_zeros(around(x.shape, window))
    inside(out, x.shape, window).copy_(x)
    return out


def around(shape: torch.Size, window: SlidingWindow) -> list[int]:
    """The shape of padded images."""
    cells, channels, *sides, examples = shape
    return [
        *(cells, channels),
        *(side + 2 * zeros for side, zeros in zip(sides, window.padding, strict=True)),
        examples,
    ]


def inside(images: Tensor, shape: torch.Size, window: SlidingWindow) -> Tensor:
    """Padded images without their padding; a view."""
    (rows, columns), (down, right) = shape[2:4], window.padding
    return images[:, :, down : down + rows, right : right + columns]


def patches(images: Tensor, kernel: torch.Size, window: SlidingWindow) -> Tensor:
    """What a kernel sees of padded images: [C, in, kh, kw, H', W', B]; a view."""
    for k, (size, stride, dilation) in enumerate(zip(kernel, window.stride, window.dilation, strict=True)):
        images = images.unfold(2 + k, dilation * (size - 1) + 1, stride)[..., ::dilation]
    return images.permute(0, 1, 5, 6, 2, 3, 4)


def summed(parts: Tensor, shape: torch.Size, window: SlidingWindow) -> Tensor:
    """Gradients of patches, added where they were seen: gradients of images of this shape."""
    kernel = parts.shape[2:4]
    total = parts.new_zeros(around(shape, window))
    places = patches(total, kernel, window)
    for row, column in itertools.product(*map(range, kernel)):
        places[:, :, row, column].add_(parts[:, :, row, column])
    return inside(total, shape, window)
