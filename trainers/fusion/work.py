"""How a network's layers are better computed for many cells, from their sizes alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from trainers.fusion.products import PRECISIONS
from trainers.models.sequences import Projection

GROUPED_WORK = 32_768
"""Largest convolution for which one grouped call beats a loop over cells on a CPU.

The size is output pixels x input channels x output channels. Measured were times of a loop divided by those
of a grouped call, per cell, forward and backward, with 16 cells and batch 64:

    8 -> 8 channels at 8 x 8: 1.9      16 -> 16 at 8 x 8: 1.4        32 -> 32 at 4 x 4: 1.3
    32 -> 32 at 8 x 8: 0.9             16 -> 16 at 16 x 16: 0.7      16 -> 16 at 32 x 32: 0.4

A fixed rule, not a measurement at run time, so that equal studies give equal bits.
"""
PRODUCT_WORK = 2**24
"""Largest product of a `Projection` for one sequence that is vectorised on a CPU: length x inputs x outputs.

Products of eight sequences of that size take some milliseconds, beside which a loop costs nothing. A loop
needs the memory of one cell's activations and logits, not of a block's.
"""
EXPANSION = 4
"""Most numbers in patches, for each number that convolutions are given, for which products are quicker.

Measured were steps of whole networks on digits, in milliseconds for 64 cells with 64 images, in blocks of as
many cells as were best: as products, and grouped.

    convnet, 2.2 numbers: 34.9, 46.4           1x1 and a few 3x3 convolutions, 1.9: 64, 72
    strides of 1 and 2 in turn, 4.5: 86, 76    kernels of 5x5 with stride 2, 6.2: 77, 72
    ResNet-20 of width 4, 8.0: 279, 159        3x3 convolutions with stride 1, 9: 102, 55
"""
PATCHES = 2**11
"""Most numbers in the patches of one example, so that those of a cell fit into a processor's second cache.

The same steps of the convnet: 34.9 and 46.4 for images of 8 x 8, which make 1,152 numbers; 145 and 138 for
16 x 16 (4,608); 664 and 506 for 32 x 32 (18,432).
"""


class Pass(NamedTuple):
    """A layer, and one pass through it."""

    layer: nn.Module
    input: Tensor
    output: Tensor


def passes(model: nn.Module, example: Tensor, *kinds: type[nn.Module]) -> list[Pass]:
    """What layers of these kinds are given and give, in evaluation, in the order in which they run."""
    found: list[Pass] = []

    def note(layer: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Tensor) -> None:
        found.append(Pass(layer, next(iter((*inputs, *named.values()))), output))

    layers = [layer for layer in model.modules() if isinstance(layer, kinds)]
    handles = [layer.register_forward_hook(note, with_kwargs=True) for layer in layers]
    if handles:
        model.eval()
        with torch.no_grad():
            model(example)
        model.train()
    for handle in handles:
        handle.remove()
    return found


def fills_processor(model: nn.Module, example: Tensor) -> bool:
    """Whether most of a network's work on a CPU is in layers that are better looped over.

    Counted are convolutions, and the products of `Projection`, which only sequences have.

    Args:
        example: a batch of one input, on the model's device and in its precision.
    """
    if example.device.type != "cpu":
        return False
    total, looped = 0, 0
    for layer, _, output in passes(model, example, nn.Conv2d, Projection):
        if isinstance(layer, nn.Conv2d):
            pixels = output.shape[-1] * output.shape[-2]
            work, limit = pixels * layer.weight.shape[1] * layer.out_channels, GROUPED_WORK
        else:
            assert isinstance(layer, Projection)
            work, limit = output.shape[-2] * layer.weight.numel(), PRODUCT_WORK
        total += work
        looped += work if work > limit else 0
    return looped > total / 2


def better_as_products(model: nn.Module, example: Tensor) -> bool:
    """Whether a network's convolutions are better products than grouped.

    All of them or none, because each form has an order of memory for everything in between. The first one is
    not counted: its patches are made once for all cells.
    """
    if example.device.type != "cpu" or example.dtype not in PRECISIONS:
        return False
    given, seen = 0, [0]
    for layer, x, output in passes(model, example, nn.Conv2d):
        assert isinstance(layer, nn.Conv2d)
        if x.data_ptr() != example.data_ptr():
            given += x.numel()
            seen.append(layer.weight[0].numel() * output.shape[-1] * output.shape[-2] * layer.groups)
    return 0 < sum(seen) <= EXPANSION * given and max(seen) <= PATCHES
