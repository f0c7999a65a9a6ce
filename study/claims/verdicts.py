"""From findings to verdicts, each with its number and its reason."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from study.claims.finding import Comparison, Finding
from study.measures.estimate import worded

SUPPORTED, REFUTED, INCONCLUSIVE = "supported", "refuted", "inconclusive"
NO_DIFFERENCE = "no difference"
"""The method differs from one that the sentence names by less than anybody would act on."""
MOST_SAID = 6
"""Comparisons that a reason names."""


@dataclass(frozen=True)
class Claim:
    """A sentence from a paper, a number with an interval, a verdict, and the cells behind it.

    Estimate, interval and threshold are those of the comparison that decides: the one with the largest p of
    support, or for *refuted* and *no difference* the one that shows it best. The interval is the one that
    decides: *supported* and *refuted* lie on one side of the threshold, and *no difference* within
    ± `indifference` of it.

    Attributes:
        against: the hardest comparison, in words.
        above: the claim says that the number lies above the threshold; False: below it.
        lower_bound: the true number may be larger. upper_bound: it may be smaller.
        cells: keys of the cells behind it. runs: ids of the MLflow runs that show them.
        confidence: of the interval, so that with all claims and looks together it is the spec's.
        indifference: a smaller difference from the threshold counts as none; None where no size is named.
        missing: what the study lacks, where nothing could be compared.
        version: of the measurement; it rises when the meaning of the number changes.
        standing: whether it is decided, or waits for seeds (`study.claims.sequence`).
    """

    id: str
    claim: str
    source: str
    setting: str
    measure: str
    against: str
    above: bool | None
    unit: str
    estimate: float | None
    interval: tuple[float, float] | None
    lower_bound: bool
    upper_bound: bool
    confidence: float
    n_seeds: int
    threshold: float | None
    verdict: str
    reason: str
    cells: tuple[str, ...]
    runs: tuple[str, ...] = ()
    missing: str = ""
    version: int = 1
    indifference: float | None = None
    standing: str = ""


@dataclass(frozen=True)
class Question:
    """A claim in one setting with its finding, before it is judged together with the others.

    Attributes:
        n_seeds: complete seeds. seeds_asked: seeds in the spec.
        version: of the measurement.
        family: questions of one family in one setting rest on the same comparisons.
    """

    id: str
    claim: str
    source: str
    setting: str
    n_seeds: int
    seeds_asked: int
    finding: Finding
    version: int = 1
    family: str = ""

    def verdict(self, level: float, least_seeds: int) -> str:
        """The verdict at a level; a small difference that is certain is one."""
        comparisons = self.finding.comparisons
        if not comparisons or self.n_seeds < least_seeds:
            return INCONCLUSIVE
        # Support needs every comparison, so the largest p counts. One is enough to refute the sentence, or to
        # show that it makes no difference to it, so there the smallest p counts, times their number.
        many = len(comparisons)
        p = {
            SUPPORTED: 1.0 if self.finding.partial else max(c.p_support for c in comparisons),
            REFUTED: many * min(c.p_refute for c in comparisons),
            NO_DIFFERENCE: many * min(c.p_equal for c in comparisons),
        }
        return next((verdict for verdict in p if p[verdict] <= level), INCONCLUSIVE)

    def shown(self, verdict: str) -> Comparison | None:
        """The comparison that decides."""
        by = {REFUTED: lambda c: c.p_refute, NO_DIFFERENCE: lambda c: c.p_equal}.get(verdict)
        return min(self.finding.comparisons, key=by) if by else self.finding.hardest

    def fallible(self, confidence: float, seeds: float = 0) -> bool:
        """Whether chance alone could give it a verdict.

        One counterexample refutes a rule about every step for certain. With few runs nothing supports it,
        whatever they show: the least p is (1 - breaking)^S.
        """
        comparisons = self.finding.comparisons
        exact = [c for c in comparisons if c.exact and c.estimate]
        if not comparisons or len(exact) < len(comparisons):
            return bool(comparisons) or self.finding.unread
        return all((1 - c.breaking) ** max(seeds, self.seeds_asked) <= 1 - confidence for c in exact)


def judge(
    questions: Sequence[Question], confidence: float, least_seeds: int, share: float = 1.0
) -> list[Claim]:
    """Give the verdicts of all questions of a study, each at its level.

    Args:
        confidence: that no verdict of the study is false.
        least_seeds: complete seeds that a verdict needs.
        share: of 1 - confidence that this look may spend.
    """
    level = (1 - confidence) * share / families_of(questions, confidence)
    return [answered(one, level, least_seeds) for one in questions]


def families_of(questions: Iterable[Question], confidence: float, seeds: float = 0) -> int:
    """How many families chance could answer, and at least 1: they have equal parts of the error (Bonferroni).

    Questions of a family read different thresholds off the same intervals. Where these hold, all of them are
    right, so that they need no correction among themselves. One that chance cannot answer takes no part.

    No step-down (Holm) makes the level of the others milder once a question is decided: what *no difference*
    decides was no false null hypothesis, and each claim's interval would depend on the other claims.

    Args:
        seeds: that there may be, where that is more than the spec asks for now; infinite where nobody knows.
    """
    asked = {(one.family or one.id, one.setting) for one in questions if one.fallible(confidence, seeds)}
    return max(len(asked), 1)


def answered(question: Question, level: float, least_seeds: int) -> Claim:
    """The claim that a question becomes at a level."""
    finding = question.finding
    verdict = question.verdict(level, least_seeds)
    shown = question.shown(verdict)
    # One of several comparisons is enough to refute or to show no difference, and one of several alternatives
    # to support. Each of them has a part of the level.
    any_of = (
        finding.comparisons if verdict in (REFUTED, NO_DIFFERENCE) else shown.alternatives if shown else ()
    )
    confidence = 1 - level / max(len(any_of), 1)
    estimate = shown.estimate if shown else None
    # The worst of so many runs has no interval of this kind; the reason says how many runs may be worse.
    interval = estimate.interval(confidence) if shown and estimate and not shown.exact else None
    number = shown.number if shown else None
    turn = finding.turn(shown) if shown else float
    return Claim(
        id=question.id,
        claim=question.claim,
        source=question.source,
        setting=question.setting,
        measure=finding.measure,
        against=shown.place if shown else "",
        above=shown.above if shown else None,
        unit=(shown.unit if shown else "") or finding.unit,
        estimate=None if number is None else turn(number),
        interval=(turn(interval[0]), turn(interval[1])) if interval else None,
        lower_bound=bool(estimate and estimate.lower_bound),
        upper_bound=bool(estimate and estimate.upper_bound),
        confidence=confidence,
        n_seeds=question.n_seeds,
        threshold=turn(shown.threshold) if shown else None,
        verdict=verdict,
        reason=_reason(question, verdict, confidence, least_seeds),
        cells=finding.keys,
        missing="" if finding.comparisons else finding.missing,
        version=question.version,
        indifference=(shown.indifference if shown else 0.0) or None,
    )


def _reason(question: Question, verdict: str, confidence: float, least_seeds: int) -> str:
    """Why this verdict: every comparison in words, then what keeps it open or settles it."""
    finding, parts = question.finding, []
    if finding.comparisons and question.n_seeds < least_seeds:
        parts.append(
            f"{question.n_seeds} of {question.seeds_asked} seeds are complete "
            f"and a verdict needs at least {least_seeds}"
        )
    if finding.comparisons:
        parts.append(_all_said(finding, confidence))
    if finding.beside:
        parts.append(
            "beside it, deciding nothing: " + "; ".join(_said(c, finding, confidence) for c in finding.beside)
        )
    exact = [c for c in finding.comparisons if c.exact and c.estimate]
    if exact and question.n_seeds >= least_seeds:
        parts.append(_counted(exact, verdict, confidence))
    if any(c.estimate and (c.estimate.lower_bound or c.estimate.upper_bound) for c in finding.comparisons):
        parts.append(
            "a number is only a bound (marked ≥ or ≤) where a region touches the border of the grid or "
            "training ended too soon; widen the axis, or train longer, to decide"
        )
    depends = [c for c in finding.comparisons if c.depends]
    if depends:
        parts.append(
            f"{', '.join(c.place for c in depends)} the side of the threshold depends on the learning rate: "
            "at common ones it is the other, so that nothing is decided"
        )
    if finding.missing:
        start = "not decided here in full: " if finding.partial else "not decidable by this study: "
        parts.append(start + finding.missing)
    elif verdict == INCONCLUSIVE and question.n_seeds >= least_seeds:
        parts.append(_why_open(finding.comparisons, confidence))
    shown = question.shown(verdict)
    if verdict != INCONCLUSIVE and shown and shown.p_equal <= 1 - confidence:
        parts.append(
            f"{shown.place} the interval lies within ± {shown.indifference:.3g}, "
            "less than which counts as no difference"
        )
    return ". ".join(part[0].upper() + part[1:] if k else part for k, part in enumerate(parts) if part) + "."


def _all_said(finding: Finding, confidence: float) -> str:
    """The comparisons in words, the hardest ones alone where there are many."""
    ordered = sorted(finding.comparisons, key=lambda c: (c.standing, c.lead, c.against))
    shown = finding.comparisons if len(ordered) <= MOST_SAID else ordered[:MOST_SAID]
    said = "; ".join(_said(c, finding, confidence) for c in shown)
    more = len(ordered) - len(shown)
    return f"{said}; and {more} more, which stand more clearly on the claim's side" if more else said


def _counted(exact: Sequence[Comparison], verdict: str, confidence: float) -> str:
    """What a rule about every step is known to do: broken, or broken by at most so many runs."""
    broken = [c for c in exact if c.lead < 0]
    worst = broken[0] if broken else None
    if worst is not None and worst.estimate is not None:
        count = sum(_beyond(worst, value) for value in worst.estimate.values_S)
        return (
            f"the sentence is about every step, and in {count} of {worst.estimate.n} runs a step "
            "contradicts it; one is enough"
        )
    runs = min(c.estimate.n for c in exact if c.estimate)
    steps, breaking = sum(c.steps for c in exact), max(c.breaking for c in exact)
    most = 1 - (1 - confidence) ** (1 / runs)
    seen = f"in {steps:,} recorded steps of {runs} runs" if steps else f"in {runs} runs"
    said = f"not contradicted {seen}; at most {most:.0%} of runs break it ({percent(confidence)})"
    if verdict == SUPPORTED:
        return f"{said}. It counts as held where at most {breaking:.0%} do"
    needed = math.ceil(math.log(1 - confidence) / math.log(1 - breaking))
    return f"{said}. For at most {breaking:.0%} it takes {needed} seeds"


def percent(confidence: float) -> str:
    """A confidence below 1 in per cent, with as many decimals as tell it from 100: `95%`, `99.97%`."""
    return f"{confidence:.{max(math.ceil(-math.log10(1 - confidence)) - 2, 0)}%}"


def _beyond(comparison: Comparison, value: float) -> bool:
    """Whether a seed's worst step lies on the other side of the threshold."""
    return (value - comparison.threshold) * (1 if comparison.above else -1) < 0


