"""What a cell is shown as: its class, its mean metric, and the ends of the colours. Numbers only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from study.measures.array_types import Flags, Floats
from study.measures.landscape import DIVERGED, FAILED, FINISHED, INFERRED, PENDING, Landscape

POWER = 0.5
"""Of the distance to the best. Below it noise at the best would have colours; 1 is a linear scale."""
TICKS = 5
"""Numbers beside a colour bar."""


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
    return mean_of(landscape, landscape.metric_SWL)


def mean_of(landscape: Landscape, value_SWL: Floats) -> Floats:
    """The same of another number of each cell."""
    mean_WL = over_seeds(value_SWL, landscape.outcome_SWL == FINISHED)
    return np.where(class_of(landscape) == FINISHED, mean_WL, np.nan)


def over_seeds(value_SWL: Floats, counted_SWL: np.ndarray) -> Floats:
    """The mean over the seeds that count and have a number, NaN where there is none."""
    counted = counted_SWL & np.isfinite(value_SWL)
    total = np.where(counted, value_SWL, 0.0).sum(axis=0)
    number = counted.sum(axis=0)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


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
        inside = np.asarray((landscape.class_SWL > 0).all(axis=0))
    return {
        "diverged": shown == DIVERGED,
        "failed": shown == FAILED,
        "pending": shown == PENDING,
        "inferred inside": (shown == INFERRED) & inside,
        "inferred outside": (shown == INFERRED) & ~inside,
    }


@dataclass(frozen=True)
class Scale:
    """Values to shades from 0 to 1, finer toward the best.

        shade = 1 - (|best - value| / |best - start|) ^ POWER

    Where methods differ, their scores lie near the best, and a linear scale would give them one colour. The
    square root makes the step from 90 to 98 % as large as that from 60 to 80 %. What is worse than the start
    has its shade, so that a few bad cells take no colours from the others.

    Attributes:
        start: the untrained value.
        best: the best one of all panels.
    """

    start: float
    best: float

    def shade(self, value: Floats) -> Floats:
        """Where values lie on the colour scale, from 0 for the untrained one to 1 for the best."""
        share = np.clip((self.best - np.asarray(value, dtype=float)) / (self.best - self.start), 0.0, 1.0)
        return np.asarray(1 - share**POWER)

    def value(self, shade: Floats) -> Floats:
        """The values of places on the colour scale."""
        share = np.clip(1 - np.asarray(shade, dtype=float), 0.0, 1.0) ** (1 / POWER)
        return np.asarray(self.best - share * (self.best - self.start))

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Shades that the bar names, with the values, rounded to what can be told apart there."""
        found: dict[str, float] = {}
        at = self.value(np.linspace(0, 1, TICKS))
        for k, value in enumerate(at):
            near = min(abs(value - other) for j, other in enumerate(at) if j != k)
            digits = max(0, 1 - math.floor(math.log10(near))) if near > 0 else 3
            rounded = round(float(value), digits)
            found.setdefault(f"{rounded:.{digits}f}" if abs(rounded) < 1e5 else f"{rounded:.2g}", rounded)
        return [(float(self.shade(np.array(value))), word) for word, value in found.items()]


def scale_of(landscapes: Sequence[Landscape]) -> Scale:
    """One scale for the metric of all panels."""
    low, high = limits(landscapes)
    return Scale(low, high) if landscapes[0].higher_is_better else Scale(high, low)


def scale_over(numbers: Floats, *, higher: bool) -> Scale | None:
    """From the worst number to the best one; None where there are not two.

    Args:
        higher: whether more is better.
    """
    known = numbers[np.isfinite(numbers)]
    if not len(known) or known.min() == known.max():
        return None
    low, high = float(known.min()), float(known.max())
    return Scale(low, high) if higher else Scale(high, low)


def no_better(landscape: Landscape, value_WL: Floats, start: float, *, higher: bool) -> Flags:
    """Cells that were trained and are no better than the untrained network, shape [W, L]."""
    known_WL = np.isfinite(value_WL)
    gain_WL = (1 if higher else -1) * (np.where(known_WL, value_WL, start) - start)
    return np.asarray(known_WL & (gain_WL <= 0))


def difference_of(one: Landscape, other: Landscape) -> Floats:
    """Mean over seeds of the metric's difference, shape [W, L]; NaN where one is not shown as finished."""
    both_SWL = (one.outcome_SWL == FINISHED) & (other.outcome_SWL == FINISHED)
    count = both_SWL.sum(axis=0)
    gain_SWL = np.nan_to_num(one.metric_SWL) - np.nan_to_num(other.metric_SWL)
    total = np.where(both_SWL, gain_SWL, 0.0).sum(axis=0)
    mean = np.divide(total, count, out=np.zeros(total.shape), where=count > 0)
    # A cell of which most seeds diverged has no colour on either side, so a difference would explain nothing.
    shown = (count > 0) & (class_of(one) == FINISHED) & (class_of(other) == FINISHED)
    return np.asarray(np.where(shown, mean, np.nan))
