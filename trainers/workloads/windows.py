"""Windows of a series, which share its memory, and how they are moved and hashed without being copied."""

from __future__ import annotations

import torch
from torch import Tensor


def windows(table: Tensor, context: int, horizon: int) -> tuple[Tensor, Tensor]:
    """Every window of a series [rows, V]: inputs [N, context, V] and the rows that follow, [N, horizon, V].

    Both are views. As copies they would take context + horizon times the memory.
    """
    whole = table.unfold(0, context + horizon, 1).transpose(1, 2)
    return whole[:, :context], whole[:, context:]


def beneath(x: Tensor) -> Tensor | None:
    """The memory that overlapping windows share, as one row of numbers; None for other tensors."""
    span = 1 + sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    # A stride of 0 is one number that is repeated, which torch itself keeps as it is.
    if x.numel() <= span or 0 in x.stride():
        return None
    return x.as_strided((span,), (1,))


def moved(x: Tensor, device: str | torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """`x.to(device, dtype)`, of which windows stay views."""
    flat = beneath(x)
    if flat is None:
        return x.to(device, dtype)
    there = flat.to(device, dtype)
    return there.as_strided(x.shape, x.stride(), there.storage_offset())