def _why_open(comparisons: Sequence[Comparison], confidence: float) -> str:
    """The first reason that applies."""
    if any(c.estimate is None for c in comparisons):
        return "a comparison could not be computed"
    comparisons = [c for c in comparisons if not c.exact]
    if not comparisons or any(c.depends for c in comparisons):
        return ""
    if any(c.estimate and c.estimate.half_width(confidence) == 0 for c in comparisons):
        return "all seeds agree to the last digit, and nothing says how coarse the measure is"
    if min(min(c.p_refute, c.p_equal) for c in comparisons) <= 1 - confidence:
        return (
            f"one of {len(comparisons)} comparisons alone would decide it, and has to be that much clearer, "
            "since each of them may be the one by chance"
        )
    if max((c.estimate.p(c.threshold) for c in comparisons if c.estimate), default=1.0) <= 1 - confidence:
        return "a size that is only a bound leaves it open"
    return "the interval does not lie on one side of the threshold"


def _said(comparison: Comparison, finding: Finding, confidence: float) -> str:
    """One comparison in words."""
    if comparison.estimate is None:
        place = comparison.against if comparison.preposition == "against" else comparison.place
        return f"{place}: {comparison.note}"
    turn = finding.turn(comparison)
    if comparison.exact and comparison.number is not None:
        number = f"{turn(comparison.number):.3g} in the worst of {comparison.estimate.n} runs"
    else:
        number = worded(comparison.estimate, confidence, turn)
    unit = f" {comparison.unit}" if comparison.unit else ""
    notes = [comparison.note] if comparison.note else []
    if comparison.common is not None:
        notes.append(f"at common learning rates {worded(comparison.common, confidence)}")
    note = f" ({'; '.join(notes)})" if notes else ""
    return f"{comparison.place} {number}{unit}{note}"
