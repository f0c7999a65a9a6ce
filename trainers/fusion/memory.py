"""Orders of a tile's images in memory."""

from __future__ import annotations

import torch
from torch import Tensor


def over_cells(tensor: Tensor, bdim: int | None, cells: int) -> Tensor:
    """[C, …]; a view."""
    return tensor.expand(cells, *tensor.shape) if bdim is None else tensor.movedim(bdim, 0)


def flat(tensor: Tensor, bdim: int | None, cells: int) -> Tensor:
    """[n, …] of every cell as [C · n, …]."""
    return over_cells(tensor, bdim, cells).flatten(0, 1)


def folded(images: Tensor, bdim: int | None, cells: int) -> Tensor:
    """[B, channels, H, W] of every cell as channels_last [B, C · channels, H, W]; a view if it already is."""
    each = images.unsqueeze(1).expand(-1, cells, -1, -1, -1) if bdim is None else images.movedim(bdim, 1)
    return each.flatten(1, 2).contiguous(memory_format=torch.channels_last)


def examples_last(images: Tensor) -> Tensor:
    """[C, B, channels, H, W] as [C, channels, H, W, B]; a view."""
    return images.permute(0, 2, 3, 4, 1)


def examples_first(images: Tensor) -> Tensor:
    """[C, channels, H, W, B] as [C, B, channels, H, W]; a view."""
    return images.permute(0, 4, 1, 2, 3)
