"""Layers whose vectorised form is chosen here instead of by `torch.vmap`: convolution and normalisation of all cells at once.

Between these layers the cells of a tile lie beside each other as channels of one image, in channels_last order: [B, C · channels, H, W].
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

GROUPED_WORK = 32_768
"""Largest (output pixels x input x output channels) of one cell for which one grouped convolution beats a loop over cells on a CPU.

Measured per cell, forward and backward, 16 cells, batch 64, loop / grouped: 8 -> 8 channels at 8 x 8 1.9, 16 -> 16 at 8 x 8 1.4,
32 -> 32 at 4 x 4 1.3; 32 -> 32 at 8 x 8 0.9, 16 -> 16 at 16 x 16 0.7, 16 -> 16 at 32 x 32 0.4. A fixed rule, not a measurement at
run time, so that equal studies give equal bits.
"""


def fusable(model: nn.Module) -> nn.Module:
    """The same network with convolutions and BatchNorm that know how to be vectorised over cells.

    Parameters, buffers and results (up to rounding) are unchanged; the module is changed in place and returned. Layers with
    unusual settings keep the form that `torch.vmap` gives them.
    """
    for module in model.modules():
        if type(module) is nn.BatchNorm2d and module.affine and module.track_running_stats and module.momentum is not None:
            module.__class__ = FoldedBatchNorm2d
        elif type(module) is nn.Conv2d and module.padding_mode == "zeros" and not isinstance(module.padding, str):
            module.__class__ = FoldedConv2d
        elif type(module) is nn.AdaptiveAvgPool2d and module.output_size in (1, (1, 1)):
            module.__class__ = GlobalMean
    return model


def folded(tensor: Tensor, bdim: int | None, cells: int) -> Tensor:
    """[B, channels, H, W] of every cell as channels_last [B, C · channels, H, W]; a view where it already lies so."""
    each = tensor.unsqueeze(1).expand(-1, cells, -1, -1, -1) if bdim is None else tensor.movedim(bdim, 1)
    return each.flatten(1, 2).contiguous(memory_format=torch.channels_last)


def flat(tensor: Tensor, bdim: int | None, cells: int) -> Tensor:
    """[n, …] of every cell as [C · n, …]."""
    return (tensor.expand(cells, *tensor.shape) if bdim is None else tensor.movedim(bdim, 0)).flatten(0, 1)


class GlobalMean(nn.AdaptiveAvgPool2d):
    """Mean over each map, as a plain reduction: the pooling operators have no rule for channels_last cells."""

    def forward(self, input: Tensor) -> Tensor:  # the name that callers of the base class may use
        return input.mean((-2, -1), keepdim=True)


class FoldedConv2d(nn.Conv2d):
    """Conv2d that under `torch.vmap` convolves all cells in one grouped call, or in a loop over cells where that is faster."""

    def forward(self, input: Tensor) -> Tensor:  # the name that callers of nn.Conv2d may use
        out: Tensor = Convolve.apply(input, self.weight, self.bias, (self.stride, self.padding, self.dilation, self.groups))
        return out


class Convolve(torch.autograd.Function):
    """Two-dimensional convolution; `how` is (stride, padding, dilation, groups)."""

    @staticmethod
    def forward(*args: Any) -> Tensor:
        x, weight, bias, how = args
        return functional.conv2d(x, weight, bias, *how)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, bias, ctx.how = inputs
        ctx.save_for_backward(x, weight)
        ctx.biased = bias is not None

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wants = (ctx.needs_input_grad[0], True, ctx.biased)
        found = ConvolveBackward.apply(grad, x, weight, ctx.how, wants)
        dx, dweight, dbias = (g if wanted else None for g, wanted in zip(found, wants, strict=True))
        return dx, dweight, dbias, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], x: Tensor, weight: Tensor, bias: Tensor | None, how: tuple[Any, ...]) -> tuple[Tensor, int]:
        cells = info.batch_size
        weights, biases = flat(weight, in_dims[1], cells), None if bias is None else flat(bias, in_dims[2], cells)
        if in_dims[0] is None and how[3] == 1:  # the same images for every cell: an ordinary convolution with many outputs
            out = functional.conv2d(x.contiguous(memory_format=torch.channels_last), weights, biases, *how)
        elif grouped(x, in_dims[0], weights, how, cells):
            out = functional.conv2d(folded(x, in_dims[0], cells), weights, biases, *how[:3], how[3] * cells)
        else:
            pieces = zip(folded(x, in_dims[0], cells).chunk(cells, 1), weights.chunk(cells), [None] * cells if biases is None else biases.chunk(cells), strict=True)
            out = torch.cat([functional.conv2d(a.contiguous(memory_format=torch.channels_last), w, b, *how) for a, w, b in pieces], 1)
        return out.unflatten(1, (cells, -1)), 1


def grouped(x: Tensor, bdim: int | None, weights: Tensor, how: tuple[Any, ...], cells: int) -> bool:
    """Whether one grouped convolution is the faster form; on a GPU it always is the one that runs."""
    stride = how[0]
    pixels = (x.shape[-2] // stride[0]) * (x.shape[-1] // stride[1])
    return x.device.type != "cpu" or pixels * weights.shape[1] * (len(weights) // cells) <= GROUPED_WORK


def convolution_gradients(grad: Tensor, x: Tensor, weight: Tensor, how: tuple[Any, ...], groups: int, wants: tuple[bool, ...]) -> tuple[Tensor, ...]:
    """Gradients by input, weight and bias; an empty tensor for those that nobody wants."""
    stride, padding, dilation, _ = how
    found = torch.ops.aten.convolution_backward(grad, x, weight, [len(weight)], stride, padding, dilation, False, (0, 0), groups, list(wants))
    return tuple(grad.new_empty(0) if g is None else g for g in found)


class ConvolveBackward(torch.autograd.Function):
    """The gradients of `Convolve`."""

    @staticmethod
    def forward(*args: Any) -> tuple[Tensor, ...]:
        grad, x, weight, how, wants = args
        return convolution_gradients(grad, x, weight, how, how[3], wants)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        raise NotImplementedError("training needs first derivatives only")

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], grad: Tensor, x: Tensor, weight: Tensor, how: tuple[Any, ...], wants: tuple[bool, ...]) -> Any:
        cells = info.batch_size
        weights, grads = flat(weight, in_dims[2], cells), folded(grad, in_dims[0], cells)
        if in_dims[1] is None and how[3] == 1 and not wants[0]:
            dx, dweight, dbias = convolution_gradients(grads, x.contiguous(memory_format=torch.channels_last), weights, how, 1, wants)
        elif grouped(x, in_dims[1], weights, how, cells):
            dx, dweight, dbias = convolution_gradients(grads, folded(x, in_dims[1], cells), weights, how, how[3] * cells, wants)
        else:
            pieces = zip(grads.chunk(cells, 1), folded(x, in_dims[1], cells).chunk(cells, 1), weights.chunk(cells), strict=True)
            parts = [
                convolution_gradients(g.contiguous(memory_format=torch.channels_last), a.contiguous(memory_format=torch.channels_last), w, how, how[3], wants) for g, a, w in pieces
            ]
            dx, dweight, dbias = (torch.cat(found, dim) for found, dim in zip(zip(*parts, strict=True), (1 if wants[0] else 0, 0, 0), strict=True))
        each = [dx.unflatten(1, (cells, -1)) if wants[0] else dx, dweight.unflatten(0, (cells, -1)), dbias.unflatten(0, (cells, -1)) if wants[2] else dbias]
        return tuple(each), (1 if wants[0] else None, 0, 0 if wants[2] else None)


class FoldedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d that under `torch.vmap` normalises C · channels in one call."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        out, mean, var, _, _ = Normalise.apply(input, self.weight, self.bias, self.running_mean.detach(), self.running_var.detach(), self.momentum, self.eps)
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.copy_(mean)
            self.running_var.copy_(var)
        return out  # type: ignore[no-any-return]


def normalised(x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, momentum: float, eps: float) -> tuple[Tensor, ...]:
    """(output, new running mean, new running variance, batch mean, 1 / batch deviation)."""
    mean, var = mean.clone(), var.clone()
    out, saved_mean, saved_scale = torch.native_batch_norm(x, weight, bias, mean, var, True, momentum, eps)
    return out, mean, var, saved_mean, saved_scale


def normalised_gradients(grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, scale: Tensor, eps: float) -> tuple[Tensor, ...]:
    """Gradients by input, weight and bias."""
    return tuple(torch.ops.aten.native_batch_norm_backward(grad, x, weight, None, None, mean, scale, True, eps, [True, True, True]))


class Normalise(torch.autograd.Function):
    """Batch normalisation in training, with the new running statistics as values instead of side effects."""

    @staticmethod
    def forward(*args: Any) -> tuple[Tensor, ...]:
        return normalised(*args)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.save_for_backward(inputs[0], inputs[1], output[3], output[4])
        ctx.mark_non_differentiable(*output[1:])
        ctx.eps = inputs[6]

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale = ctx.saved_tensors
        return (*NormaliseBackward.apply(grad, x, weight, mean, scale, ctx.eps), None, None, None, None)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, momentum: float, eps: float) -> Any:
        cells = info.batch_size
        vectors = [flat(v, d, cells) for v, d in zip((weight, bias, mean, var), in_dims[1:5], strict=True)]
        out, *rest = normalised(folded(x, in_dims[0], cells), *vectors, momentum, eps)
        return (out.unflatten(1, (cells, -1)), *(v.unflatten(0, (cells, -1)) for v in rest)), (1, 0, 0, 0, 0)


class NormaliseBackward(torch.autograd.Function):
    """The gradients of `Normalise`."""

    @staticmethod
    def forward(*args: Any) -> tuple[Tensor, ...]:
        return normalised_gradients(*args)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        raise NotImplementedError("training needs first derivatives only")

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, scale: Tensor, eps: float) -> Any:
        cells = info.batch_size
        vectors = [flat(v, d, cells) for v, d in zip((weight, mean, scale), in_dims[2:5], strict=True)]
        dx, dweight, dbias = normalised_gradients(folded(grad, in_dims[0], cells), folded(x, in_dims[1], cells), *vectors, eps)
        return (dx.unflatten(1, (cells, -1)), dweight.unflatten(0, (cells, -1)), dbias.unflatten(0, (cells, -1))), (1, 0, 0)
