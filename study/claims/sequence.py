"""Verdicts look by look: a claim that is decided stays decided, and only open ones are asked again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from study.claims.catalogue import questions_of
from study.claims.foresight import chance
from study.claims.looks import Look, Schedule
from study.claims.verdicts import INCONCLUSIVE, Claim, Question, answered, families_of
from study.measures.evidence import gather
from study.measures.landscape import Landscape
from study.measures.prior import POOLED
from study.spec.claim_rule import Rule
from study.spec.indifference import Indifference
from study.spec.tolerances import Tolerances

HOPELESS = 0.10
"""A claim is futile where the chance of a verdict at the last look is below this."""
DECIDED, FUTILE, CAP, OPEN = "decided", "futile", "at the cap", "open"
"""How a claim stands: it has its verdict; none is in sight; the last look gave none; the next look may."""
UNASKED = ""
"""How a claim stands of which the study can compare nothing."""
Key = tuple[str, str]
"""A claim's id and setting."""
Place = tuple[tuple[str, str, str], str]
"""A landscape's setting, and the technical name of its transform."""


@dataclass(frozen=True)
class Judgement:
    """The claims of a study after all looks that its cells allow.

    Attributes:
        claims: in the ledger's order, each as it stood at the look that ended it, or at the last one.
        questions: what each of them was judged by, by id and setting.
        look: the last look; None where the cells do not reach the first.
        next: the look that open claims wait for; None where none is open, or no look is left.
        needed: the landscapes that the next look needs, in their order.
        level: of a verdict at the last look that is planned, or at one that is added by hand.
        levels: by look, that of its verdicts.
        seen: by look, the landscapes that it saw.
    """

    claims: tuple[Claim, ...]
    questions: Mapping[Key, Question] = field(repr=False)
    look: Look | None
    next: Look | None = None
    needed: tuple[Place, ...] = ()
    level: float = 0.0
    levels: Mapping[int, float] = field(default_factory=dict, repr=False)
    seen: Mapping[int, tuple[Place, ...]] = field(default_factory=dict, repr=False)


def judge_in_sequence(
    landscapes: Sequence[Landscape],
    schedule: Schedule,
    tolerances: Tolerances,
    indifference: Indifference,
    rules: Mapping[str, Rule] | None = None,
    known: Callable[[int], Sequence[Landscape]] | None = None,
) -> Judgement:
    """Judge the claims of a study at every look that its cells reach.

    A look sees the seeds up to its number, and no others. So whoever judges again, later or elsewhere, gets
    the same verdicts at the same looks.

    Args:
        rules: the user's own, by name.
        known: the landscapes as a look after so many seeds knows them, where looks know different things of
            them: each edge-seeking design is over the seeds of its own look.
    """
    error, least = 1 - tolerances.confidence, tolerances.least_seeds
    own = set(rules or {})
    # Seeds that are added by hand have no end, so that chance may one day answer every rule about steps.
    most = schedule.cap if schedule.planned else math.inf
    here, reached, last = list(landscapes), None, 0.0
    claims: dict[Key, Claim] = {}
    asked: dict[Key, Question] = {}
    seen: dict[int, tuple[Place, ...]] = {}
    levels: dict[int, float] = {}

    def waits(key: Key) -> bool:
        """Whether a claim is asked at the next look. A rule that is not read here was asked elsewhere."""
        unasked = claims[key].standing == UNASKED and key[0] in own and not asked[key].finding.unread
        return claims[key].standing == OPEN or unasked

    def ended(then: Look | None = None) -> Judgement:
        """What is known now; `then` is the look that the cells do not reach."""
        wanted = places(here) if then else ()
        return Judgement(tuple(claims.values()), asked, reached, then, wanted, last, levels, seen)

    for k, look in enumerate(schedule.looks):
        if known is not None:
            left = set(places(here))
            here = [one for one in known(look.seeds) if place(one) in left]
        pieces = gather(here, tolerances, indifference, look.seeds)
        complete = all(piece.n_seeds == look.seeds for piece in pieces)
        if not complete and k:
            # No seeds are trained for what may never be asked.
            return ended(look if any(one.standing == OPEN for one in claims.values()) else None)
        # What is decided, or futile, is asked no more: what it rests on may have no further seeds. A rule of
        # the user's own that compared nothing may want more of them.
        still = set(filter(waits, claims)) if k else None
        going = {(one.id, one.setting): one for one in questions_of(pieces, rules, still)}
        families = families_of((asked | going).values(), tolerances.confidence, most)
        level, last = (error * share / families for share in (look.share, schedule.last_share))
        levels[look.seeds] = level
        for key, question in going.items():
            claim = answered(question, level, least if complete else look.seeds)
            standing = _standing(claim, question, look, schedule, last) if complete else _waits(question)
            claims[key], asked[key] = replace(claim, standing=standing), question
        if not complete:
            return ended(look)
        reached = look
        seen[look.seeds] = places(here)
        waiting = [one for key, one in going.items() if claims[key].standing == OPEN]
        if not any(map(waits, claims)):
            break
        # Which cells a claim of the user's own reads is for its function to say, or not.
        unknown = any(waits(key) and key[0] in own for key in claims)
        if schedule.planned and not unknown and all(one.finding.keys for one in waiting):
            here = needed(here, waiting)
    return ended()


def needed(landscapes: Sequence[Landscape], questions: Iterable[Question]) -> list[Landscape]:
    """The landscapes that questions rest on, and in each of their settings enough others to pool spreads."""
    keys = {key for question in questions for key in question.finding.keys}
    # All variants of a method or none: a claim names its variant where it is asked of several.
    named = {(one.setting, one.method) for one in landscapes if not keys.isdisjoint(one.key_SWL.flat)}
    kept = {place(one) for one in landscapes if (one.setting, one.method) in named}
    for setting in dict.fromkeys(setting for setting, _ in named):
        for one in landscapes:
            if one.setting == setting and sum(where == setting for where, _ in kept) < POOLED:
                kept.add(place(one))
    return [one for one in landscapes if place(one) in kept]


def places(landscapes: Iterable[Landscape]) -> tuple[Place, ...]:
    """Which landscapes these are."""
    return tuple(map(place, landscapes))


def place(landscape: Landscape) -> Place:
    """Its setting and its transform."""
    return landscape.setting, landscape.transform


def _standing(claim: Claim, question: Question, look: Look, schedule: Schedule, level: float) -> str:
    """How a claim stands after a look.

    Args:
        level: of the last look.
    """
    if claim.verdict != INCONCLUSIVE:
        return DECIDED
    if question.finding.comparisons and look == schedule.looks[-1]:
        return CAP
    if question.finding.comparisons and schedule.planned:
        return FUTILE if chance(question, schedule.cap, level) < HOPELESS else OPEN
    return _waits(question)


def _waits(question: Question) -> str:
    """How a claim stands that was never judged."""
    return OPEN if question.finding.comparisons else UNASKED
