"""Injected gradient spikes: the same for every cell of a seed."""

from __future__ import annotations

import torch

from trainers.budget import Budget
from trainers.workloads.base import derived_seed


def spike_factors(budget: Budget, seed: int) -> list[float]:
    """What each step's accumulated gradient is multiplied by: `spike_size` at spikes, 1 elsewhere."""
    hit = spiked_steps(budget, seed)
    return [budget.spike_size if t + 1 in hit else 1.0 for t in range(budget.steps)]


def spiked_steps(budget: Budget, seed: int) -> frozenset[int]:
    """The steps (counted from 1) that have a spike: those asked for, and those drawn for the seed."""
    generator = torch.Generator().manual_seed(derived_seed(seed, "spikes"))
    drawn = (torch.rand(budget.steps, generator=generator) < budget.spike_probability).nonzero().flatten() + 1
    return frozenset(drawn.tolist()) | frozenset(budget.spike_steps)
