"""Injected gradient spikes: the same for every cell of a seed."""

from __future__ import annotations

import torch

from trainers.budget import Budget
from trainers.workloads.base import derived_seed


def spike_factors(budget: Budget, seed: int) -> list[float]:
    """What the accumulated gradient of each step is multiplied by: `spike_size` at spikes, 1 elsewhere, length `steps`."""
    generator = torch.Generator().manual_seed(derived_seed(seed, "spikes"))
    drawn = (torch.rand(budget.steps, generator=generator) < budget.spike_probability).tolist()
    return [budget.spike_size if hit or t + 1 in budget.spike_steps else 1.0 for t, hit in enumerate(drawn)]
