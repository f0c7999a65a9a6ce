"""The smallest effects of interest: differences below them count as none."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trainers.naming import check_range


@dataclass(frozen=True)
class Indifference:
    """For each kind of measure the largest difference that nobody would act on.

    Args:
        ratio: of a size, such as the width of a region, as a share of the size that it is compared with.
        share: of a share of cells [fraction].
        loss: of a sensitivity [loss units].
        accuracy: of a score between 0 and 1 [fraction].
    """

    ratio: float = 0.1
    share: float = 0.02
    loss: float = 0.02
    accuracy: float = 0.005

    def __post_init__(self) -> None:
        check_range("indifference", 0.0, 1.0, open_low=True, ratio=self.ratio, share=self.share)
        check_range("indifference", 0.0, math.inf, open_low=True, open_high=True, loss=self.loss)
        check_range("indifference", 0.0, 1.0, open_low=True, accuracy=self.accuracy)


NEGLIGIBLE = Indifference()
"""What counts as no difference where a study says nothing of it."""
