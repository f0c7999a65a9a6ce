"""Looks: the numbers of seeds at which verdicts are given, and how much error each of them may spend.

Whoever looks after every seed, and stops when something is significant, is wrong far more often than 5 %. So
the looks of a study share its error: whatever a look may spend is a share of 1 - confidence, and the shares
of all looks together are at most 1 (Bonferroni over looks, which holds under any dependence).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FIRST = 0.8
"""Share of the only look of a study that plans no others. What is left is for looks that come by hand."""


@dataclass(frozen=True)
class Look:
    """Verdicts after so many seeds.

    Attributes:
        share: of 1 - confidence that its false verdicts may spend.
    """

    seeds: int
    share: float


def planned(seeds: Sequence[int]) -> tuple[Look, ...]:
    """The looks of a study that named them beforehand: each spends in proportion to the seeds it adds.

    A look after three seeds decides little, and so gets little.
    """
    return tuple(
        Look(count, (count - before) / seeds[-1])
        for before, count in zip((0, *seeds[:-1]), seeds, strict=True)
    )


def by_hand(seeds: Sequence[int]) -> tuple[Look, ...]:
    """The looks of a study that named none: the first has most, and each further one half of what is left.

    Nobody knows how many there will be.
    """
    found, left = [], 1.0
    for k, count in enumerate(seeds):
        share = FIRST if k == 0 else left / 2
        found.append(Look(count, share))
        left -= share
    return tuple(found)
