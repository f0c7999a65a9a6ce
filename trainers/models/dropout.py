"""Dropout whose masks are the same for every cell of a seed."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PairedDropout(nn.Dropout):
    """Dropout with one mask for all cells: it depends on the generator's seed and the shape alone, not on the tile.

    The mask is drawn in float32 whatever the precision. Trainers seed the generator before every micro-batch.
    """

    def forward(self, input: Tensor) -> Tensor:  # the name that callers of nn.Dropout may use
        if not self.training or self.p == 0:
            return input
        mask = torch.rand(input.shape, device=input.device, dtype=torch.float32) >= self.p
        return input * (mask.to(input.dtype) / (1 - self.p)) if self.p < 1 else torch.zeros_like(input)


def pair_dropout(model: nn.Module) -> nn.Module:
    """Make every `nn.Dropout` of a network draw paired masks; changed in place and returned.

    Raises:
        ValueError: the network has another kind of dropout, whose masks cannot be paired.
    """
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = PairedDropout
        elif isinstance(module, nn.modules.dropout._DropoutNd) and not isinstance(module, PairedDropout):
            raise ValueError(f"{type(module).__name__} draws masks that differ between cells and trainers; use nn.Dropout")
    return model
