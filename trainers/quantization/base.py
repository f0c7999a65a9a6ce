"""What a scheme of quantization is, and how tensors are cut into groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Rule = Callable[["Tensor"], "Tensor"]
"""`rule(x)`: each value of a tensor replaced by one that the format has; float32 or float64 in and out."""


@dataclass(frozen=True)
class Scheme:
    """A low-precision format for linear layers.

    Attributes:
        weight: the rule for weights, [outputs, inputs].
        activation: the rule for what a layer is given, [..., inputs].
        weight_group: the number of weights must be a multiple of this.
    """

    weight: Rule
    activation: Rule
    weight_group: int = 1


def groups(x: Tensor, size: int) -> Tensor:
    """Consecutive values of the flattened tensor, shape [groups, size]; zeros fill the last group."""
    flat = x.flatten()
    short = -len(flat) % size
    if short:
        from torch.nn.functional import pad

        flat = pad(flat, (0, short))
    cut: Tensor = flat.unflatten(0, (-1, size))
    return cut


def ungrouped(groups: Tensor, like: Tensor) -> Tensor:
    """What `groups` cut, put together in the shape of a tensor."""
    return groups.flatten()[: like.numel()].reshape(like.shape)


def blocks(x: Tensor, size: int) -> Tensor:
    """Consecutive values of each row, shape [..., blocks, size]; zeros fill the last block of a row."""
    short = -x.shape[-1] % size
    if short:
        from torch.nn.functional import pad

        x = pad(x, (0, short))
    cut: Tensor = x.unflatten(-1, (-1, size))
    return cut


def unblocked(blocks: Tensor, like: Tensor) -> Tensor:
    """What `blocks` cut, put together in the shape of a tensor."""
    return blocks.flatten(-2)[..., : like.shape[-1]]
