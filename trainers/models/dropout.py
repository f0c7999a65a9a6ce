"""Dropout and stochastic depth whose masks are the same for every cell of a seed."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PairedDropout(nn.Dropout):
    """Dropout with one mask for all cells, which depends on the generator's seed and the shape alone.

    The mask is drawn in float32 whatever the precision. Trainers seed the generator before every micro-batch.
    """

    def forward(self, input: Tensor) -> Tensor:  # the name that callers of nn.Dropout may use
        if not self.training or self.p == 0:
            return input
        mask = torch.rand(input.shape, device=input.device, dtype=torch.float32) >= self.p
        return input * (mask.to(input.dtype) / (1 - self.p)) if self.p < 1 else torch.zeros_like(input)


class PairedDepth(nn.Module):
    """Stochastic depth with one mask for all cells: a residual branch is dropped for some examples or all.

        out = x · mask / (1 - p)

    mask is 0 with probability p, drawn per example (mode "row") or once per batch ("batch"). `pair_dropout`
    makes this of every `torchvision.ops.StochasticDepth`.

    Reference: Huang, Sun, Liu, Sedra, Weinberger, "Deep Networks with Stochastic Depth", 2016.
    Differs from the reference: what is kept is divided by 1 - p in training, where it multiplies by that in
        evaluation; as in torchvision.
    """

    def __init__(self, p: float, mode: str = "row") -> None:
        super().__init__()
        self.p, self.mode = p, mode

    def extra_repr(self) -> str:
        return f"p={self.p}, mode={self.mode}"

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        rows = x.shape[0] if self.mode == "row" else 1
        mask = torch.rand(rows, *[1] * (x.dim() - 1), device=x.device, dtype=torch.float32) >= self.p
        return x * (mask.to(x.dtype) / (1 - self.p)) if self.p < 1 else torch.zeros_like(x)


PAIRED = (PairedDropout, PairedDepth)
"""Layers that draw from the generator which trainers seed."""


def pair_dropout(model: nn.Module) -> nn.Module:
    """Make dropout and torchvision's stochastic depth draw paired masks; the network is changed and returned.

    Raises:
        ValueError: the network has another kind of dropout, whose masks cannot be paired.
    """
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = PairedDropout
        elif type(module).__name__ == "StochasticDepth" and type(module).__module__.startswith(
            "torchvision."
        ):
            module.__class__ = PairedDepth
        elif isinstance(module, nn.modules.dropout._DropoutNd) and not isinstance(module, PAIRED):
            raise ValueError(
                f"{type(module).__name__} draws masks that differ between cells and trainers; use nn.Dropout"
            )
        elif isinstance(module, nn.MultiheadAttention) and module.dropout > 0:
            raise ValueError(
                f"{type(module).__name__} with dropout={module.dropout:g} draws masks that differ "
                "between cells and trainers; use dropout=0, and nn.Dropout behind it"
            )
    return model
