"""Looks: the numbers of seeds at which verdicts are given, and how much error each of them may spend.

They are the interim analyses of a group-sequential design, and what they spend is its alpha spending.

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


@dataclass(frozen=True)
class Schedule:
    """The looks of a study.

    Attributes:
        looks: with rising numbers of seeds.
        planned: they were named beforehand. Then seeds are added look by look, to what open claims need. By
            hand all transforms get them.
        more: share of the next look that is added by hand.
    """

    looks: tuple[Look, ...]
    planned: bool
    more: float = 0.0

    @property
    def cap(self) -> int:
        """Most seeds."""
        return self.looks[-1].seeds

    @property
    def last_share(self) -> float:
        """Share of the last look, or of one that is added by hand."""
        return self.looks[-1].share if self.planned else self.more


def planned(seeds: Sequence[int]) -> Schedule:
    """The looks of a study that names them: each spends in proportion to the seeds that it adds.

    A look after three seeds decides little, and so gets little.
    """
    steps = zip((0, *seeds[:-1]), seeds, strict=True)
    return Schedule(tuple(Look(count, (count - before) / seeds[-1]) for before, count in steps), True)


def schedule_of(named: Sequence[int], noted: Sequence[int], asked: int) -> Schedule:
    """The looks of a study.

    Args:
        named: in its spec, if any are. noted, asked: as `by_hand` takes them.
    """
    return planned(named) if named else by_hand(noted, asked)


def by_hand(noted: Sequence[int], asked: int) -> Schedule:
    """The looks of a study that names none: the first has most, and each further one half of what is left.

    Nobody knows how many there will be. A look keeps the share that it had when it was taken.

    Args:
        noted: after how many seeds somebody saw verdicts, in that order.
        asked: seeds of the study.
    """
    looks: list[Look] = []
    left = 1.0
    for seeds in dict.fromkeys((*noted, asked)):
        share = left / 2 if looks else FIRST
        looks.append(Look(seeds, share))
        left -= share
    shown = sorted((one for one in looks if one.seeds <= asked), key=lambda one: one.seeds)
    return Schedule(tuple(shown), planned=False, more=left / 2)
