"""The untrained network of a run."""

from __future__ import annotations

from torch import nn

from trainers.feed import Feed
from trainers.quantization import QUANTIZATIONS
from trainers.quantization.layers import quantized


def untrained(feed: Feed) -> nn.Module:
    """The network of the feed's seed, in the budget's precision and quantised as it asks.

    Raises:
        ValueError: the network cannot be quantised so.
    """
    model = feed.workload.initial_model(feed.seed).to(feed.device, feed.budget.dtype)
    scheme = QUANTIZATIONS[feed.budget.quantization]
    return quantized(model, scheme, feed.inputs(feed.workload.train_x[:1])) if scheme else model
