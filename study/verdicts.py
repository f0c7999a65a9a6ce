"""From comparisons to a verdict: supported, refuted or inconclusive, with the number behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from study.statistics import Estimate, exponential, holm, worded

SUPPORTED, REFUTED, INCONCLUSIVE = "supported", "refuted", "inconclusive"


@dataclass(frozen=True)
class Comparison:
    """One number that a claim says lies above (or below) a threshold.

    Attributes:
        against: what is compared with.
        estimate: None where it cannot be computed; `note` says why.
        threshold: in the estimate's own unit. above: the claim says "above".
    """

    against: str
    estimate: Estimate | None
    threshold: float
    above: bool
    note: str = ""

    @property
    def lead(self) -> float:
        """How far the estimate is on the claim's side of the threshold."""
        if self.estimate is None:
            return -math.inf
        return (self.estimate.mean - self.threshold) * (1 if self.above else -1)

    @property
    def p_support(self) -> float:
        """p of the estimate lying on the claim's side; 1 where a censored region could hide the opposite."""
        if self.estimate is None or self.lead <= 0 or (self.estimate.upper_bound if self.above else self.estimate.lower_bound):
            return 1.0
        return self.estimate.p(self.threshold)

    @property
    def p_refute(self) -> float:
        if self.estimate is None or self.lead >= 0 or (self.estimate.lower_bound if self.above else self.estimate.upper_bound):
            return 1.0
        return self.estimate.p(self.threshold)


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


@dataclass(frozen=True)
class Claim:
    """A sentence from a paper, a number with an interval, a verdict, and the cells behind it.

    Estimate, interval and threshold are those of the comparison that is hardest for the claim (`against`); the claim says that
    the number lies above the threshold (`above`) or below it.
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
    return [_claim(question, found[k][1] if adjusted.get(k, 1.0) <= 1 - confidence else INCONCLUSIVE, confidence, least_seeds) for k, question in enumerate(questions)]


def _claim(question: Question, verdict: str, confidence: float, least_seeds: int) -> Claim:
    finding = question.finding
    shown = min(finding.comparisons, key=lambda c: (c.lead, c.against), default=None)
    estimate = shown.estimate if shown else None
    interval = estimate.interval(confidence) if estimate else None
    turn = exponential if finding.ratio else float
    return Claim(
        id=question.id,
        claim=question.claim,
        source=question.source,
        setting=question.setting,
        measure=finding.measure,
        against=f"against {shown.against}" if shown else "",
        above=shown.above if shown else None,
        unit=finding.unit,
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
    )


def _reason(question: Question, verdict: str, confidence: float, least_seeds: int) -> str:
    finding, parts = question.finding, []
    if finding.comparisons and question.n_seeds < least_seeds:
        parts.append(f"{question.n_seeds} of {question.seeds_asked} seeds are complete and a verdict needs at least {least_seeds}")
    if finding.comparisons:
        parts.append("; ".join(_said(c, finding, confidence) for c in finding.comparisons))
    if any(c.estimate and (c.estimate.lower_bound or c.estimate.upper_bound) for c in finding.comparisons):
        parts.append("a region touches the border of the grid, so that a size is only a bound (marked ≥ or ≤); widen the axis to decide")
    if finding.missing:
        parts.append(("not decided here in full: " if finding.partial else "not decidable by this study: ") + finding.missing)
    elif verdict == INCONCLUSIVE and question.n_seeds >= least_seeds:
        parts.append(_why_open(finding.comparisons, confidence))
    return ". ".join(part[0].upper() + part[1:] if k else part for k, part in enumerate(parts)) + "."


def _why_open(comparisons: Sequence[Comparison], confidence: float) -> str:
    """The first reason that applies."""
    if any(c.estimate is None for c in comparisons):
        return "a comparison could not be computed"
    if any(c.estimate and c.estimate.half_width(confidence) == 0 for c in comparisons):
        return "all seeds agree to the last digit, so that the measure is too coarse to say how certain it is"
    if min(max(c.estimate.p(c.threshold) for c in comparisons if c.estimate), 1.0) <= 1 - confidence:
        return "a size that is only a bound, or the correction for asking several claims together (Holm), leaves it open"
    return "the interval does not lie on one side of the threshold"


def _said(comparison: Comparison, finding: Finding, confidence: float) -> str:
    """One comparison in words."""
    if comparison.estimate is None:
        return f"{comparison.against}: {comparison.note}"
    note = f" ({comparison.note})" if comparison.note else ""
    return f"against {comparison.against} {worded(comparison.estimate, confidence, exponential if finding.ratio else float)}{note}"
