"""What a network itself shows while it trains: numbers that a forward pass on a batch gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from trainers.budget import Budget
from trainers.feed import EVALUATION_NUMBERS, Micro
from trainers.precision import lowered

Tensors = dict[str, Tensor]
HEADS = 32
"""Attention maps of an example that count towards memory: more than any size here has."""


@runtime_checkable
class Probed(Protocol):
    """A network that offers probes."""

    def probes(self, x: Tensor) -> Tensors:
        """Numbers by name, each without a dimension, of one cell and one batch.

        Pure and vectorisable, as a forward pass. The same names every time.
        """


class Probes(nn.Module):
    """The probes of a network as a forward pass.

    Attributes:
        there: whether the network offers any.

    Args:
        outputs: numbers that the network makes of one example.
    """

    def __init__(self, model: nn.Module, budget: Budget, outputs: int) -> None:
        super().__init__()
        self.model = model
        self._outputs = outputs
        self.there = isinstance(model, Probed)
        self._lowered = lowered(model, budget)

    def forward(self, x: Tensor) -> Tensors:
        assert isinstance(self.model, Probed)
        return self.model.probes(x)

    def of_cell(self, params: Mapping[str, Tensor], buffers: Mapping[str, Tensor], x: Tensor) -> Tensors:
        """Those of one cell, in the budget's arithmetic."""
        own = {f"model.{name}": value for name, value in {**self._lowered(params), **buffers}.items()}
        found: Tensors = functional_call(self, own, (x,))
        return found

    def of_tile(self, params: Tensors, buffers: Tensors, micro: list[Micro]) -> Tensors:
        """Those of every cell on a step's first micro-batch, each of shape [C], if there are any."""
        if not self.there:
            return {}
        with torch.no_grad():
            x = micro[0][0]
            # What a probe looks at may be larger than what a step keeps, so memory limits the cells.
            numbers = len(x) * (self._outputs + HEADS * x[0].numel() ** 2)
            together = max(1, EVALUATION_NUMBERS // numbers)
            each = vmap(self.of_cell, in_dims=(0, 0, None), chunk_size=together)
            found: Tensors = each(params, buffers, x)
        return {name: value.double() for name, value in found.items()}
