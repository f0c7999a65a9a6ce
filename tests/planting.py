"""Landscapes planted between known edges."""

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
    """Accuracy 0.9 between two learning rates (in decades), 0.1 below, diverged above; edges move by `shift` per seed."""
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
        "w",
        "adamw",
        method,
        method,
        lr,
        WD,
        tuple(range(seeds)),
        "accuracy",
        True,
        outcome,
        metric,
        np.full(seeds, 0.1),
        loss,
        np.full(seeds, 2.3),
        keys,
    )


def evidence(*landscapes: Landscape) -> Evidence:
    return gather(landscapes, Tolerances())[0]
