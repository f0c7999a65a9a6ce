"""What a spec says of regions and verdicts; it changes no trained number."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trainers.naming import check_range


@dataclass(frozen=True)
class Tolerances:
    """What counts as stable, and when a verdict is reached.

    Scores are compared as fractions of the way from the untrained score to the reference score.

    Args:
        trained: the least fraction of the way that a trained cell has gone.
        competitive: the largest fraction of the way that a competitive cell may lack.
        share: share of the seeds that must have the property for a cell to be in a region, in (0, 1].
        confidence: of every interval, in (0.5, 1).
        equivalence: half-width of the band inside of which two sensitivities count as equal [fraction of the
            initial loss].
        least_seeds: fewer seeds than this give no verdict.
        departed: a finite final loss above this times the untrained loss has departed, as a non-finite one
            has. Networks that are stuck at chance lie below it: on the scanned digits they end at 0.995 to
            1.5, and those that left mostly beyond 2.
        window: share of the widest window around two optima that comparisons use, in (0, 1].
        breaking: largest share of runs that may break a rule about every step, where the rule counts as held.
    """

    trained: float = 0.10
    competitive: float = 0.05
    share: float = 1.0
    confidence: float = 0.95
    equivalence: float = 0.05
    least_seeds: int = 3
    departed: float = 2.0
    window: float = 1.0
    breaking: float = 0.10

    def __post_init__(self) -> None:
        check_range(
            "region",
            0.0,
            1.0,
            trained=self.trained,
            competitive=self.competitive,
            equivalence=self.equivalence,
        )
        check_range("region", 0.0, 1.0, open_low=True, share=self.share, window=self.window)
        check_range("region", 0.0, 1.0, open_low=True, open_high=True, breaking=self.breaking)
        # Dead networks end near the untrained loss itself, so the limit must lie clearly above it.
        check_range("region", 1.1, math.inf, open_high=True, departed=self.departed)
        check_range("region", 0.5, 1.0, open_low=True, open_high=True, confidence=self.confidence)
        # One seed has no spread, so an interval needs two.
        check_range("region", 2, least_seeds=self.least_seeds)

    def least_way(self, kind: str) -> float:
        """The least fraction of the way from the untrained to the reference score in a kind of region."""
        return {"trained": self.trained, "competitive": 1 - self.competitive}[kind]
