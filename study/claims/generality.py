"""Whether a claim holds in general, from all settings of several studies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from study.claims.catalogue import CLAIMS
from study.claims.generality_words import reason_of
from study.claims.pooled_comparison import Pooled
from study.claims.pooling import pool_all
from study.claims.tasks import Asked, Repeated, Task, distinct
from study.claims.verdicts import INCONCLUSIVE, NO_DIFFERENCE, REFUTED, SUPPORTED


@dataclass(frozen=True)
class Generality:
    """A claim over all settings of several studies.

    "Here" are the settings that were tried, each with the verdict of its own study's ledger. "In general" is
    about tasks that were not tried: the mean over such tasks, of which these are a sample.

    Attributes:
        asked: the settings, each counted once.
        comparisons: every comparison over the settings that make it. Support needs all of them.
        verdict: in general.
        confidence: of the interval of the mean over tasks: corrected over claims (Bonferroni).
    """

    asked: tuple[Asked, ...]
    comparisons: tuple[Pooled, ...]
    verdict: str = INCONCLUSIVE
    confidence: float = 0.95

    @property
    def id(self) -> str:
        return self.asked[0].claim.id

    @property
    def here(self) -> Mapping[str, int]:
        """How many settings have which verdict, the most frequent first."""
        return dict(Counter(one.claim.verdict for one in self.asked).most_common())

    @property
    def tasks(self) -> tuple[Task, ...]:
        return tuple(dict.fromkeys(one.task for one in self.asked))

    @property
    def missing(self) -> str:
        """What every study lacks for the whole sentence; empty where one of them lacks nothing."""
        findings = [one.finding for one in self.asked]
        if not all(one.partial for one in findings):
            return ""
        return min((one.missing for one in findings), key=len)  # of the study that lacks least, as a rule

    @cached_property
    def hardest(self) -> Pooled:
        """The comparison that stands least clearly on the claim's side.

        One that too few tasks make says nothing about others, and is shown where there is none but such.
        """

        def order(one: Pooled) -> tuple[bool, float, int, float, str]:
            side = one.share.value if one.share else 0.0
            return not one.telling, one.standing, -len(one.tasks), side, one.place

        return min(self.comparisons, key=order)

    def judged(self, level: float) -> str:
        """The verdict at a level; a small difference that is certain is one."""
        many = len(self.comparisons)
        p = {
            SUPPORTED: 1.0 if self.missing else max(one.p_support for one in self.comparisons),
            REFUTED: many * min(one.p_refute for one in self.comparisons),
            NO_DIFFERENCE: many * min(one.p_equal for one in self.comparisons),
        }
        return next((verdict for verdict in p if p[verdict] <= level), INCONCLUSIVE)

    @property
    def shown(self) -> Pooled:
        """The comparison that decides; the hardest one where nothing is decided."""
        if self.verdict == NO_DIFFERENCE:
            return min(self.comparisons, key=lambda one: one.p_equal)
        return self.hardest

    def fallible(self, confidence: float) -> bool:
        """Whether chance alone could give it a verdict with so many tasks, whatever the numbers are."""
        exact = [one for one in self.comparisons if one.exact]
        if len(exact) < len(self.comparisons):
            return any(one.telling for one in self.comparisons if not one.exact)
        return all((1 - one.breaking) ** len(one.tasks) <= 1 - confidence for one in exact)

    @property
    def reason(self) -> str:
        """The number behind the verdict in general, and what keeps it open."""
        return reason_of(self.shown, self.comparisons, self.verdict, self.confidence, self.missing)


@dataclass(frozen=True)
class Verdicts:
    """Every claim over all settings of several studies.

    Attributes:
        claims: those that a study measured. repeated: settings that are not counted.
        confidence: of the bootstrap intervals. together: claims that are corrected for.
    """

    claims: tuple[Generality, ...]
    repeated: tuple[Repeated, ...]
    confidence: float
    together: int

    @property
    def tasks(self) -> list[Task]:
        """All tasks that a claim was asked of."""
        return sorted({task for one in self.claims for task in one.tasks})


def over_settings(found: Sequence[Asked], confidence: float) -> Verdicts:
    """Put the claims of several studies together and judge whether each holds in general.

    Args:
        found: all studies' claims, setting by setting.
    """
    kept, repeated = distinct(found)
    # In the ledger's order, and then those of the user's own.
    groups: dict[str, list[Asked]] = {name: [] for name in CLAIMS}
    for one in kept:
        groups.setdefault(one.claim.id, []).append(one)
    open_claims = [
        Generality(tuple(some), tuple(pool_all(some, confidence))) for some in groups.values() if some
    ]
    # One that cannot be decided, whatever the numbers are, must not weaken the others.
    together = max(1, sum(claim.fallible(confidence) for claim in open_claims))
    corrected = 1 - (1 - confidence) / together
    judged = tuple(
        replace(claim, verdict=claim.judged(1 - corrected), confidence=corrected) for claim in open_claims
    )
    return Verdicts(judged, tuple(repeated), confidence, together)
