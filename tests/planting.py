"""Landscapes planted between known edges, and the evidence that they make."""

from __future__ import annotations

import numpy as np

from search_spaces.axes import LogAxis
from study.measures.evidence import Evidence, gather
from study.measures.landscape import DIVERGED, FINISHED, Landscape
from study.spec.tolerances import Tolerances

LR = LogAxis(1e-5, 10, 4).values
WD = LogAxis(1e-3, 1, 1).values


def planted(
    low: float,
    high: float,
    *,
    seeds: int = 3,
    method: str = "none",
    shift: float = 0.0,
    rng: np.random.Generator | None = None,
    lr: tuple[float, ...] = LR,
) -> Landscape:
    """Accuracy 0.9 between two learning rates, 0.1 below, diverged above.

    Args:
        low, high: log10 of the two learning rates [decades].
        shift: standard deviation over seeds by which both edges move [decades].
    """
    rng = rng or np.random.default_rng(0)
    position = np.log10(lr)
    shape = (seeds, len(WD), len(lr))
    edge = rng.normal(0, shift, (seeds, 1, 1)) if shift else np.zeros((seeds, 1, 1))
    inside = np.broadcast_to((position >= low + edge) & (position <= high + edge), shape)
    above = np.broadcast_to(position > high + edge, shape)
    outcome = np.where(above, DIVERGED, FINISHED)
    metric = np.where(above, np.nan, np.where(inside, 0.9, 0.1) + rng.normal(0, 0.002, shape))
    loss = np.where(above, np.nan, np.where(inside, 0.2, 2.3))
    keys = np.array([f"{method}{k}" for k in range(np.prod(shape))]).reshape(shape)
    return Landscape(
        workload="w",
        optimizer="adamw",
        method=method,
        transform=method,
        lr=lr,
        weight_decay=WD,
        seeds=tuple(range(seeds)),
        metric_name="accuracy",
        higher_is_better=True,
        outcome_SWL=outcome,
        metric_SWL=metric,
        untrained_S=np.full(seeds, 0.1),
        loss_SWL=loss,
        loss_initial_S=np.full(seeds, 2.3),
        key_SWL=keys,
    )


def evidence(*landscapes: Landscape) -> Evidence:
    """The one piece of evidence of landscapes that share workload, optimizer and condition."""
    return gather(landscapes, Tolerances())[0]
