"""Convolutions of all cells of a tile as one grouped call.

The cells lie beside each other as channels of one image, in channels_last order: [B, C · channels, H, W].
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainers.fusion.memory import flat, folded


class GroupedConv2d(nn.Conv2d):
    """Conv2d that under `torch.vmap` convolves all cells in one grouped call."""

    def forward(self, input: Tensor) -> Tensor:
        how = (self.stride, self.padding, self.dilation)
        out: Tensor = Convolve.apply(input, self.weight, self.bias, how, self.groups)
        return out


class Convolve(torch.autograd.Function):
    """Two-dimensional convolution with a vectorised form, which autograd itself differentiates."""

    @staticmethod
    def forward(*args: Any) -> Tensor:
        x, weight, bias, how, groups = args
        return functional.conv2d(x, weight, bias, *how, groups)

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
        how: tuple[Any, ...],
        groups: int,
    ) -> tuple[Tensor, int]:
        cells = info.batch_size
        weights = flat(weight, in_dims[1], cells)
        biases = None if bias is None else flat(bias, in_dims[2], cells)
        if in_dims[0] is None and groups == 1:
            # The same images for every cell: an ordinary convolution with many outputs.
            out = functional.conv2d(x.contiguous(memory_format=torch.channels_last), weights, biases, *how)
        else:
            out = functional.conv2d(folded(x, in_dims[0], cells), weights, biases, *how, groups * cells)
        return out.unflatten(1, (cells, -1)), 1
