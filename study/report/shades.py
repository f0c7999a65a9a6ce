"""What a cell is shown as: its class, its mean metric, and the ends of the colours. Numbers only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from study.measures.landscape import DIVERGED, FAILED, FINISHED, INFERRED, PENDING, Landscape


def limits(landscapes: Sequence[Landscape]) -> tuple[float, float]:
    """Colours run from the untrained score to the best: divergence and worse-than-untrained cells cannot crush the scale."""
    start = [landscape.untrained_S for landscape in landscapes]
    known = np.concatenate([s[np.isfinite(s)] for s in start])
    ends = [mean_metric(landscape) for landscape in landscapes]
    cells = np.concatenate([e[np.isfinite(e)] for e in ends])
    if not len(known) or not len(cells):
        return 0.0, 1.0
    best = cells.max() if landscapes[0].higher_is_better else cells.min()
    low, high = sorted((float(known.mean()), float(best)))
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def mean_metric(landscape: Landscape) -> np.ndarray:
    """Mean over the seeds that finished, NaN where none did or at least half diverged, shape [W, L]."""
    finished = landscape.outcome_SWL == FINISHED
    total = np.where(finished, np.nan_to_num(landscape.metric_SWL), 0.0).sum(axis=0)
    mean = np.full(total.shape, np.nan)
    usable = finished.any(axis=0) & (class_of(landscape) == FINISHED)
    mean[usable] = total[usable] / finished.sum(axis=0)[usable]
    return mean


def class_of(landscape: Landscape) -> np.ndarray:
    """What a cell is shown as: failed or pending if any seed is, inferred if all are, diverged if at least half of the trained seeds are, else finished."""
    outcome = landscape.outcome_SWL
    shown = np.full(outcome.shape[1:], FINISHED)
    trained = np.maximum((outcome != INFERRED).sum(axis=0), 1)
    shown[(outcome == DIVERGED).sum(axis=0) / trained >= 0.5] = DIVERGED
    shown[(outcome == INFERRED).all(axis=0)] = INFERRED
    shown[(outcome == PENDING).any(axis=0)] = PENDING
    shown[(outcome == FAILED).any(axis=0)] = FAILED
    return shown
