"""Layers that vectorise over cells."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainers.fusion.grouped import GroupedConv2d
from trainers.fusion.normalisation import FusedBatchNorm2d
from trainers.fusion.products import ProductConv2d
from trainers.fusion.work import better_as_products, passes
from trainers.models.sequences import linear
from trainers.quantization.layers import QuantizedLinear


def fusable(model: nn.Module, example: Tensor | None = None) -> nn.Module:
    """The same network with convolutions, BatchNorm and global pooling that vectorise over cells.

    Parameters, buffers and results (up to rounding) are unchanged; the module is changed in place and
    returned. Layers with unusual settings keep the form that `torch.vmap` gives them.

    Args:
        example: a batch of one input, from which the form of convolutions follows; grouped without it.
    """
    products = example is not None and better_as_products(model, example)
    for module in model.modules():
        if (
            type(module) is nn.BatchNorm2d
            and module.affine
            and module.track_running_stats
            and module.momentum is not None
        ):
            module.__class__ = FusedBatchNorm2d
        elif (
            type(module) is nn.Conv2d
            and module.padding_mode == "zeros"
            and not isinstance(module.padding, str)
        ):
            module.__class__ = ProductConv2d if products and module.groups == 1 else GroupedConv2d
        elif type(module) is nn.AdaptiveAvgPool2d and module.output_size in (1, (1, 1)):
            module.__class__ = GlobalMean
        elif type(module) in LINEAR:
            module.__class__ = UprightLinear
        elif type(module) is QuantizedLinear:
            module.__class__ = UprightQuantizedLinear
    if products and example is not None:
        for layer, _, output in passes(model, example, ProductConv2d):
            assert isinstance(layer, ProductConv2d)
            layer.numbers = output[0].numel()
    return model


LINEAR = (nn.Linear, nn.modules.linear.NonDynamicallyQuantizableLinear)
"""Linear layers of torch; the second is that behind its attention, and computes like the first."""


class GlobalMean(nn.AdaptiveAvgPool2d):
    """Mean over each map, as a plain reduction, because pooling has no rule for cells in any order of memory.

    The gradient is divided before it is spread over the map.
    """

    def forward(self, input: Tensor) -> Tensor:  # the name that callers of the base class may use
        if input.dtype == torch.float16:
            return input.mean((-2, -1), keepdim=True)  # a sum would not be finite where its mean is
        pixels = input.shape[-2] * input.shape[-1]
        if input.dim() == 4 and input.stride(0) == 1:
            # Examples are last in memory. A reduction in the order of dimensions would reorder them: 220
            # microseconds instead of 35 for 16 cells of 32 channels and 64 examples.
            return (input.permute(1, 2, 3, 0).sum((1, 2)) / pixels).mT[..., None, None]
        return input.sum((-2, -1), keepdim=True) / pixels


class UprightLinear(nn.Linear):
    """Linear whose products have the weight on the left, so that its gradient comes as the weight stands.

    From `x @ weight.T` autograd makes the transpose of the weight's gradient, and every later operation would
    go through memory in two orders.
    """

    def forward(self, input: Tensor) -> Tensor:
        return upright(input, self.weight, self.bias)


class UprightQuantizedLinear(QuantizedLinear):
    """QuantizedLinear with the same products."""

    def forward(self, input: Tensor) -> Tensor:
        return upright(*self.both(input, self.weight), self.bias)


def upright(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`torch.nn.functional.linear`, with the weight on the left where the input has two dimensions."""
    if input.dim() != 2:
        return linear(input, weight, bias)
    out = weight @ input.mT
    return (out if bias is None else out + bias.unsqueeze(-1)).mT
