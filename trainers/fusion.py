"""How the gradients of all cells of a tile are computed: vectorised over cells, or cell by cell.

Vectorised, the cells lie beside each other as channels of one image, in channels_last order: [B, C ·
channels, H, W]. Only the forward pass is vectorised by `torch.vmap`; ordinary autograd then differentiates
the sum of all losses, in which every cell's parameters meet their own loss alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn import functional

from trainers.models.sequences import Projection
from trainers.quantization.layers import QuantizedLinear

Tensors = dict[str, Tensor]
Loss = Callable[[Mapping[str, Tensor], Tensors, Tensor, Tensor], Tensor]
"""`loss(params, buffers, x, y)` of one cell."""
Gradients = Callable[[Tensors, Tensors, Tensor, Tensor, Tensor], tuple[Tensors, Tensor]]
"""`gradients(params, buffers, factor_C, x, y)` of all cells: gradients of factor · loss, and losses.

Buffers change in place.
"""

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


def fills_processor(model: nn.Module, example: Tensor) -> bool:
    """Whether most of a network's work on a CPU is in layers that are better looped over.

    Counted are convolutions, and the products of `Projection`, which only sequences have.

    Args:
        example: a batch of one input, on the model's device and in its precision.
    """
    if example.device.type != "cpu":
        return False
    total, looped = 0, 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total, looped
        if isinstance(module, nn.Conv2d):
            pixels = output.shape[-1] * output.shape[-2]
            work, limit = pixels * module.weight.shape[1] * module.out_channels, GROUPED_WORK
        else:
            assert isinstance(module, Projection)
            work, limit = output.shape[-2] * module.weight.numel(), PRODUCT_WORK
        total += work
        looped += work if work > limit else 0

    kinds = (nn.Conv2d, Projection)
    handles = [module.register_forward_hook(count) for module in model.modules() if isinstance(module, kinds)]
    if handles:
        model.eval()
        with torch.no_grad():
            model(example)
        model.train()
    for handle in handles:
        handle.remove()
    return looped > total / 2


def fusable(model: nn.Module) -> nn.Module:
    """The same network with convolutions, BatchNorm and global pooling that vectorise over cells.

    Parameters, buffers and results (up to rounding) are unchanged; the module is changed in place and
    returned. Layers with unusual settings keep the form that `torch.vmap` gives them.
    """
    for module in model.modules():
        if (
            type(module) is nn.BatchNorm2d
            and module.affine
            and module.track_running_stats
            and module.momentum is not None
        ):
            module.__class__ = FoldedBatchNorm2d
        elif (
            type(module) is nn.Conv2d
            and module.padding_mode == "zeros"
            and not isinstance(module.padding, str)
        ):
            module.__class__ = FoldedConv2d
        elif type(module) is nn.AdaptiveAvgPool2d and module.output_size in (1, (1, 1)):
            module.__class__ = GlobalMean
        elif type(module) is nn.Linear:
            module.__class__ = UprightLinear
        elif type(module) is QuantizedLinear:
            module.__class__ = UprightQuantizedLinear
    return model


def folded(tensor: Tensor, bdim: int | None, cells: int) -> Tensor:
    """[B, channels, H, W] of every cell as channels_last [B, C · channels, H, W]; a view if it already is."""
    each = tensor.unsqueeze(1).expand(-1, cells, -1, -1, -1) if bdim is None else tensor.movedim(bdim, 1)
    return each.flatten(1, 2).contiguous(memory_format=torch.channels_last)


def flat(tensor: Tensor, bdim: int | None, cells: int) -> Tensor:
    """[n, …] of every cell as [C · n, …]."""
    return (tensor.expand(cells, *tensor.shape) if bdim is None else tensor.movedim(bdim, 0)).flatten(0, 1)


class GlobalMean(nn.AdaptiveAvgPool2d):
    """Mean over each map, as a plain reduction, because pooling has no rule for channels_last cells."""

    def forward(self, input: Tensor) -> Tensor:  # the name that callers of the base class may use
        return input.mean((-2, -1), keepdim=True)


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
        return functional.linear(input, weight, bias)
    out = weight @ input.mT
    return (out if bias is None else out + bias.unsqueeze(-1)).mT


class FoldedConv2d(nn.Conv2d):
    """Conv2d that under `torch.vmap` convolves all cells in one grouped call."""

    def forward(self, input: Tensor) -> Tensor:
        out: Tensor = Convolve.apply(
            input, self.weight, self.bias, (self.stride, self.padding, self.dilation), self.groups
        )
        return out


class FoldedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d that under `torch.vmap` normalises C · channels in one call."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        out, mean, var = Normalise.apply(
            input,
            self.weight,
            self.bias,
            self.running_mean.detach(),
            self.running_var.detach(),
            self.momentum,
            self.eps,
        )
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.copy_(mean)
            self.running_var.copy_(var)
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


class Normalise(torch.autograd.Function):
    """Batch normalisation in training, with the new running statistics as values instead of side effects."""

    @staticmethod
    def forward(*args: Any) -> tuple[Tensor, ...]:
        x, weight, bias, mean, var, momentum, eps = args
        mean, var = mean.clone(), var.clone()
        return torch.native_batch_norm(x, weight, bias, mean, var, True, momentum, eps)[0], mean, var

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Nothing is kept: outside of `torch.vmap` this runs without gradients only."""

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], x: Tensor, *rest: Any) -> Any:
        cells, (*vectors, momentum, eps) = info.batch_size, rest
        out, mean, var = Normalise.forward(
            folded(x, in_dims[0], cells),
            *(flat(v, d, cells) for v, d in zip(vectors, in_dims[1:5], strict=True)),
            momentum,
            eps,
        )
        return (
            out.unflatten(1, (cells, -1)),
            mean.unflatten(0, (cells, -1)),
            var.unflatten(0, (cells, -1)),
        ), (1, 0, 0)
