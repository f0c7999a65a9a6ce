"""From comparisons to a verdict: supported, refuted or inconclusive, with the number behind it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from study.measures.estimate import Estimate, exponential, worded

SUPPORTED, REFUTED, INCONCLUSIVE = "supported", "refuted", "inconclusive"


@dataclass(frozen=True)
class Comparison:
    """One number that a claim says lies above (or below) a threshold.

    Attributes:
        against: what is compared with, `preposition` before it.
        estimate: None where it cannot be computed; `note` says why.
        threshold: in the estimate's own unit. above: the claim says "above".
        exact: the sentence is about every single step, so that each seed's value is the worst one that occurred: it holds when
            all seeds' values lie on the claim's side (or on the threshold), and one that does not refutes it. Nothing is inferred
            about a population, so neither an interval nor a correction decides.
        unit, ratio: where they differ from the finding's own.
        alternatives: the claim says that one or the other holds; this comparison then shows the likeliest, see `either`.
    """

    against: str
    estimate: Estimate | None
    threshold: float
    above: bool
    note: str = ""
    preposition: str = "against"
    exact: bool = False
    unit: str = ""
    ratio: bool | None = None
    alternatives: tuple[Comparison, ...] = ()

    @property
    def place(self) -> str:
        """`against none`."""
        return f"{self.preposition} {self.against}"

    @property
    def lead(self) -> float:
        """How far the estimate is on the claim's side of the threshold; for an exact one, that of the seed which is furthest from it."""
        if self.estimate is None:
            return -math.inf
        sign = 1 if self.above else -1
        return (
            min((value - self.threshold) * sign for value in self.estimate.values_S)
            if self.exact
            else (self.estimate.mean - self.threshold) * sign
        )

    @property
    def p_support(self) -> float:
        """p of the estimate lying on the claim's side; 1 where a censored region could hide the opposite."""
        if self.alternatives:
            return min(1.0, len(self.alternatives) * min(one.p_support for one in self.alternatives))
        if self.exact:
            return 0.0 if self.lead >= 0 else 1.0
        if (
            self.estimate is None
            or self.lead <= 0
            or (self.estimate.upper_bound if self.above else self.estimate.lower_bound)
        ):
            return 1.0
        return self.estimate.p(self.threshold)

    @property
    def p_refute(self) -> float:
        if self.alternatives:
            return max(one.p_refute for one in self.alternatives)
        if self.exact:
            return 0.0 if -math.inf < self.lead < 0 else 1.0
        if (
            self.estimate is None
            or self.lead >= 0
            or (self.estimate.lower_bound if self.above else self.estimate.upper_bound)
        ):
            return 1.0
        return self.estimate.p(self.threshold)

    @property
    def standing(self) -> float:
        """From -1, clearly refuted, to 1, clearly supported, in whatever unit."""
        return self.p_refute - self.p_support


def either(*alternatives: Comparison) -> Comparison:
    """Holds when one of them does; shown as the one that is most on the claim's side."""
    shown = max(alternatives, key=lambda one: (one.standing, one.lead))
    others = "; ".join(
        f"or {one.place}: {one.estimate.mean:.3g}" if one.estimate else f"or {one.place}: {one.note}"
        for one in alternatives
        if one is not shown
    )
    return replace(
        shown, alternatives=alternatives, note="; ".join(part for part in (shown.note, others) if part)
    )


@dataclass(frozen=True)
class Finding:
    """What a study found out about a claim.

    Attributes:
        comparisons: all of them must be on the claim's side; empty when the study cannot decide the claim.
        ratio: estimates are logarithms of ratios, shown as ratios.
        missing: what the study lacks. partial: with the comparisons alone the claim can be refuted, not supported.
        keys: the cells behind it.
    """

    measure: str
    unit: str
    comparisons: tuple[Comparison, ...] = ()
    ratio: bool = False
    missing: str = ""
    partial: bool = False
    keys: tuple[str, ...] = ()

    def turn(self, comparison: Comparison) -> Callable[[float], float]:
        """What makes the shown number of a comparison's own."""
        return exponential if (self.ratio if comparison.ratio is None else comparison.ratio) else float

    @property
    def hardest(self) -> Comparison | None:
        """The comparison that is hardest for the claim: the least lead, or where units differ the one that stands worst."""
        alike = len({(c.unit, c.ratio, c.exact) for c in self.comparisons}) == 1
        return min(
            self.comparisons, key=lambda c: (0.0 if alike else c.standing, c.lead, c.against), default=None
        )


