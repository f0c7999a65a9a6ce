"""What a spec says of regions and verdicts; it changes no trained number."""

from __future__ import annotations

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
    """

    trained: float = 0.10
    competitive: float = 0.05
    share: float = 1.0
    confidence: float = 0.95
    equivalence: float = 0.05
    least_seeds: int = 3

    def __post_init__(self) -> None:
        check_range(
            "region",
            0.0,
            1.0,
            trained=self.trained,
            competitive=self.competitive,
            equivalence=self.equivalence,
        )
        check_range("region", 0.0, 1.0, open_low=True, share=self.share)
        check_range("region", 0.5, 1.0, open_low=True, open_high=True, confidence=self.confidence)
        # One seed has no spread, so an interval needs two.
        check_range("region", 2, least_seeds=self.least_seeds)
