"""Corrupted inputs: noise on a few entries, the same for every cell of a seed."""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.budget import Budget
from trainers.workloads.base import derived_seed


def corrupted(x: Tensor, budget: Budget, seed: int, purpose: str) -> Tensor:
    """Inputs [B, …] with noise: x + hit · level · max(x) · z.

    Each entry is hit with the budget's probability, z is standard normal, and the maximum is that of the
    whole batch. Draws are made on the CPU, so that they are the same on every device.

    Args:
        purpose: what the batch is, so that each has draws of its own.

    Reference: GradientStabilizer, arXiv:2502.17055 v4, section 4 (time series): with probability 5 % noise
        N(0, (level · max X)²), level 1, 2 and 3.
    Differs from the reference: it does not say what X is, nor which inputs have noise; here X is the batch.
    """
    if not budget.corruption:
        return x
    generator = torch.Generator().manual_seed(derived_seed(seed, f"corruption/{purpose}"))
    hit = torch.rand(x.shape, generator=generator) < budget.corruption_probability
    # Only as many numbers as are needed: normal ones take ten times as long as uniform ones.
    noise = torch.zeros(x.shape)
    noise[hit] = torch.randn(int(hit.sum()), generator=generator)
    return x + noise.to(x.device, x.dtype) * (budget.corruption * x.max())