@dataclass(frozen=True)
class Claim:
    """A sentence from a paper, a number with an interval, a verdict, and the cells behind it.

    Estimate, interval and threshold are those of the comparison that is hardest for the claim (`against`); the claim says that
    the number lies above the threshold (`above`) or below it. `runs` are the ids of the MLflow runs that show the cells;
    `missing` is what the study lacks, where nothing could be compared.
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


@dataclass(frozen=True)
class Question:
    """A claim asked of one setting, before it is judged together with the others."""

    id: str
    claim: str
    source: str
    setting: str
    n_seeds: int
    seeds_asked: int
    finding: Finding

    def p(self, least_seeds: int) -> tuple[float, str]:
        """The smaller of the p-values of support and refutation, and which of the two it is."""
        comparisons = self.finding.comparisons
        if not comparisons or self.n_seeds < least_seeds:
            return 1.0, INCONCLUSIVE
        support = 1.0 if self.finding.partial else max(c.p_support for c in comparisons)
        refute = min(1.0, len(comparisons) * min(c.p_refute for c in comparisons))
        return (support, SUPPORTED) if support <= refute else (refute, REFUTED)


def judge(questions: Sequence[Question], confidence: float, least_seeds: int) -> list[Claim]:
    """Verdicts of all questions of a study, corrected together (Holm) so that one in 1/(1 - confidence) studies errs at all."""
    found = [question.p(least_seeds) for question in questions]
    askable = [k for k, question in enumerate(questions) if question.finding.comparisons]
    adjusted = dict(zip(askable, holm([found[k][0] for k in askable]), strict=True))
    return [
        _claim(
            question,
            found[k][1] if adjusted.get(k, 1.0) <= 1 - confidence else INCONCLUSIVE,
            confidence,
            least_seeds,
        )
        for k, question in enumerate(questions)
    ]


def _claim(question: Question, verdict: str, confidence: float, least_seeds: int) -> Claim:
    finding = question.finding
    shown = finding.hardest
    estimate = shown.estimate if shown else None
    interval = estimate.interval(confidence) if estimate else None
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
        estimate=turn(estimate.mean) if estimate else None,
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
    )


def _reason(question: Question, verdict: str, confidence: float, least_seeds: int) -> str:
    finding, parts = question.finding, []
    if finding.comparisons and question.n_seeds < least_seeds:
        parts.append(
            f"{question.n_seeds} of {question.seeds_asked} seeds are complete and a verdict needs at least {least_seeds}"
        )
    if finding.comparisons:
        parts.append("; ".join(_said(c, finding, confidence) for c in finding.comparisons))
    if verdict != INCONCLUSIVE and any(c.exact for c in finding.comparisons):
        parts.append(_counted(finding, verdict, question.n_seeds))
    if any(c.estimate and (c.estimate.lower_bound or c.estimate.upper_bound) for c in finding.comparisons):
        parts.append(
            "a region touches the border of the grid, so that a size is only a bound (marked ≥ or ≤); widen the axis to decide"
        )
    if finding.missing:
        parts.append(
            ("not decided here in full: " if finding.partial else "not decidable by this study: ")
            + finding.missing
        )
    elif verdict == INCONCLUSIVE and question.n_seeds >= least_seeds:
        parts.append(_why_open(finding.comparisons, confidence))
    return ". ".join(part[0].upper() + part[1:] if k else part for k, part in enumerate(parts)) + "."


def _counted(finding: Finding, verdict: str, n_seeds: int) -> str:
    """Why no interval decides about every single step."""
    if verdict == SUPPORTED:
        return f"this is counted, not inferred: the worst step of each of the {n_seeds} seeds is on the claim's side"
    broken = [c for c in finding.comparisons if c.exact and c.p_refute == 0]
    if not broken or broken[0].estimate is None:
        return "another comparison refutes it"
    worst = broken[0]
    count = sum(
        (value - worst.threshold) * (1 if worst.above else -1) < 0 for value in broken[0].estimate.values_S
    )
    return f"this is counted, not inferred: the sentence is about every step, and in {count} of {n_seeds} seeds a step contradicts it"


def _why_open(comparisons: Sequence[Comparison], confidence: float) -> str:
    """The first reason that applies."""
    if any(c.estimate is None for c in comparisons):
        return "a comparison could not be computed"
    comparisons = [c for c in comparisons if not c.exact]
    if any(c.estimate and c.estimate.half_width(confidence) == 0 for c in comparisons):
        return "all seeds agree to the last digit, so that the measure is too coarse to say how certain it is"
    if max((c.estimate.p(c.threshold) for c in comparisons if c.estimate), default=1.0) <= 1 - confidence:
        return "a size that is only a bound, or the correction for asking several claims together (Holm), leaves it open"
    return "the interval does not lie on one side of the threshold"


def _said(comparison: Comparison, finding: Finding, confidence: float) -> str:
    """One comparison in words."""
    if comparison.estimate is None:
        return (
            f"{comparison.place}: {comparison.note}"
            if comparison.preposition != "against"
            else f"{comparison.against}: {comparison.note}"
        )
    note = f" ({comparison.note})" if comparison.note else ""
    unit = f" {comparison.unit}" if comparison.unit else ""
    return (
        f"{comparison.place} {worded(comparison.estimate, confidence, finding.turn(comparison))}{unit}{note}"
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that hold together. Reference: Holm, "A simple sequentially rejective multiple test procedure", 1979."""
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, k in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[k]))
        adjusted[k] = running
    return adjusted
