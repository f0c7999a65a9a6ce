"""What a cell is shown as: its class, its mean metric, and the ends of the colours. Numbers only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from study.measures.array_types import Flags
from study.measures.landscape import DIVERGED, FAILED, FINISHED, INFERRED, PENDING, Landscape


def limits(landscapes: Sequence[Landscape]) -> tuple[float, float]:
    """Ends of the colours: the untrained score and the best mean metric, in ascending order."""
    # Not from the worst cell on: cells near divergence can be far worse than untrained, and all that matters
    # would share one colour.
    start = [landscape.untrained_S for landscape in landscapes]
    known = np.concatenate([s[np.isfinite(s)] for s in start])
    ends = [mean_metric(landscape) for landscape in landscapes]
    cells = np.concatenate([e[np.isfinite(e)] for e in ends])
    if not len(known) or not len(cells):
        return 0.0, 1.0
    best = cells.max() if landscapes[0].higher_is_better else cells.min()
    low, high = sorted((float(known.mean()), float(best)))
    # Where nothing was learned both ends are equal, which no colour scale can show.
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
    """The class of each cell over all seeds, shape [W, L].

    Failed or pending if any seed is. Otherwise inferred if all seeds are, diverged if at least half of the
    trained seeds are, else finished.
    """
    outcome = landscape.outcome_SWL
    shown = np.full(outcome.shape[1:], FINISHED)
    trained = np.maximum((outcome != INFERRED).sum(axis=0), 1)
    # From the weakest class to the strongest: each line may overrule those above it.
    shown[(outcome == DIVERGED).sum(axis=0) / trained >= 0.5] = DIVERGED
    shown[(outcome == INFERRED).all(axis=0)] = INFERRED
    shown[(outcome == PENDING).any(axis=0)] = PENDING
    shown[(outcome == FAILED).any(axis=0)] = FAILED
    return shown


def partly_diverged(landscape: Landscape) -> Flags:
    """Cells shown as finished of which some seeds diverged, shape [W, L]."""
    some_WL = (landscape.outcome_SWL == DIVERGED).any(axis=0)
    return np.asarray(some_WL & (class_of(landscape) == FINISHED))


def special(landscape: Landscape) -> dict[str, Flags]:
    """Cells that have a colour of their own instead of their metric's, by class, each of shape [W, L]."""
    shown = class_of(landscape)
    inside = np.zeros(shown.shape, dtype=bool)
    if landscape.class_SWL is not None:
        inside = (landscape.class_SWL == 1).all(axis=0)
    return {
        "diverged": shown == DIVERGED,
        "failed": shown == FAILED,
        "pending": shown == PENDING,
        "inferred inside": (shown == INFERRED) & inside,
        "inferred outside": (shown == INFERRED) & ~inside,
    }
