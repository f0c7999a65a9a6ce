"""What a spec says of its verdicts: after how many seeds they are given, and what counts as no difference."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from study.spec.fields import MOST_SEEDS, section_of
from study.spec.indifference import NEGLIGIBLE, Indifference
from trainers.naming import short

FEWEST = 3
"""Seeds of the first look. Of two a spread over seeds says next to nothing."""


@dataclass(frozen=True)
class Verdicts:
    """When verdicts are given.

    Args:
        looks: rising numbers of seeds after which the study looks for verdicts (interim analyses), and goes
            on to the next while a claim is undecided. The last one is its cap. Without any, a study has as
            many seeds as `seeds` says, and one look.
        indifference: the smallest effects of interest.
    """

    looks: tuple[int, ...] = ()
    indifference: Annotated[Indifference, section_of(Indifference)] = NEGLIGIBLE

    def __post_init__(self) -> None:
        if not self.looks:
            return
        rises = all(a < b for a, b in pairwise(self.looks))
        if not rises or self.looks[0] < FEWEST or self.looks[-1] > MOST_SEEDS:
            raise ValueError(
                f"looks: found {short(list(self.looks))}; wanted rising numbers of seeds, the first "
                f"{FEWEST} or more and the last {MOST_SEEDS:,} or fewer, such as [3, 5, 8, 12]"
            )
